"""A task that is still open is updated where it stands, from whichever stream it was read."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from support.commands import call_json
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
    header = "key,subject,body,due,assignee,about_table,about_id,also_about,status,created_at\n"
    (tmp_path / "crm" / "tasks.csv").write_text(header, encoding="utf-8")
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
