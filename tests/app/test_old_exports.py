"""What is read is known as of when it was written, and of when it was really read."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from support.commands import call, call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT = "2026-03-02T09:00"


def _age(folder: Path, name: str, age: timedelta) -> None:
    at = (datetime.now(UTC) - age).timestamp()
    os.utime(folder / "crm" / f"{name}.csv", (at, at))


def test_an_export_of_activities_that_nobody_renews_makes_silence_unknown(tmp_path: Path) -> None:
    """Otherwise everybody looks silent from the day on which the export stopped."""
    config = make_company(tmp_path)
    at = ("--config", config, "--at", _AT)
    assert call_json("plan", *at)["rules"][0]["matches"] == 2
    _age(tmp_path, "activities", timedelta(days=8))
    report = call_json("plan", *at)
    assert (report["rules"][0]["matches"], report["rules"][0]["unknown"]) == (0, 2)
    reason = "what was read of the activity stream “activities” of crm was written 8 days ago"
    assert f"{reason}, longer than 24 hours; is its export still running?" in str(report["held"])
    (stream,) = [s for s in call_json("status", *at)["streams"] if s["table"] == "activity"]
    assert stream["stale"] is True
    assert stream["written_at"].startswith("2026-02-22T")
    assert stream["read_at"] == "2026-03-02T09:00:00+01:00"
    assert "2026-03-02 09:00 CET  written 2026-02-22 " in call("status", *at).stdout
    # A new export with the same records tells that nothing has happened.
    _age(tmp_path, "activities", timedelta())
    assert call_json("plan", *at)["rules"][0]["matches"] == 2


def test_an_export_of_then_is_as_old_as_it_was_then(tmp_path: Path) -> None:
    """Whoever asks what there was to do last month has last month's files."""
    config = make_company(tmp_path)
    then = datetime.fromisoformat(_AT).replace(tzinfo=UTC) - timedelta(hours=2)
    for file in (tmp_path / "crm").iterdir():
        os.utime(file, (then.timestamp(), then.timestamp()))
    at = ("--config", config, "--at", _AT)
    rule = call_json("plan", *at)["rules"][0]
    assert (rule["matches"], rule["unknown"]) == (2, 0)
    streams = call_json("status", *at)["streams"]
    assert {datetime.fromisoformat(s["written_at"]) for s in streams} == {then}
    assert not any(s["stale"] for s in streams)
    late = call_json("plan", "--config", config, "--at", "2026-03-04T09:00")
    assert late["rules"][0]["matches"] == 0
    assert "of crm was written 2 days ago" in str(late["held"])


def test_who_exports_once_a_week_says_so(tmp_path: Path) -> None:
    weekly = CONFIG + "freshness: {tables: {activity: 8 days}}\n"
    config = make_company(tmp_path, config=weekly)
    at = ("--config", config, "--at", _AT)
    _age(tmp_path, "activities", timedelta(days=7, hours=12))
    assert call_json("plan", *at)["rules"][0]["matches"] == 2
    later = ("--config", config, "--at", "2026-03-02T22:00", "--no-sync")
    assert call_json("plan", *later)["rules"][0]["matches"] == 0


def test_mail_waits_where_the_marks_of_who_wants_none_are_old(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    _age(tmp_path, "contacts", timedelta(days=8))
    report = call_json("run", "--config", config, "--at", _AT)
    assert report["delivery"]["done"] == 2  # the tasks
    assert "of crm was written 8 days ago" in str(report["plan"]["held"])


def test_a_look_ahead_does_not_make_what_was_read_fresh_until_then(tmp_path: Path) -> None:
    """A plan for next year reads now; it must not hide that nothing was read since."""
    config = make_company(tmp_path)
    now = datetime.now(UTC)
    ahead = ("--config", config, "--at", (now + timedelta(days=300)).isoformat())
    assert call_json("plan", *ahead)["rules"][0]["unknown"] == 0
    stale = {s["stream"]: s["stale"] for s in call_json("status", *ahead)["streams"]}
    assert set(stale.values()) == {False}
    later = ("--config", config, "--at", (now + timedelta(days=3)).isoformat())
    stale = {s["stream"]: s["stale"] for s in call_json("status", *later)["streams"]}
    assert set(stale.values()) == {True}
    held = call_json("plan", *later, "--no-sync")["held"]
    assert "the activity stream “activities” of crm was last read 3 days ago" in str(held)
