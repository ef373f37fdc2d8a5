"""A run is undone: what goes, what stays, and what the next run makes of it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.undoing import preview_undo, undo
from crmsync.app.workspace import Workspace, open_workspace
from crmsync.clock import FixedClock, SystemClock, parse_instant
from crmsync.delivery.outcomes import uncertain
from crmsync.errors import StoreBusyError
from crmsync.ledger.claims import claim_ready, settle_effects
from crmsync.ledger.states import State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.actions import ActionKind
from crmsync.observe.failpoints import UNDO_NAMES
from support.commands import call, call_json
from support.company import CONFIG, RULE, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT, _SOON, _NEXT_DAY = "2026-03-02T09:00", "2026-03-02T09:30", "2026-03-03T09:00"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Run 1 has made two tasks and sent a mail."""
    config = make_company(tmp_path)
    assert call("run", "--config", config, "--at", _AT).exit_code == 0
    return config


def _open(config: Path, at: str = _SOON) -> Workspace:
    return open_workspace(config, FixedClock(instant=parse_instant(at)))


def _undo(config: Path, *words: str, run: int = 1, at: str = _SOON) -> dict[str, Any]:
    return call_json("undo", str(run), "--config", config, "--at", at, "--as", "Jo", *words)


def _run(config: Path, at: str = _SOON) -> dict[str, Any]:
    return call_json("run", "--config", config, "--at", at)


def _tasks(config: Path) -> dict[str, str]:
    with (config.parent / "crm" / "tasks.csv").open(encoding="utf-8", newline="") as source:
        return {row["about_id"]: row["status"] for row in csv.DictReader(source)}


def _edit(config: Path, name: str, old: str, new: str) -> None:
    path = config.parent / "crm" / name
    text = path.read_bytes()
    assert old.encode() in text
    path.write_bytes(text.replace(old.encode(), new.encode(), 1))


def test_its_tasks_are_closed_and_do_not_come_back_a_minute_later(config: Path) -> None:
    report = _undo(config, "--yes", "--reason", "too wide")
    assert [one["subject_name"] for one in report["taken_back"]] == ["Acme", "Blue"]
    assert [one["why"] for one in report["cannot"]] == [
        "a mail that was sent cannot be called back"
    ]
    assert report["stopped"] == 2
    assert _tasks(config) == {"A1": "cancelled", "A2": "cancelled"}
    told = call("status", "--config", config, "--at", _SOON).stdout
    assert "5 done: 1 mail, 2 tasks and 2 tasks taken back" in told
    again = _run(config, at="2026-03-02T09:31")
    assert again["delivery"]["done"] == 0
    held = {one["reason"] for one in again["plan"]["held"]}
    assert held == {
        (
            "its enrolment is over: run 1 was undone by Jo: too wide; "
            "it is new once its conditions were seen not to hold"
        )
    }
    explained = call("explain", "A1", "--config", config, "--at", _NEXT_DAY).stdout
    assert "(over), until 2026-03-02 09:30 CET: run 1 was undone by Jo: too wide" in explained


def test_whose_conditions_did_not_hold_meanwhile_is_new_again(config: Path) -> None:
    _undo(config, "--yes")
    _edit(config, "accounts.csv", "2026-03-20", "2026-09-20")
    _run(config)
    _edit(config, "accounts.csv", "2026-09-20", "2026-03-20")
    report = _run(config, at="2026-03-02T10:00")
    assert {action["subject_name"] for action in report["plan"]["actions"]} == {"Acme"}
    assert _tasks(config)["A1"] == "open"


def test_a_preview_changes_nothing(config: Path) -> None:
    before = _undo(config, "--dry-run")
    assert before["before"]
    assert len(before["taken_back"]) == 2
    assert _tasks(config) == {"A1": "open", "A2": "open"}
    assert [run.id for run in _open(config).ledger.last_runs()] == [1]


def test_a_task_that_people_have_worked_on_stays_and_is_told(config: Path) -> None:
    _edit(config, "tasks.csv", ",open,", ",done,")
    report = _undo(config, "--yes")
    assert [one["subject_name"] for one in report["taken_back"]] == ["Blue"]
    (changed,) = report["changed"]
    assert changed["action"]["subject_name"] == "Acme"
    assert changed["why"].endswith("since: status is “done”")
    assert _tasks(config) == {"A1": "done", "A2": "cancelled"}
    # Who has left it alone once leaves it alone, and nobody is troubled with it.
    assert _undo(config, "--yes")["changed"] == report["changed"]
    assert call_json("status", "--config", config, "--at", _SOON)["attention"] == []


def test_twice_does_nothing_more_and_says_so(config: Path) -> None:
    _undo(config, "--yes")
    tasks = (config.parent / "crm" / "tasks.csv").read_bytes()
    result = call("undo", "1", "--yes", "--config", config, "--at", _SOON)
    assert result.exit_code == 0
    assert "2 tasks taken back before." in result.stdout
    assert "Nothing is left to undo." in result.stdout
    assert (config.parent / "crm" / "tasks.csv").read_bytes() == tasks
    assert len(_open(config).ledger.last_runs()) == 2


def test_what_waits_is_dropped(tmp_path: Path) -> None:
    policy = "policy: {approval: {by: owner}}\n"
    config = make_company(tmp_path, config=CONFIG + policy)
    _run(config, at=_AT)
    report = _undo(config, "--yes")
    assert [one["kind"] for one in report["dropped"]] == ["email"]
    mails = _open(config).ledger.effects(kinds=[ActionKind.EMAIL])
    assert {mail.state for mail in mails} == {State.DROPPED}
    assert call_json("review", "--config", config)["awaiting"] == []


def test_a_crm_that_is_away_is_asked_again_by_the_next_run(config: Path) -> None:
    crm = config.parent / "crm"
    (crm / ".crmsync.lock").unlink()
    (crm / ".crmsync.lock").mkdir()
    result = call("undo", "1", "--yes", "--config", config, "--at", _SOON)
    assert result.exit_code == 1
    assert "it could not be taken back yet" in result.stdout
    call("undo", "1", "--yes", "--config", config, "--at", _SOON)
    (crm / ".crmsync.lock").rmdir()
    assert _tasks(config) == {"A1": "open", "A2": "open"}
    # That it was said twice is no news.
    assert len(call_json("runs", "--config", config)["runs"][-1]["undone"]) == 1
    assert _run(config)["delivery"]["done"] == 2
    assert _tasks(config) == {"A1": "cancelled", "A2": "cancelled"}
    assert _undo(config, "--yes")["already"] == 2


def test_a_task_on_a_connection_that_takes_nothing_back_is_told(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workspace, "abilities", lambda _self, _connection: ())
    report = _undo(config, "--yes")
    assert report["taken_back"] == []
    sentence = "the connection “crm” cannot take tasks back; close it at “crm”"
    assert [one["why"] for one in report["cannot"]].count(sentence) == 2
    assert report["stopped"] == 2
    assert _tasks(config) == {"A1": "open", "A2": "open"}


def test_fields_are_told_with_what_they_were(tmp_path: Path) -> None:
    rule = RULE.partition("then:")[0] + "then:\n  - update: {fields: {tier: at risk}}\n"
    config = make_company(tmp_path, renewal_at_risk=rule)
    _run(config, at=_AT)
    first, second = (one["why"] for one in _undo(config, "--yes")["cannot"])
    assert first == "fields stay as they were set: tier was “gold” before; set them at “crm”"
    assert "tier was “silver” before" in second


def test_what_may_have_landed_is_for_a_person(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    (config.parent / "crm" / ".crmsync.lock").mkdir()
    _run(config, at=_AT)
    workspace, now = _open(config), SystemClock().now()
    with workspace.ledger.writing() as connection:
        first, *_ = claim_ready(connection, "crm", worker="w", now=now, lease_until=now, limit=1)
        settle_effects(connection, [uncertain(first, "no answer")], worker="w", at=now)
    report = _undo(config, "--yes")
    (doubtful,) = report["unsettled"]
    assert f"crmsync landed {first.key}" in doubtful["why"]
    (config.parent / "crm" / ".crmsync.lock").rmdir()
    # It is looked for first, and is not there: so nothing is to be taken back.
    assert _undo(config, "--yes")["unsettled"] == []
    state = {one.key: one.state for one in workspace.ledger.effects()}[first.key]
    assert state is State.READY
    assert _run(config)["delivery"]["done"] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("2", "--yes"), "there is no run 2; the last one is 1; “crmsync runs --config "),
        (("1",), "undoing run 1 changes the CRM: look with --dry-run, then say --yes"),
        (("1", "--yes", "--as", " "), "--as: a name is needed"),
    ],
)
def test_what_cannot_be_undone_is_refused(
    config: Path, words: tuple[str, ...], sentence: str
) -> None:
    result = call("undo", *words, "--config", config, "--at", _SOON)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert _tasks(config) == {"A1": "open", "A2": "open"}


def test_an_undo_is_not_undone(config: Path) -> None:
    _undo(config, "--yes")
    result = call("undo", "2", "--yes", "--config", config)
    assert result.exit_code == 2
    assert "run 2 undid run 1, and cannot be undone itself" in result.stderr


def test_before_the_first_run_there_is_nothing_to_undo(tmp_path: Path) -> None:
    result = call("undo", "1", "--yes", "--config", make_company(tmp_path))
    assert result.exit_code == 2
    assert "there is no run 1; there was none yet" in result.stderr


def test_a_run_that_wrote_nothing_has_nothing_to_undo(config: Path) -> None:
    _run(config)
    result = call("undo", "2", "--config", config, "--at", _SOON)
    assert result.exit_code == 0
    assert "Nothing is there to undo." in result.stdout


def test_while_a_run_is_going_on_nothing_is_undone(config: Path) -> None:
    now = SystemClock().now()
    other = _open(config)
    with other.ledger.evaluating(since=now), pytest.raises(StoreBusyError, match="at work"):
        undo(_open(config), 1, by="Jo", reason="", advance=lambda _label, _done: None)
    assert preview_undo(_open(config), 1, by="Jo", reason="").taken_back


def test_a_mute_and_a_retry_leave_an_undo_alone(config: Path) -> None:
    (config.parent / "crm" / ".crmsync.lock").unlink()
    (config.parent / "crm" / ".crmsync.lock").mkdir()
    _undo(config, "--yes")
    (config.parent / "crm" / ".crmsync.lock").rmdir()
    assert call("mute", "A1", "--config", config, "--at", _SOON).exit_code == 0
    _run(config)
    assert _tasks(config) == {"A1": "cancelled", "A2": "cancelled"}


def test_what_was_taken_back_counts_for_no_cap(tmp_path: Path) -> None:
    caps = "policy: {caps: [{per: owner, at_most: 2, within: 1 day, of: task}]}\n"
    config = make_company(tmp_path, config=CONFIG + caps)
    _run(config, at=_AT)
    _edit(config, "accounts.csv", "A3,Café,U1,gold,2026-11-30", "A3,Café,U1,gold,2026-03-20")
    held = {a["state"] for a in _run(config)["plan"]["actions"] if a["kind"] == "task"}
    assert held == {"deferred"}
    _undo(config, "--yes")
    report = _run(config, at="2026-03-02T09:45")
    assert [a["state"] for a in report["plan"]["actions"] if a["kind"] == "task"] == ["ready"]


def test_runs_are_listed_with_what_they_did(config: Path) -> None:
    _run(config)
    _undo(config, "--yes", "--reason", "too wide", at="2026-03-02T10:00")
    listed = call_json("runs", "--config", config)
    assert [run["number"] for run in listed["runs"]] == [3, 1]
    assert listed["left_out"] == 1
    assert listed["runs"][0]["told"] == "undid run 1: 2 taken back, 2 stopped"
    assert listed["runs"][1]["undone"] == ["by Jo on 2026-03-02 10:00 CET: too wide"]
    everything = call("runs", "--all", "--limit", "2", "--config", config).stdout
    assert "  2  2026-03-02 09:30 CET  nothing was due" in everything
    assert "There are older ones" in everything
    assert call("runs", "--limit", "0", "--config", config).exit_code == 2


@pytest.mark.parametrize("instant", UNDO_NAMES)
def test_killed_in_the_middle_the_same_again_goes_on(config: Path, instant: str) -> None:
    words = ["undo", "1", "--yes", "--config", str(config), "--at", _SOON]
    died = subprocess.run(
        [sys.executable, "-m", "crmsync", *words],
        env={**os.environ, "CRMSYNC_DIE_AT": instant},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    report = _undo(config, "--yes")
    assert report["unsettled"] == []
    assert _tasks(config) == {"A1": "cancelled", "A2": "cancelled"}
    ledger = _open(config).ledger
    assert {one.status for one in ledger.enrolments()} == {EnrolmentStatus.OVER}
    assert len(ledger.effects(states=[State.DONE])) == 5
