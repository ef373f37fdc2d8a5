"""A rule with `for`, through the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.commands import call, call_json
from support.company import RULE, make_company

if TYPE_CHECKING:
    from pathlib import Path

WAITS = (
    "waits since 2026-03-02 09:00 CET, due on 2026-03-04 09:00 CET: "
    "its conditions must hold for 2 days"
)


def test_plan_and_explain_tell_who_waits_and_until_when(tmp_path: Path) -> None:
    config = make_company(tmp_path, renewal_at_risk=RULE + "for: 2 days\n")
    plan = call_json("plan", "--config", config, "--at", "2026-03-02T09:00")
    assert plan["actions"] == []
    assert {held["subject_name"]: held["reason"] for held in plan["held"]} == dict.fromkeys(
        ("Acme", "Blue"), WAITS
    )
    assert {held["until"] for held in plan["held"]} == {"2026-03-04T08:00:00+00:00"}
    run = call_json("run", "--config", config, "--at", "2026-03-02T09:00")
    assert run["plan"]["held"] == plan["held"]
    again = call("plan", "--config", config, "--at", "2026-03-03T09:00").stdout
    assert f"held Acme crm:A1: {WAITS}" in again
    explained = call("explain", "Acme", "--config", config, "--at", "2026-03-03T09:00").stdout
    assert "in this rule since 2026-03-02 09:00 CET (waiting)" in explained
    assert f"held: {WAITS}" in explained


def test_a_run_at_the_due_time_enrols_and_counts_them_as_new(tmp_path: Path) -> None:
    config = make_company(tmp_path, renewal_at_risk=RULE + "for: 2 days\n")
    call_json("run", "--config", config, "--at", "2026-03-02T09:00")
    due = call_json("run", "--config", config, "--at", "2026-03-04T09:00")
    assert {a["subject"] for a in due["plan"]["actions"]} == {"crm:A1", "crm:A2"}
    assert [rule["entering"] for rule in due["plan"]["rules"]] == [2]
    later = call_json("run", "--config", config, "--at", "2026-03-05T09:00")
    assert later["plan"]["actions"] == []
