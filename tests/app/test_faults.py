"""One thing breaks: it is told, and everything else goes on."""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from crmsync.errors import RejectedError
from crmsync.model.actions import UpdateFields
from crmsync_files.writing import FolderWriter
from support.commands import call, call_json
from support.company import TEMPLATE, make_company

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crmsync.model.actions import Action

_MANY = 200
_UNLUCKY = 77
_AT = "2026-03-02T09:00"


def _many(folder: Path, **changes: str) -> Path:
    numbers = range(1, _MANY + 1)
    accounts = "".join(f"A{n},Firm {n},U1,gold,2026-03-20\n" for n in numbers)
    contacts = "".join(f"C{n},A{n},Ann,Smith,ann@firm{n}.example,no\n" for n in numbers)
    calls = "".join(f"T{n},A{n},call,2026-01-10 10:00\n" for n in numbers)
    config = make_company(
        folder,
        accounts="id,name,owner,tier,renewal\n" + accounts,
        contacts="id,account,first,last,email,unsubscribed\n" + contacts,
        activities="id,account,kind,at\n" + calls,
        **changes,
    )
    policy = "policy: {most_actions_per_run: 9999, most_share_of_accounts: 1.0}\n"
    config.write_text(config.read_text(encoding="utf-8") + policy, encoding="utf-8")
    return config


def _keys(folder: Path, name: str) -> list[str]:
    path = folder / "crm" / name
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return [row["key"] for row in csv.DictReader(lines)]


def test_a_template_that_fails_for_one_of_many_fails_for_this_one(tmp_path: Path) -> None:
    broken = "{% if account.name == 'Firm 77' %}{{ 1 / 0 }}{% endif %}"
    config = _many(tmp_path, check_in=TEMPLATE + broken)
    report = call_json("run", "--config", config, "--at", _AT)
    assert report["delivery"]["done"] == 2 * _MANY - 1
    (held,) = report["plan"]["held"]
    assert (held["subject_name"], held["step"]) == (f"Firm {_UNLUCKY}", "email")
    assert "templates/renewal/check-in.txt:" in held["reason"]
    assert "division by zero" in held["reason"]

    mended = (tmp_path / "templates" / "renewal" / "check-in.txt").write_text
    mended(TEMPLATE, encoding="utf-8")
    assert call_json("run", "--config", config, "--at", "2026-03-02T10:00")["delivery"]["done"] == 1


def test_a_remote_that_answers_with_errors_inside_refuses_only_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, unlucky = FolderWriter.apply, f"A{_UNLUCKY}"

    def with_errors_inside(self: FolderWriter, actions: Sequence[Action]) -> list[object]:
        bad = [a for a in actions if not isinstance(a, UpdateFields) and a.about[0].id == unlucky]
        good = iter(apply(self, [action for action in actions if action not in bad]))
        refusal = RejectedError("FIELD_CUSTOM_VALIDATION_EXCEPTION: no more tasks here")
        return [refusal if action in bad else next(good) for action in actions]

    config = _many(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(FolderWriter, "apply", with_errors_inside)
        report = call_json("run", "--config", config, "--at", _AT)
    assert (report["delivery"]["done"], report["delivery"]["rejected"]) == (2 * _MANY - 2, 2)
    status = call_json("status", "--config", config, "--at", _AT)
    told = [line for line in status["attention"] if "FIELD_CUSTOM_VALIDATION" in line]
    assert len(told) == 2
    assert len(_keys(tmp_path, "tasks.csv")) == _MANY - 1


@pytest.mark.parametrize("room", [60_000, 700_000, 1_500_000])
def test_a_disk_that_is_full_at_some_point_loses_and_doubles_nothing(
    tmp_path: Path, room: int
) -> None:
    """No file may grow beyond ``room`` bytes: the stores, their journals, and the CRM's files."""
    config = _many(tmp_path)

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = [sys.executable, "-m", "crmsync", "run", "--config", str(config), "--at", _AT]
    first = subprocess.run(
        command, preexec_fn=full, capture_output=True, text=True, check=False, env=os.environ
    )
    assert first.returncode in {0, 1}, first.stderr
    assert "Traceback" not in first.stderr
    if first.returncode:
        assert first.stderr + first.stdout, "nothing was said"

    for _ in range(2):
        call_json("run", "--config", config, "--at", "2026-03-02T12:00")
    for name in ("tasks.csv", "sent.csv"):
        keys = _keys(tmp_path, name)
        assert len(keys) == len(set(keys)) == _MANY, name
    assert len(list((tmp_path / "crm" / "outbox" / "new").iterdir())) == _MANY


def test_a_clock_that_jumps_back_stops_the_run_before_it_forgets_whom_it_has_contacted(
    tmp_path: Path,
) -> None:
    """A week earlier nobody matches: all would leave, and be contacted again a week later."""
    config = make_company(tmp_path)
    assert call_json("run", "--config", config, "--at", _AT)["delivery"]["done"] == 3
    for earlier in ("2026-03-02T08:59", "2026-01-15T09:00"):
        refused = call("run", "--config", config, "--at", earlier)
        assert refused.exit_code == 1
        assert "the last run took 2026-03-02 09:00 CET for the present" in refused.stderr
        assert "--clock-was-ahead" in refused.stderr
    after = call_json("run", "--config", config, "--at", "2026-03-02T09:30")
    assert (after["delivery"]["done"], after["plan"]["actions"]) == (0, [])
    assert len(_keys(tmp_path, "tasks.csv")) == 2
    assert len(_keys(tmp_path, "sent.csv")) == 1


def test_clocks_of_two_machines_that_differ_by_seconds_stop_nothing(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    call_json("run", "--config", config, "--at", "2026-03-02T09:00:40")
    report = call_json("run", "--config", config, "--at", "2026-03-02T09:00")
    assert (report["delivery"]["done"], report["plan"]["at"]) == (0, "2026-03-02T09:00:40+01:00")
    # It has not moved the present back: a minute before the latest is still refused.
    assert call("run", "--config", config, "--at", "2026-03-02T08:59:40").exit_code == 1


def test_after_a_run_with_a_clock_that_was_ahead_a_person_lets_it_go_on(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    ahead, now, later = "2027-03-02T09:00", "2026-03-02T09:00", "2026-03-02T10:00"
    call("run", "--config", config, "--at", ahead)
    assert call("run", "--config", config, "--at", now).exit_code == 1
    # Whom the run that was ahead has passed over is contacted, and the next run needs no word.
    said = call_json("run", "--config", config, "--at", now, "--clock-was-ahead")
    assert said["delivery"]["done"] == 3
    assert call_json("run", "--config", config, "--at", later)["delivery"]["done"] == 0
