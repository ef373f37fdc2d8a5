"""`crmsync status` says what waits and why, what comes next, and what nobody has read yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.cli.reports.words import WAIT_FOR_A_WORD
from support.commands import call, call_json
from support.company import CONFIG, RULE, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT = "2026-03-02T09:00"
_WAY = RULE.partition("then:")[0] + (
    "then:\n  - task: {assign_to: owner, subject: Call}\n  - wait: 5 hours\n  - note: {text: hi}\n"
)


def test_what_waits_is_told_with_its_reason(tmp_path: Path) -> None:
    policy = 'policy: {hours: {weekdays: "10:00-18:00", unknown_zone: company}}\n'
    config = make_company(tmp_path, config=CONFIG + policy)
    call("run", "--config", config, "--at", _AT)
    report = call_json("status", "--config", config, "--at", _AT)
    (waiting,) = report["waiting"]
    assert (waiting["state"], waiting["actions"]) == ("deferred", 1)
    assert waiting["reason"]
    (due,) = report["due"]
    assert (due["hour"], due["effects"], due["steps"]) == ("2026-03-02T10:00:00+01:00", 1, 0)
    text = call("status", "--config", config, "--at", _AT).stdout
    assert f"1 deferred: {waiting['reason']}" in text
    assert "due in the hour from 2026-03-02 10:00 CET: 1 action" in text


def test_steps_of_journeys_that_come_due_are_told(tmp_path: Path) -> None:
    config = make_company(tmp_path, renewal_at_risk=_WAY)
    for _ in ("the task is done", "and so is its step"):
        call("run", "--config", config, "--at", _AT)
    text = call("status", "--config", config, "--at", _AT).stdout
    assert "due in the hour from 2026-03-02 14:00 CET: 2 steps" in text


def test_what_is_held_and_who_waits_for_a_person_are_told(tmp_path: Path) -> None:
    users = "id,name,email\nU2,Ada,ada@vendor.example\n"
    config = make_company(tmp_path, users=users)
    call("run", "--config", config, "--at", _AT)
    report = call_json("status", "--config", config, "--at", _AT)
    assert {one["state"] for one in report["waiting"]} == {"held"}
    assert sum(one["actions"] for one in report["waiting"]) == 4
    asking = CONFIG.replace("existing: enrol", "existing: preview")
    other = make_company(tmp_path / "other", config=asking)
    call("run", "--config", other, "--at", _AT)
    text = call("status", "--config", other, "--at", _AT).stdout
    assert f"2 records {WAIT_FOR_A_WORD}" in text


def test_run_and_status_count_the_same_that_wait_for_a_word(tmp_path: Path) -> None:
    """Also of whom a clause is not known."""
    asking = CONFIG.replace("existing: enrol", "existing: preview")
    asking = asking.partition("      activities:")[0]
    config = make_company(tmp_path, config=asking)
    plan = call_json("plan", "--config", config, "--at", _AT)
    run = call_json("run", "--config", config, "--at", _AT)["plan"]
    (rule,) = run["rules"]
    status = call_json("status", "--config", config, "--at", _AT)
    assert (plan["previewed"], run["previewed"], status["previewed"]) == (2, 2, 2)
    assert (rule["matches"], rule["unknown"]) == (0, 2)


def test_what_awaits_approval_is_told_with_the_command(tmp_path: Path) -> None:
    config = make_company(tmp_path, config=CONFIG + "policy: {approval: {by: owner}}\n")
    call("run", "--config", config, "--at", _AT)
    text = call("status", "--config", config, "--at", _AT).stdout
    assert "1 awaiting approval: Jo Meyer must approve it first" in text
    assert "What awaits approval: crmsync review" in text


def test_a_stream_that_nobody_has_read_is_listed(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    report = call_json("status", "--config", config, "--at", _AT)
    assert [one["stream"] for one in report["streams"]] == [
        "accounts",
        "contacts",
        "users",
        "activities",
    ]
    assert {one["read_at"] for one in report["streams"]} == {None}
    assert "never" in call("status", "--config", config, "--at", _AT).stdout
