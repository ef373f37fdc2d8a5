"""Days of the loop in virtual time; the work is a stand-in that remembers when it was called."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from crmsync.daemon.board import Board
from crmsync.daemon.loop import Daemon
from crmsync.errors import StoppedError, StoreBusyError, StoreError
from crmsync.ledger.coming import WAKE_NOTE, Note
from crmsync.model.schedules import Schedule, parse_schedule
from crmsync.observe import configure_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ZURICH = ZoneInfo("Europe/Zurich")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def quiet() -> None:
    configure_logs(level="critical")


@dataclass(kw_only=True)
class Days:
    """A clock that only sleeping moves, and the end of the days that a test looks at."""

    instant: datetime = START
    ends: datetime = START + DAY
    naps: int = 0

    def now(self) -> datetime:
        return self.instant

    def sleep(self, length: timedelta) -> None:
        assert length > timedelta()
        self.naps += 1
        self.instant += length

    def over(self) -> bool:
        return self.instant >= self.ends


def _nothing() -> None:
    """Nothing special happens."""


@dataclass(kw_only=True)
class Remembering:
    days: Days
    connections: Mapping[str, Schedule]
    rules: Mapping[str, Schedule] = field(default_factory=dict)
    company_zone: str = "Europe/Zurich"
    notes: dict[str, Note] = field(default_factory=dict)
    synced: list[tuple[str, datetime]] = field(default_factory=list)
    acted: list[datetime] = field(default_factory=list)
    open_rules: list[tuple[str, datetime]] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    coming: list[datetime] = field(default_factory=list)
    reloads: int = 0
    before_acting: Callable[[], None] = _nothing
    before_noting: Callable[[], None] = _nothing

    def reload(self) -> bool:
        self.reloads += 1
        return False

    def sync(self, names: Sequence[str]) -> Mapping[str, str | None]:
        self.synced += [(name, self.days.instant) for name in names]
        return {name: self.broken.get(name) for name in names}

    def act(self, resting: Mapping[str, datetime | None], until: datetime) -> datetime | None:
        now = self.days.instant
        assert now < until
        self.before_acting()
        self.acted.append(now)
        self.open_rules += [(name, now) for name in self.rules if name not in resting]
        return min((at for at in self.coming if now < at <= until), default=None)

    def recall(self) -> Mapping[str, Note]:
        return dict(self.notes)

    def note(self, notes: Mapping[str, Note | None]) -> None:
        self.before_noting()
        self.notes.update({topic: note for topic, note in notes.items() if note is not None})


def work(days: Days, rules: Mapping[str, object] | None = None, **texts: object) -> Remembering:
    return Remembering(
        days=days,
        connections={name: parse_schedule(text) for name, text in texts.items()},
        rules={name: parse_schedule(text) for name, text in (rules or {}).items()},
    )


def run(done: Remembering) -> Board:
    days = done.days
    board = Board(days, HOUR)
    Daemon(work=done, clock=days, sleep=days.sleep, stop=days.over, board=board).run()
    return board


def test_a_day_of_two_connections_on_schedules_of_their_own() -> None:
    days = Days()
    done = work(days, crm="every 15 minutes", mail="daily at 07:00")
    run(done)
    assert Counter(name for name, _ in done.synced) == {"crm": 96, "mail": 2}
    mornings = [at.astimezone(ZURICH) for name, at in done.synced if name == "mail"]
    assert (mornings[1].hour, mornings[1].minute) == (7, 0)
    assert len(done.acted) == 96, "whenever something was read, it was acted upon"
    assert done.notes[WAKE_NOTE] == Note(at=days.ends, text="reading crm")
    assert done.reloads == days.naps


def test_what_comes_due_is_acted_on_in_time_and_reads_nothing() -> None:
    days = Days()
    done = work(days, crm="daily at 06:00")
    # The last two are too close together for two cycles.
    offsets = (47 * MINUTE, 3 * HOUR, 3 * HOUR + timedelta(seconds=10))
    done.coming = [START + offset for offset in offsets]
    run(done)
    morning = datetime(2026, 3, 3, 5, tzinfo=UTC)
    assert [at for _, at in done.synced] == [START, morning]
    assert done.acted == [
        START,
        START + 47 * MINUTE,
        START + 3 * HOUR,
        START + 3 * HOUR + MINUTE,
        morning,
    ]


def test_a_rule_opens_when_its_schedule_comes_and_once_for_all_that_was_missed() -> None:
    days = Days(ends=START + 7 * DAY)
    done = work(days, {"weekly": "wednesdays at 08:00"}, crm="every 1 hour")
    run(done)
    assert done.open_rules == [("weekly", datetime(2026, 3, 4, 7, tzinfo=UTC))]
    # Off for three weeks, until a Friday.
    days.instant, days.ends = START + 25 * DAY, START + 27 * DAY
    run(done)
    assert done.open_rules[1:] == [("weekly", START + 25 * DAY)]


def test_after_a_night_off_everything_is_read_once() -> None:
    days = Days(ends=START + 6 * HOUR)
    done = work(days, crm="every 15 minutes", mail="0 * * * *")
    run(done)
    count = len(done.synced)
    days.instant += 10 * HOUR + 7 * MINUTE
    days.ends = days.instant + 10 * MINUTE
    run(done)
    assert [name for name, _ in done.synced[count:]] == ["crm", "mail"]


def test_who_restarts_at_once_reads_nothing_again() -> None:
    days = Days(ends=START + 20 * MINUTE)
    done = work(days, crm="every 15 minutes")
    run(done)
    assert len(done.synced) == 2
    days.ends += 5 * MINUTE
    run(done)
    assert len(done.synced) == 2


@pytest.mark.parametrize("error", [StoreBusyError("busy"), StoreError("full"), ZeroDivisionError()])
def test_an_error_never_ends_it_and_is_tried_again_later_and_later(error: Exception) -> None:
    days = Days(ends=START + 8 * HOUR)
    done = work(days, crm="every 5 minutes")
    failed: list[datetime] = []

    def fails() -> None:
        if days.instant < START + 3 * HOUR:
            failed.append(days.instant)
            raise error

    done.before_acting = fails
    board = run(done)
    waits = [(later - now) / MINUTE for now, later in itertools.pairwise(failed)]
    assert waits == [1, 2, 4, 8, 16, 32, 60]
    assert len(done.synced) == 96, "reading goes on"
    assert len(done.acted) > 40
    assert board.unready() == ()
    assert 'crmsync_runs_total{outcome="failed"} 8.0' in board.metrics().decode()


def test_a_ledger_that_cannot_be_written_ends_nothing_either() -> None:
    days = Days(ends=START + 2 * HOUR)
    done = work(days, crm="every 15 minutes")

    def fails() -> None:
        if days.instant < START + HOUR:
            raise StoreError("the disk is full")

    done.before_noting = fails
    board = run(done)
    assert len(done.synced) == 8
    assert board.unready() == ()


def test_while_another_daemon_is_at_work_it_rests_and_then_does_what_is_due() -> None:
    days = Days(ends=START + 2 * HOUR)
    done = work(days, crm="every 15 minutes")
    resting: list[datetime] = []

    def keep() -> None:
        if START + 20 * MINUTE < days.instant < START + HOUR:
            assert not resting or "serves it already" in board.unready()[0]
            resting.append(days.instant)
            raise StoreBusyError("a crmsync daemon serves it already")

    board = Board(days, HOUR)
    loop = Daemon(work=done, clock=days, sleep=days.sleep, stop=days.over, board=board, keep=keep)
    loop.run()
    assert len(resting) == 39, "it asks once a minute"
    assert not {at for _, at in done.synced} & {*resting}
    assert not {*done.acted} & {*resting}
    assert START + HOUR in done.acted
    assert board.unready() == ()


def test_a_connection_that_fails_backs_off_and_the_other_goes_on() -> None:
    days = Days(ends=START + 6 * HOUR)
    done = work(days, crm="every 5 minutes", mail="every 5 minutes")
    done.broken["mail"] = "the password is wrong"
    run(done)
    assert Counter(name for name, _ in done.synced) == {"crm": 72, "mail": 11}


def test_a_clock_that_jumps_back_a_week_or_ahead_a_month_stops_nothing() -> None:
    days = Days(ends=START + HOUR)
    done = work(days, {"weekly": "mondays at 08:00"}, crm="every 15 minutes")
    run(done)
    for jump in (-7 * DAY, 37 * DAY):
        count, days.instant = len(done.acted), days.instant + jump
        days.ends = days.instant + HOUR
        run(done)
        assert 4 <= len(done.acted) - count <= 6


def test_a_clock_that_jumps_while_it_sleeps_is_noticed_within_a_minute() -> None:
    days = Days(ends=START + 10 * DAY)
    done = work(days, crm="every 15 minutes")
    board = Board(days, HOUR)
    naps = iter([*([timedelta()] * 20), -3 * DAY, *([timedelta()] * 30), 20 * DAY])

    def sleep(length: timedelta) -> None:
        days.sleep(length)
        days.instant += next(naps)

    Daemon(work=done, clock=days, sleep=sleep, stop=days.over, board=board).run()
    back = [at for at in done.acted if at < START]
    assert len(back) >= 2


def test_asked_to_stop_in_a_cycle_it_stops_without_an_error() -> None:
    days = Days()
    done = work(days, crm="every 15 minutes")

    def stops() -> None:
        days.ends = days.instant
        raise StoppedError("asked to")

    done.before_acting = stops
    board = run(done)
    assert days.naps == 0
    assert board.unready() == ("the first cycle has not ended yet",)


def test_a_year_takes_a_moment_and_keeps_its_hours_across_daylight_saving() -> None:
    days = Days(ends=START + 365 * DAY)
    done = work(days, crm="weekdays at 07:00", mail="daily at 02:30")
    days_sleep = days.sleep
    board = Board(days, HOUR)

    def sleep(_length: timedelta) -> None:
        wake = done.notes[WAKE_NOTE].at
        days_sleep(max(wake - days.instant, timedelta(seconds=1)))

    Daemon(work=done, clock=days, sleep=sleep, stop=days.over, board=board).run()
    crm = [at.astimezone(ZURICH) for name, at in done.synced if name == "crm"][1:]
    assert {(at.hour, at.minute) for at in crm} == {(7, 0)}
    assert {at.weekday() for at in crm} == {0, 1, 2, 3, 4}
    assert len(crm) == 261
    mail = Counter(at.astimezone(ZURICH).date() for name, at in done.synced if name == "mail")
    # Once a day; on the day of autumn on which the hour comes twice, twice.
    assert len(mail) == 366
    assert [str(day) for day, count in mail.items() if count == 2] == ["2026-10-25"]
