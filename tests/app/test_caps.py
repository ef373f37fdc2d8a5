"""Caps count what people sent, what crmsync sent, and what passes in the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import AuthError
from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from crmsync.model.actions import SendEmail
from crmsync_files.writing import FolderWriter
from support.commands import call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT = "2026-03-02T09:00+00:00"
_ACTIVITIES = "id,account,contact,kind,direction,at,automated,message\n"
_RULE = """\
rule: {name}
subject: account
priority: {priority}
when:
  - renewal_date: {{in_next: 60 days}}
then:
{steps}
"""
_MAIL = "  - email: {to: primary_contact, template: renewal/check-in}\n"
_TASK = '  - task: {assign_to: owner, subject: "Call {{ account.name }}"}\n'
_CONFIG = CONFIG.replace(
    "fields: {account: account, kind: kind, at: at}",
    "fields: {account: account, contact: contact, kind: kind, direction: direction, at: at, "
    "automated: automated, message_id: message}",
)


def _company(folder: Path, cap: str, activities: str = "", **rules: str) -> Path:
    assert _CONFIG != CONFIG
    policy = f"\npolicy:\n  caps: [{{{cap}}}]\nfreshness: {{default: 60 days}}\n"
    config = make_company(
        folder,
        config=_CONFIG + policy,
        activities=_ACTIVITIES + activities,
        renewal_at_risk=_RULE.format(name="plain", priority=50, steps=_MAIL),
        contacts="id,account,first,last,email,unsubscribed\nC1,A1,Ann,Smith,ann@acme.example,\n",
    )
    for name, text in rules.items():
        (folder / "rules" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return config


def _run(config: Path, at: str = _AT) -> dict[str, Any]:
    """By rule and subject, the actions of a run; and that the plan before it said the same."""
    plan = call_json("plan", "--config", config, "--at", at)
    report = call_json("run", "--config", config, "--at", at)
    assert report["plan"]["actions"] == plan["actions"]
    return {f"{a['rule']} {a['subject_name']}": a for a in plan["actions"]}


def _mails(config: Path) -> int:
    new = config.parent / "crm" / "outbox" / "new"
    return len(list(new.iterdir())) if new.exists() else 0


@pytest.mark.parametrize("per", ["contact", "account", "owner"])
def test_a_mail_that_a_person_sent_counts(tmp_path: Path, per: str) -> None:
    config = _company(
        tmp_path,
        f"per: {per}, at_most: 1, within: 7 days",
        "T1,,C1,email,outbound,2026-02-27 09:30,no,<1@x>\n",
    )
    waiting = _run(config)["plain Acme"]
    assert (waiting["state"], waiting["not_before"]) == ("deferred", "2026-03-06T08:30:00+00:00")
    who = "the accounts of this owner have" if per == "owner" else f"the {per} has"
    assert waiting["reason"].startswith(f"{who} had 1 mail within 7 days, by people or by crmsync")
    assert _run(config, "2026-03-06T08:29:59+00:00")["plain Acme"]["state"] == "deferred"
    assert _mails(config) == 0
    assert _run(config, "2026-03-06T08:30:00+00:00")["plain Acme"]["state"] == "ready"
    assert _mails(config) == 1


@pytest.mark.parametrize(
    "row",
    [
        "T1,A1,C1,email,inbound,2026-02-27 09:30,no,\n",
        "T1,A1,C1,email,outbound,2026-02-27 09:30,yes,\n",
        "T1,A1,C1,call,outbound,2026-02-27 09:30,no,\n",
        "T1,A1,C1,email,outbound,2026-02-20 09:30,no,\n",
        "T1,A1,C1,email,outbound,2026-03-05 09:30,no,\n",
        "T1,A2,,email,outbound,2026-02-27 09:30,no,\n",
    ],
    ids=["inbound", "automated", "call", "long ago", "ahead", "another account"],
)
def test_what_is_no_mail_of_a_person_to_them_does_not_count(tmp_path: Path, row: str) -> None:
    config = _company(tmp_path, "per: account, at_most: 1, within: 7 days", row)
    assert _run(config)["plain Acme"]["state"] == "ready"


def test_the_same_mail_counts_once_however_often_it_comes_in(tmp_path: Path) -> None:
    twice = (
        "T1,A1,C1,email,outbound,2026-02-27 09:30,no,<1@x>\n"
        "T2,A1,C1,email,outbound,2026-02-27 09:31,no,1@X\n"
    )
    config = _company(tmp_path, "per: contact, at_most: 2, within: 7 days", twice)
    assert _run(config)["plain Acme"]["state"] == "ready"

    # And so does the one of crmsync itself, when the next pull brings it back.
    with Ledger(tmp_path / "state" / "ledger.sqlite") as ledger:
        (sent,) = ledger.effects(states=[State.DONE])
    assert isinstance(sent.action, SendEmail)
    message = sent.action.message_id
    activities = tmp_path / "crm" / "activities.csv"
    back = f"T3,A1,C1,email,outbound,2026-03-02 10:00,no,<{message}>\n"
    activities.write_text(_ACTIVITIES + back, encoding="utf-8")
    second = _RULE.format(name="second", priority=50, steps=_MAIL)
    (tmp_path / "rules" / "second.yaml").write_text(second, encoding="utf-8")
    assert _run(config, "2026-03-07T09:00+00:00")["second Acme"]["state"] == "ready"
    third = second.replace("second", "third")
    (tmp_path / "rules" / "third.yaml").write_text(third, encoding="utf-8")
    waiting = _run(config, "2026-03-07T10:00+00:00")["third Acme"]
    assert (waiting["state"], waiting["not_before"]) == ("deferred", "2026-03-09T09:00:00+00:00")


def test_in_one_run_the_rule_with_the_higher_priority_comes_first(tmp_path: Path) -> None:
    config = _company(
        tmp_path,
        "per: contact, at_most: 1, within: 2 days",
        urgent=_RULE.format(name="urgent", priority=90, steps=_MAIL),
        minor=_RULE.format(name="minor", priority=10, steps=_MAIL),
    )
    first = _run(config)
    states = {rule: action["state"] for rule, action in first.items()}
    assert states == {"urgent Acme": "ready", "plain Acme": "deferred", "minor Acme": "deferred"}
    # They are asked about by priority, and shown in the order of the rules.
    assert list(first) == ["minor Acme", "plain Acme", "urgent Acme"]
    assert first["minor Acme"]["not_before"] == "2026-03-04T09:00:00+00:00"
    # Who waited longer does not overtake who is more important.
    states = {rule: a["state"] for rule, a in _run(config, "2026-03-04T09:00+00:00").items()}
    assert states == {"plain Acme": "ready", "minor Acme": "deferred"}
    assert _mails(config) == 2


def test_what_waits_for_its_connection_takes_its_place_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _company(tmp_path, "per: contact, at_most: 1, within: 7 days")

    def revoked(_self: object, _actions: object) -> object:
        raise AuthError("revoked")

    with monkeypatch.context() as patched:
        patched.setattr(FolderWriter, "apply", revoked)
        assert _run(config)["plain Acme"]["state"] == "ready"
    assert _run(config, "2026-03-02T10:00+00:00")["plain Acme"]["state"] == "ready"
    assert _mails(config) == 1


def test_tasks_are_counted_for_the_colleague_who_gets_them(tmp_path: Path) -> None:
    config = _company(
        tmp_path,
        "per: owner, of: task, at_most: 1, within: 1 day, on_full: drop",
        tasks=_RULE.format(name="tasks", priority=50, steps=_TASK),
    )
    states = {name: action["state"] for name, action in _run(config).items()}
    assert states == {"plain Acme": "ready", "tasks Acme": "ready", "tasks Blue": "dropped"}
    more = _RULE.format(name="more", priority=50, steps=_TASK)
    (tmp_path / "rules" / "more.yaml").write_text(more, encoding="utf-8")
    states = {name: a["state"] for name, a in _run(config, "2026-03-02T20:00+00:00").items()}
    assert states == {"more Acme": "dropped", "more Blue": "dropped"}
