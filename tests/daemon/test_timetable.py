from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crmsync.daemon.timetable import BackOff, Timetable
from crmsync.model.schedules import parse_schedule

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def table(**texts: str) -> Timetable:
    schedules = {name: parse_schedule(text) for name, text in texts.items()}
    return Timetable(schedules=schedules, company_zone="Europe/Zurich")


def test_who_was_never_answered_is_due_at_once() -> None:
    asked = table(crm="weekdays at 07:00", mail="every 15 minutes")
    assert asked.due(NOW) == ["crm", "mail"]
    asked.succeeded("crm", NOW)
    asked.succeeded("mail", NOW)
    assert asked.due(NOW) == []
    assert asked.next(NOW) == NOW + 15 * MINUTE
    assert asked.next_of("crm", NOW) == datetime(2026, 3, 3, 6, tzinfo=UTC)


def test_after_a_night_off_there_is_one_time_to_catch_up() -> None:
    asked = table(mail="every 15 minutes", crm="0 * * * *")
    for name in ("mail", "crm"):
        asked.succeeded(name, NOW)
    morning, done = NOW + 10 * HOUR + 7 * MINUTE, []
    for minute in range(15):
        for name in asked.due(morning + minute * MINUTE):
            asked.succeeded(name, morning + minute * MINUTE)
            done.append(name)
    assert done == ["mail", "crm"]


def test_what_fails_is_tried_again_later_and_later_but_within_the_hour() -> None:
    asked = table(crm="daily at 10:00")
    waits, now = [], NOW
    for _ in range(9):
        assert asked.due(now) == ["crm"]
        again = asked.failed("crm", now)
        waits.append((again - now) / MINUTE)
        assert asked.due(again - timedelta(seconds=1)) == []
        assert asked.next(now) == again
        now = again
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    asked.succeeded("crm", now)
    assert asked.failed("crm", now) == now + MINUTE


def test_a_clock_that_jumps_back_stops_nothing() -> None:
    asked = table(crm="every 15 minutes")
    asked.succeeded("crm", NOW + 100 * HOUR)
    assert asked.next(NOW) == NOW + 15 * MINUTE
    back_off = BackOff()
    back_off.failed(NOW + 100 * HOUR)
    assert back_off.allows(NOW)
