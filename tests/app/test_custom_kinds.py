"""Kinds of action that a connector adds to the language of rules."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from crmsync.config.yaml import load_yaml
from support.commands import call, call_json
from support.company import CONFIG, RULE, make_company
from support.plugins import lay_out_plugin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AT = "2026-03-02T09:00"
_PLUGIN = """
import json
from crmsync.config.base import Settings
from crmsync.model.actions import ActionKind, CustomKind, KeyHandling, Receipt
from crmsync.plugins.contract import ConnectorSpec
from crmsync.plugins.hookspecs import hookimpl


class Options(Settings):
    into: str


class Chatter:
    def __init__(self, context):
        self.file = context.folder / context.options.into

    def check(self):
        return []

    def close(self):
        pass

    def apply(self, actions):
        with self.file.open("a") as file:
            for action in actions:
                about = [one.id for one in action.about]
                said = {"name": action.name, "about": about, **action.texts}
                file.write(json.dumps(said) + chr(10))
        return [Receipt(key=action.key, remote_id=action.key) for action in actions]

    def find(self, keys):
        return {}


KIND = CustomKind(
    name="notify",
    description="A message in a channel.",
    takes={"text": "What is said.", "channel": "Where."},
    needed=("text",),
)


@hookimpl
def crmsync_connectors():
    return [
        ConnectorSpec(
            name="chatter",
            description="A chat.",
            options=Options,
            stream_options=Settings,
            open=Chatter,
            actions={ActionKind.CUSTOM: KeyHandling.LOOKUP},
            custom=(KIND,),
        )
    ]
"""
_CHAT = "  chat: {connector: chatter, into: chat.jsonl}\n"
_THEN = RULE[: RULE.index("then:")] + "then:\n"
_NOTIFY = _THEN + (
    '  - notify: {text: "{{ account.name }} renews {{ account.renewal_date | date }}",'
    ' channel: "#renewals"}\n'
)


@pytest.fixture(autouse=True)
def chatter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = tmp_path / "site"
    lay_out_plugin(site, "chatter", {"facts": _PLUGIN})
    monkeypatch.syspath_prepend(str(site))
    yield
    for name in ("chatter", "chatter.facts"):
        sys.modules.pop(name, None)


def _said(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "chat.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_connector_adds_a_kind_and_rules_use_it(tmp_path: Path) -> None:
    config = make_company(tmp_path, config=CONFIG + _CHAT, renewal_at_risk=_NOTIFY)
    at = ("--config", config, "--at", _AT)
    assert call_json("check", "--config", config)["problems"] == []
    shown = call("plan", *at, "--full").output
    assert "→ notify for Acme" in shown
    assert "text: Acme renews Mar 20, 2026" in shown
    assert call_json("run", *at)["delivery"]["done"] == 2
    assert _said(tmp_path) == [
        {"name": "notify", "about": [], "text": f"{name} renews {day}", "channel": "#renewals"}
        for name, day in (("Acme", "Mar 20, 2026"), ("Blue", "Mar 25, 2026"))
    ]
    later = ("--config", config, "--at", "2026-03-02T10:00")
    assert call_json("run", *later)["delivery"]["done"] == 0
    undone = call_json("undo", "1", *later, "--yes")
    assert "“notify” was done; undo it at “chat”" in json.dumps(undone, ensure_ascii=False)


def test_it_waits_for_its_approval_like_any_other(tmp_path: Path) -> None:
    asking = _THEN + '  - notify: {text: "{{ account.name }} renews", approval: owner}\n'
    config = make_company(tmp_path, config=CONFIG + _CHAT, renewal_at_risk=asking)
    at = ("--config", config, "--at", _AT)
    assert call_json("run", *at)["delivery"]["done"] == 0
    (first, _) = call_json("review", *at)["awaiting"]
    shown = call("review", "show", first["action"]["key"], *at).output
    assert "Acme renews" in shown
    wording = call("review", "edit", first["action"]["key"], "--text", "x", *at)
    assert "has no words to edit" in wording.output
    assert call("review", "approve", first["action"]["key"], *at).exit_code == 0
    later = ("--config", config, "--at", "2026-03-02T10:00")
    assert call_json("run", *later)["delivery"]["done"] == 1
    assert [one["text"] for one in _said(tmp_path)] == ["Acme renews"]


@pytest.mark.parametrize(
    ("connections", "step", "mistake"),
    [
        (_CHAT, "notify: {txt: x}", "unknown key “txt” in “notify”; did you mean “text”?"),
        (_CHAT, "notify: {channel: x}", "“notify” needs “text:”"),
        (_CHAT, "notify: hello", "write “notify: {text: …}”, and not “hello”"),
        (
            _CHAT,
            "notify: {text: x, by: crm}",
            "no connection “crm” does “notify”; known here: chat",
        ),
        (_CHAT, 'notify: {text: "{{ account.nmae }}"}', "did you mean “name”?"),
        (_CHAT, "notfy: {text: x}", "unknown step “notfy”; did you mean “notify”?"),
        (
            _CHAT + _CHAT.replace("chat:", "talk:"),
            "notify: {text: x}",
            "several connections do “notify”; write “by: chat” or “by: talk”",
        ),
        ("", "notify: {text: x}", "no connection of the config does “notify”; its connector must"),
        ("", "survey: {text: x}", "no connection of the config does “survey”; its connector must"),
    ],
)
def test_what_is_wrong_with_such_a_step(
    tmp_path: Path, connections: str, step: str, mistake: str
) -> None:
    config = make_company(
        tmp_path, config=CONFIG + connections, renewal_at_risk=f"{_THEN}  - {step}\n"
    )
    problems = call_json("check", "--config", config)["problems"]
    assert any(mistake in problem for problem in problems), problems
    assert all(problem.startswith("rules/renewal-at-risk.yaml:8:") for problem in problems)


def test_a_rule_test_expects_it(tmp_path: Path) -> None:
    config = make_company(tmp_path, config=CONFIG + _CHAT, renewal_at_risk=_NOTIFY)
    tests = tmp_path / "rules" / "tests"
    tests.mkdir()
    (tests / "renewal-at-risk.yaml").write_text(
        "rule: renewal-at-risk\nat: 2026-03-01T09:00\nrecords:\n"
        "  account: [{id: acme, name: Acme, renewal_date: 2026-03-20}]\n"
        'expect:\n  actions:\n    acme: {notify: {text: {contains: Acme}, channel: "#renewals"}}\n',
        encoding="utf-8",
    )
    good = call("test", "--config", config)
    assert good.exit_code == 0, good.output
    wrong = tests / "renewal-at-risk.yaml"
    wrong.write_text(wrong.read_text().replace("contains: Acme", "contains: Blue"))
    bad = call("test", "--config", config)
    assert bad.exit_code == 1
    assert "something with “Blue”" in bad.output
    schema = call_json("schema", "test", "--config", config)
    jsonschema.validate(load_yaml(wrong).data, schema)


def test_the_editor_knows_it(tmp_path: Path) -> None:
    config = make_company(tmp_path, config=CONFIG + _CHAT, renewal_at_risk=_NOTIFY)
    schema = call_json("schema", "rule", "--config", config)
    rule = load_yaml(tmp_path / "rules" / "renewal-at-risk.yaml").data
    jsonschema.validate(rule, schema)
    rule["then"][0]["notify"] = {"txt": "x"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(rule, schema)
