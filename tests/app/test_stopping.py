"""A person says that somebody is to be left alone, and takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.workspace import open_workspace
from crmsync.clock import FixedClock, parse_instant
from support.commands import call, call_json
from support.company import make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT, _NEXT_DAY = "2026-03-02T09:00", "2026-03-03T09:00"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = make_company(tmp_path)
    assert call("sync", "--config", config, "--at", _AT).exit_code == 0
    return config


def _said(config: Path, *words: str, at: str = _AT) -> dict[str, Any]:
    return call_json(*words, "--config", config, "--at", at, "--as", "Jo")


def _run(config: Path, at: str = _AT) -> dict[str, Any]:
    plan: dict[str, Any] = call_json("run", "--config", config, "--at", at)["plan"]
    return plan


def _acme(plan: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Of each kind of step for Acme, its state and the reason."""
    found = {
        a["step"]: (a["state"], a["reason"]) for a in plan["actions"] if a["account"] == "Acme"
    }
    held = [one for one in plan["held"] if one["subject_name"] == "Acme"]
    return found | {one["step"]: ("held", one["reason"]) for one in held}


def test_nothing_is_done_for_a_muted_account_and_all_of_it_later(config: Path) -> None:
    said = _said(config, "mute", "acm", "--reason", "in a dispute")["said"]
    assert (said["target"], said["said_by"], said["until"]) == ("crm:A1", "Jo", None)
    plan = _run(config)
    reason = "the account was muted by Jo on 2026-03-02 09:00 CET: in a dispute"
    assert _acme(plan) == {"task": ("held", reason), "email": ("held", reason)}
    assert {a["account"] for a in plan["actions"] if a["state"] == "ready"} == {"Blue"}
    assert _said(config, "mute", "A1", "--lift")["lifted"][0]["lifted_by"] == "Jo"
    assert _acme(_run(config)) == {"task": ("ready", ""), "email": ("ready", "")}


def test_a_mute_ends_at_its_time(config: Path) -> None:
    _said(config, "mute", "A1", "--until", "2026-03-03")
    (state, reason), _ = _acme(_run(config)).values()
    assert state == "deferred"
    assert "muted by Jo on 2026-03-02 09:00 CET until 2026-03-03 00:00 CET" in reason
    assert {state for state, _ in _acme(_run(config, _NEXT_DAY)).values()} == {"ready"}


def test_a_later_word_takes_the_place_of_an_earlier_one(config: Path) -> None:
    _said(config, "mute", "A1", "--until", "2026-03-03")
    again = _said(config, "mute", "A1", "--reason", "for good")
    assert [one["until"] for one in again["lifted"]] == ["2026-03-03T00:00:00+01:00"]
    assert _acme(_run(config, _NEXT_DAY))["task"][0] == "held"


def test_a_mute_whose_end_is_over_is_no_word(config: Path) -> None:
    result = call("mute", "A1", "--until", "2026-03-01", "--config", config, "--at", _AT)
    assert result.exit_code == 2
    assert "it is 2026-03-02 09:00 CET already" in result.stderr


@pytest.mark.parametrize("written", ["ann@acme.example", "Ann Smith <ANN@Acme.Example>"])
def test_a_suppressed_address_gets_no_mail_of_any_class(config: Path, written: str) -> None:
    template = config.parent / "templates" / "renewal" / "check-in.txt"
    template.write_text(template.read_text("utf-8").replace("commercial", "service"), "utf-8")
    _said(config, "suppress", written, "--reason", "left the company")
    acme = _acme(_run(config))
    assert acme["task"][0] == "ready"
    reason = "the address was suppressed by Jo on 2026-03-02 09:00 CET: left the company"
    assert acme["email"] == ("dropped", reason)


def test_a_colleagues_address_can_be_suppressed_too(config: Path) -> None:
    rule = config.parent / "rules" / "renewal-at-risk.yaml"
    rule.write_text(rule.read_text("utf-8").replace("to: primary_contact", "to: owner"), "utf-8")
    _said(config, "suppress", "jo@vendor.example")
    assert _acme(_run(config))["email"][0] == "dropped"


def test_who_is_no_longer_suppressed_gets_mail(config: Path) -> None:
    _said(config, "suppress", "ann@acme.example")
    _said(config, "suppress", "ANN@acme.example", "--lift")
    assert _acme(_run(config))["email"] == ("ready", "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("suppress", "nobody"), "“nobody” is not one e-mail address"),
        (("suppress", "ann@acme.example", "--lift"), "ann@acme.example is not suppressed"),
        (("mute", "A1", "--lift"), "Acme (crm:A1) is not muted"),
        (("mute", "Nobody"), "no account is called “Nobody”"),
        (("mute", "A1", "--as", " "), "--as: a name is needed"),
    ],
)
def test_words_that_fit_nothing_are_refused(
    config: Path, words: tuple[str, ...], sentence: str
) -> None:
    result = call(*words, "--config", config, "--at", _AT)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_an_address_that_nobody_has_is_suppressed_and_doubted(config: Path) -> None:
    """It may be misspelt; then mail goes on to the one that was meant."""
    for known in ("Ann <ANN@acme.example>", "jo@vendor.example"):
        assert _said(config, "suppress", known)["doubt"] is None
    doubt = "nobody who was read has the address ann@acmee.example; is it right?"
    assert _said(config, "suppress", "ann@acmee.example")["doubt"] == doubt
    shown = call("suppress", "ann@acmee.example", "--config", config, "--at", _AT).stdout
    assert f"perhaps {doubt}" in shown


def test_a_suppression_waits_for_no_sync(config: Path) -> None:
    workspace = open_workspace(config, FixedClock(instant=parse_instant(_AT)))
    with workspace.warehouse.writing():
        assert _said(config, "suppress", "ann@acmee.example")["said"] is not None


def test_status_and_explain_say_who_is_to_be_left_alone(config: Path) -> None:
    _said(config, "mute", "A1", "--reason", "in a dispute")
    _said(config, "suppress", "ben@blue.example")
    shown = call("status", "--config", config, "--at", _AT).stdout
    assert "Acme (crm:A1) is muted" in shown
    assert "ben@blue.example is suppressed" in shown
    explained = call_json("explain", "A1", "--config", config, "--at", _AT)
    assert explained["stops"] == [
        "its account was muted by Jo on 2026-03-02 09:00 CET: in a dispute"
    ]
    assert call_json("explain", "A2", "--config", config, "--at", _AT)["stops"] == []


def test_what_is_ready_is_taken_back(config: Path) -> None:
    """A run in the middle of delivering sends nothing more to whom a person stops."""
    workspace = open_workspace(config, FixedClock(instant=parse_instant(_AT)))
    outbox = config.parent / "crm" / "tasks.csv"
    outbox.mkdir()  # so that nothing can be written there
    call("run", "--config", config, "--at", _AT)
    states = {e.enrolment.subject: e.state for e in workspace.ledger.effects() if e.step == "task"}
    assert states == {"crm:A1": "ready", "crm:A2": "ready"}
    said = _said(config, "mute", "A1")
    assert said["taken_back"] == 2, "and the mail, which did not go where the task could not"
    states = {e.enrolment.subject: e.state for e in workspace.ledger.effects() if e.step == "task"}
    assert states == {"crm:A1": "planned", "crm:A2": "ready"}
