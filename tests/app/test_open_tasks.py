"""What became of tasks: an open one is updated where it stands, a done one is known as done."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from support.commands import call, call_json
from support.company import CONFIG, FILES, RULE, make_company

if TYPE_CHECKING:
    from pathlib import Path

_TASKS = """\
      tasks:
        file: tasks.csv
        table: activity
        key: key
        fields:
          kind: {value: task}
          subject: subject
          text: body
          at: due
          status: {column: status, values: {open: planned, done: completed}}
"""
_THEN = RULE[: RULE.index("then:")] + (
    "then:\n  - task: {assign_to: owner, subject: 'Call in tier {{ account.tier }}',"
    " if_exists: update}\n"
)


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "crm" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_open_task_of_one_of_two_streams_is_updated(tmp_path: Path) -> None:
    one = FILES["crm/accounts.csv"].replace("A2,Blue,U1,silver,2026-03-25\n", "")
    config = make_company(tmp_path, config=CONFIG + _TASKS, renewal_at_risk=_THEN, accounts=one)
    accounts = tmp_path / "crm" / "accounts.csv"
    assert call_json("run", "--config", config, "--at", "2026-03-02T09:00")["delivery"]["done"] == 1
    # The conditions end, and come again with another tier.
    accounts.write_text(one.replace("2026-03-20", "2026-09-20"), encoding="utf-8")
    call_json("run", "--config", config, "--at", "2026-03-03T09:00")
    accounts.write_text(one.replace("gold,2026-03-20", "platinum,2026-03-20"), encoding="utf-8")
    report = call_json("run", "--config", config, "--at", "2026-03-04T09:00")
    assert [(one["kind"], one["title"]) for one in report["plan"]["actions"]] == [
        ("update", "subject = Call in tier platinum")
    ]
    assert len(_rows(tmp_path, "tasks.csv")) == 1
    (update,) = _rows(tmp_path, "updates.csv")
    assert "Call in tier platinum" in update.values()


_WAY = RULE[: RULE.index("then:")] + (
    "then:\n"
    "  - {id: brief, task: {assign_to: owner, subject: Call}}\n"
    "  - {after: 1 day, if: [{steps.brief: not_done}], note: {text: Nobody has called.}}\n"
)
_LATER = "2026-03-04T10:00"


def _after_the_calls(folder: Path, config: str) -> dict[str, Any]:
    """Jo has called one of the two customers, and two days have passed."""
    path = make_company(folder, config=config, renewal_at_risk=_WAY)
    assert call("check", "--config", path).exit_code == 0
    call_json("run", "--config", path, "--at", "2026-03-02T09:00")
    tasks = folder / "crm" / "tasks.csv"
    text = tasks.read_text(encoding="utf-8")
    assert text.count(",open,") == 2
    tasks.write_text(text.replace(",open,", ",done,", 1), encoding="utf-8", newline="")
    for name in ("accounts", "contacts", "users", "activities"):  # exported anew
        (folder / "crm" / f"{name}.csv").touch()
    told: dict[str, Any] = call_json("plan", "--config", path, "--at", _LATER)
    return told


def test_what_people_have_done_is_known_where_their_tasks_are_read(tmp_path: Path) -> None:
    """The stream is there before its file, which the first task makes."""
    plan = _after_the_calls(tmp_path, CONFIG + _TASKS)
    assert [(one["kind"], one["subject"]) for one in plan["actions"]] == [("note", "crm:A2")]


def test_what_people_have_done_is_not_guessed_where_nobody_reads_their_tasks(
    tmp_path: Path,
) -> None:
    plan = _after_the_calls(tmp_path, CONFIG)
    assert plan["actions"] == []
    why = "its task was never read from crm; does a stream read the tasks?"
    assert {one["reason"] for one in plan["held"]} == {f"steps.brief: not_done is unknown: {why}"}
