"""What others want the loop to do soon: never too often, and never lost."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.daemon.board import Board
from crmsync.daemon.hints import Hints
from crmsync.daemon.loop import Daemon
from crmsync.model.schedules import Schedule, parse_schedule
from crmsync.observe import configure_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmsync.ledger.coming import Note

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def quiet() -> None:
    configure_logs(level="critical")


@dataclass(kw_only=True)
class Days:
    """A day of two connections that are read once in it, and what is told from outside.

    Attributes:
        told: at offsets from the start, in the middle of a sleep.
        broken: connections that cannot be read.
    """

    told: dict[timedelta, Callable[[Hints], None]]
    broken: set[str] = field(default_factory=set)
    company_zone: str = "UTC"
    instant: datetime = START
    wakes: int = 0
    synced: list[tuple[str, timedelta]] = field(default_factory=list)
    acted: list[timedelta] = field(default_factory=list)
    while_reading: Callable[[Hints], None] = lambda _: None
    hints: Hints = field(init=False)

    def __post_init__(self) -> None:
        self.hints = Hints(self.wake)

    def run(self) -> Days:
        Daemon(
            work=self,
            clock=self,
            sleep=self.sleep,
            stop=lambda: self.instant >= START + 12 * HOUR,
            board=Board(self, HOUR),
            hints=self.hints,
        ).run()
        return self

    def wake(self) -> None:
        self.wakes += 1

    def now(self) -> datetime:
        return self.instant

    def sleep(self, length: timedelta) -> None:
        end, wakes = self.instant + length, self.wakes
        for offset in sorted(self.told):
            if START + offset > end or self.wakes > wakes:
                break
            self.instant = max(self.instant, START + offset)
            self.told.pop(offset)(self.hints)
        if self.wakes == wakes:
            self.instant = end

    @property
    def connections(self) -> Mapping[str, Schedule]:
        return dict.fromkeys(("crm", "mail"), parse_schedule("daily at 09:00"))

    rules: Mapping[str, Schedule] = field(default_factory=dict)

    def reload(self) -> bool:
        return False

    def sync(self, names: Sequence[str]) -> Mapping[str, str | None]:
        self.synced += [(name, self.instant - START) for name in names]
        self.while_reading(self.hints)
        return {name: "it broke" if name in self.broken else None for name in names}

    def act(self, resting: Mapping[str, datetime | None], until: datetime) -> datetime | None:
        del resting, until
        self.acted.append(self.instant - START)
        return None

    def recall(self) -> Mapping[str, Note]:
        return {}

    def note(self, notes: Mapping[str, Note | None]) -> None:
        assert notes


FIRST = [("crm", timedelta()), ("mail", timedelta())]


def test_a_hint_lets_its_connection_be_read_and_acted_upon_at_once() -> None:
    days = Days(told={3 * HOUR: lambda hints: hints.read("crm")}).run()
    # A remote may tell of what it does not show yet.
    again = 3 * HOUR + 2 * MINUTE
    assert days.synced == [*FIRST, ("crm", 3 * HOUR), ("crm", again)]
    assert days.acted == [timedelta(), 3 * HOUR, again]


def flood(hints: Hints) -> None:
    for _ in range(50):
        hints.read("crm")


def test_a_flood_of_hints_reads_once_a_minute() -> None:
    told: dict[timedelta, Callable[[Hints], None]] = {
        HOUR + number * SECOND: flood for number in range(600)
    }
    days = Days(told=told).run()
    times = [at for name, at in days.synced[2:] if name == "crm"]
    assert times[0] == HOUR
    assert times[-1] >= HOUR + 599 * SECOND, "the last one was not lost"
    assert 10 <= len(times) <= 13
    assert min(b - a for a, b in itertools.pairwise(times)) >= MINUTE
    assert len(days.acted) == len(times) + 1


def test_what_is_heard_while_reading_is_read_again() -> None:
    days = Days(told={HOUR: lambda hints: hints.read("crm")})
    left = ["once"]
    days.while_reading = lambda hints: (
        hints.read("crm") if days.synced[-1][1] and left and left.pop() else None
    )
    days.run()
    assert [at for _, at in days.synced[2:]] == [HOUR, HOUR + MINUTE, HOUR + 3 * MINUTE]


def test_a_connection_that_cannot_be_read_is_not_hurried() -> None:
    told: dict[timedelta, Callable[[Hints], None]] = {
        number * MINUTE: lambda hints: hints.read("crm") for number in range(1, 120)
    }
    days = Days(told=told, broken={"crm"}).run()
    # Doubled each time up to an hour: 0, 1, 3, 7, 15, 31, 63, 123 minutes, then hourly.
    assert Counter(name for name, _ in days.synced)["crm"] <= 20


def test_a_hint_about_nothing_that_there_is_does_nothing() -> None:
    days = Days(told={HOUR: lambda hints: hints.read("gone")}).run()
    assert days.synced == FIRST
    assert days.acted == [timedelta()]


def test_a_cycle_that_is_wanted_comes_at_once_or_seconds_after_the_last() -> None:
    told: dict[timedelta, Callable[[Hints], None]] = {
        HOUR: Hints.act,
        HOUR + 2 * SECOND: Hints.act,
        HOUR + 4 * SECOND: Hints.act,
    }
    days = Days(told=told).run()
    assert days.acted == [timedelta(), HOUR, HOUR + 10 * SECOND]
    assert days.synced == FIRST


def test_many_threads_wake_the_loop_once() -> None:
    woken: list[int] = []
    hints = Hints(lambda: woken.append(1))
    threads = [threading.Thread(target=hints.read, args=(f"c{n % 3}",)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(woken) == 1
    assert hints.take() == ({"c0", "c1", "c2"}, False)
    hints.act()
    assert len(woken) == 2
    assert hints.take() == (set(), True)
    assert hints.take() == (set(), False)
