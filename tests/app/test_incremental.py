"""Evaluating only whom something changed may concern answers what evaluating everybody answers."""

from __future__ import annotations

import csv
import random
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.basis import basis_of
from crmsync.app.workspace import open_workspace
from crmsync.clock import SystemClock
from support.commands import call_json
from support.company import FILES, make_company

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[dict[str, str]]

QUIET_PERSON = """\
rule: quiet-person
subject: contact
when:
  - account.tier: gold
  - last_contact: {older_than: 20 days}
  - account.owner.name: {present: true}
then: [{note: {text: quiet}}]
"""
BUSY_ACCOUNT = """\
rule: busy-account
subject: account
when:
  - count: {of: activities, where: [{at: {in_last: 40 days}}], is: {at_least: 1}}
  - some: {of: contacts, where: [{unsubscribed: {is_not: true}}]}
  - latest: {of: activities, is: [{kind: [call, meeting]}]}
then: [{note: {text: busy}}]
"""
PATHS = {"accounts": "A", "contacts": "C", "activities": "T"}
CONFIG = FILES["config.yaml"].replace(
    "fields: {account: account, kind: kind, at: at}",
    "complete: true\n        fields: {account: account, contact: contact, kind: kind, at: at}",
)
ACTIVITIES = """\
id,account,contact,kind,at
T1,A1,,call,2026-01-10 10:00
T2,,C2,meeting,2026-01-20 15:30
T3,A3,C1,call,2026-01-20 15:30
T4,A2,,call,2026-02-12 09:00
"""


def _read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _write(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _change(crm: Path, dice: random.Random) -> None:
    """Some rows get other values or references, one goes or comes."""
    table = dice.choice(list(PATHS))
    rows = _read(crm / f"{table}.csv")
    row = dice.choice(rows)
    values = {
        "account": ["A1", "A2", "A3", ""],
        "contact": ["C1", "C2", ""],
        "owner": ["U1", "U2", ""],
        "tier": ["gold", "silver"],
        "renewal": ["2026-03-20", "2026-03-05", "2026-11-30", ""],
        "unsubscribed": ["yes", "no"],
        "kind": ["call", "meeting", "email", "note"],
        "at": ["2026-02-14 10:00", "2026-01-01 08:00", "2026-02-20 12:00"],
    }
    for name in dice.sample([n for n in row if n in values], 2):
        row[name] = dice.choice(values[name])
    if dice.random() < 0.3 and len(rows) > 2:
        rows.remove(dice.choice(rows))
    if dice.random() < 0.5:
        rows.append({**dice.choice(rows), "id": f"{PATHS[table]}{dice.randint(10, 10**6)}"})
    _write(crm / f"{table}.csv", rows)


def _said(report: dict[str, Any]) -> dict[str, Any]:
    assert "error" not in report, report
    return {name: report[name] for name in ("rules", "actions", "held")}


@pytest.mark.parametrize("seed", [1, 2])
def test_changes_and_hours_are_answered_like_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(
        "crmsync.rules.incremental.standing._MOST_TOUCHED", 1
    )  # it is a small company
    monkeypatch.setattr("crmsync.rules.incremental.standing._FEWEST", 0)
    config = make_company(tmp_path, config=CONFIG, activities=ACTIVITIES)
    for name, text in (("quiet-person", QUIET_PERSON), ("busy-account", BUSY_ACCOUNT)):
        (tmp_path / "rules" / f"{name}.yaml").write_text(text, encoding="utf-8")
    standing = tmp_path / "state" / "standing.parquet"
    dice = random.Random(seed)
    for hour in range(9, 13):
        at = f"2026-02-20T{hour:02}:00+01:00"
        call_json("sync", "--config", config, "--at", at)
        shorter = call_json("plan", "--config", config, "--at", at, "--no-sync")
        kept = standing.read_bytes() if standing.exists() else None
        standing.unlink(missing_ok=True)
        anew = call_json("plan", "--config", config, "--at", at, "--no-sync")
        assert _said(shorter) == _said(anew), hour
        if kept is not None:
            standing.write_bytes(kept)
        call_json("run", "--config", config, "--at", at, "--no-sync")
        assert standing.exists()
        _change(tmp_path / "crm", dice)


def test_a_full_evaluation_is_held_against_the_shorter_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmsync.rules.incremental.standing._MOST_TOUCHED", 1)
    monkeypatch.setattr("crmsync.rules.incremental.standing._FEWEST", 0)
    config = make_company(tmp_path)
    call_json("run", "--config", config, "--at", "2026-02-10T09:00")
    again = ("run", "--config", config, "--at", "2026-02-20T09:00", "--full-evaluation")
    assert call_json(*again)["plan"]["audit"] is None
    # As if the clock concerned nobody.
    monkeypatch.setattr("crmsync.rules.incremental.standing._touched", lambda *_: set())
    call_json("run", "--config", config, "--at", "2026-02-21T09:00")
    later = ("run", "--config", config, "--at", "2026-03-25T09:00", "--full-evaluation")
    report = call_json(*later)["plan"]
    assert "renewal-at-risk" in report["audit"]


def test_an_older_warehouse_that_was_put_back_is_looked_at_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmsync.rules.incremental.standing._MOST_TOUCHED", 1)
    monkeypatch.setattr("crmsync.rules.incremental.standing._FEWEST", 0)
    config = make_company(tmp_path)
    at = ("--config", config, "--at", "2026-02-20T09:00")
    call_json("sync", *at)
    warehouse = tmp_path / "state" / "warehouse.duckdb"
    older = warehouse.read_bytes()
    rows = _read(tmp_path / "crm" / "accounts.csv")
    _write(tmp_path / "crm" / "accounts.csv", [row | {"renewal": "2026-11-30"} for row in rows])
    assert call_json("run", *at)["plan"]["rules"][0]["matches"] == 0
    warehouse.write_bytes(older)
    assert call_json("plan", *at, "--no-sync")["rules"][0]["matches"] == 1


def test_an_older_warehouse_that_was_put_back_and_written_to_is_looked_at_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmsync.rules.incremental.standing._MOST_TOUCHED", 1)
    monkeypatch.setattr("crmsync.rules.incremental.standing._FEWEST", 0)
    config = make_company(tmp_path)
    at = ("--config", config, "--at", "2026-02-20T09:00")
    call_json("sync", *at)
    warehouse, accounts = tmp_path / "state" / "warehouse.duckdb", tmp_path / "crm" / "accounts.csv"
    older, rows = warehouse.read_bytes(), _read(accounts)
    _write(accounts, [row | {"renewal": "2026-11-30"} for row in rows])
    assert call_json("run", *at)["plan"]["rules"][0]["matches"] == 0
    warehouse.write_bytes(older)
    # Of another table, as many writes and more.
    activities = tmp_path / "crm" / "activities.csv"
    _write(accounts, rows)
    for day in range(1, 5):
        rest = _read(activities)
        _write(
            activities,
            [*rest, {**rest[0], "id": f"T9{day}", "account": "", "at": f"2026-01-0{day} 10:00"}],
        )
        call_json("sync", *at)
    assert call_json("plan", *at, "--no-sync")["rules"][0]["matches"] == 1


def test_another_calendar_of_holidays_is_another_basis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    premises = open_workspace(make_company(tmp_path), SystemClock()).premises
    before = basis_of(premises, premises.rules)
    assert basis_of(premises, premises.rules) == before
    monkeypatch.setattr("crmsync.app.basis.version", lambda name: f"another {name}")
    after = basis_of(premises, premises.rules)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
