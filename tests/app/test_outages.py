"""While a stream cannot be read, nobody leaves a rule, and so nobody enters it a second time."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.commands import call_json
from support.company import make_company

if TYPE_CHECKING:
    from pathlib import Path

# Each of these counts as “no” while nothing is known of activities.
_CLAUSES = [
    "last_contact: {in_last: 60 days}",
    "last_contact: {in_last: 60 days, if_unknown: no}",
    "some: {of: activities, where: [{kind: call}]}",
]


def _rule(*lines: str) -> str:
    when = "".join(f"  - {line}\n" for line in lines)
    return (
        "rule: spoken\nsubject: account\nwhen:\n"
        + when
        + "then:\n  - task: {assign_to: owner, subject: Thank them}\n"
    )


def _old(folder: Path, *, days: int) -> None:
    """The export of activities was written so long ago; a file that was written anew is read."""
    at = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(folder / "crm" / "activities.csv", (at, at))


def _run(config: Path, at: str) -> list[str]:
    report = call_json("run", "--config", config, "--at", at)
    assert report["delivery"]["problems"] == []
    return sorted(action["subject_name"] for action in report["plan"]["actions"])


@pytest.mark.parametrize("clause", _CLAUSES)
def test_an_outage_makes_nobody_leave_and_enter_again(tmp_path: Path, clause: str) -> None:
    config = make_company(tmp_path, renewal_at_risk=_rule(clause))
    thanked = _run(config, "2026-03-02T09:00")
    assert thanked
    _old(tmp_path, days=8)
    at = "2026-03-02T10:00"
    plan = call_json("plan", "--config", config, "--at", at)
    held = {one["subject_name"]: one["reason"] for one in plan["held"]}
    assert sorted(held) == thanked
    assert all(
        "the activity stream “activities” of crm was written" in why for why in held.values()
    )
    assert _run(config, at) == []
    _old(tmp_path, days=0)
    assert _run(config, "2026-03-02T11:00") == []


def test_an_outage_does_not_take_back_an_undo(tmp_path: Path) -> None:
    config = make_company(tmp_path, renewal_at_risk=_rule(_CLAUSES[0]))
    assert _run(config, "2026-03-02T09:00")
    reason = ("--as", "Jo", "--reason", "too wide", "--yes")
    call_json("undo", "1", "--config", config, "--at", "2026-03-02T09:30", *reason)
    _old(tmp_path, days=8)
    assert _run(config, "2026-03-02T10:00") == []
    _old(tmp_path, days=0)
    assert _run(config, "2026-03-02T11:00") == []


def test_what_is_known_all_the_same_ends_it_in_an_outage_too(tmp_path: Path) -> None:
    config = make_company(
        tmp_path, renewal_at_risk=_rule(_CLAUSES[0], "renewal_date: {in_next: 30 days}")
    )
    assert _run(config, "2026-03-02T09:00") == ["Acme", "Blue"]
    _old(tmp_path, days=8)
    accounts = tmp_path / "crm" / "accounts.csv"
    accounts.write_text(accounts.read_text().replace("2026-03-20", "2026-09-20"))
    assert _run(config, "2026-03-02T10:00") == []
    _old(tmp_path, days=0)
    accounts.write_text(accounts.read_text().replace("2026-09-20", "2026-03-20"))
    assert _run(config, "2026-03-02T11:00") == ["Acme"]
