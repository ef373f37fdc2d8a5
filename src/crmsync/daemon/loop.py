"""Wakes when something is due, has it done, and sleeps until the next thing. Nothing ends it.

The loop knows no installation and no clock of its own: tests drive days of it in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from crmsync.daemon.hints import Hints
from crmsync.daemon.timetable import BackOff, Timetable
from crmsync.errors import CrmsyncError, StoppedError
from crmsync.ledger.coming import WAKE_NOTE, Note
from crmsync.observe import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmsync.clock import Clock
    from crmsync.daemon.board import Board
    from crmsync.model.schedules import Schedule

# Files are looked at this often; a clock that jumps is noticed as soon.
POLL = timedelta(minutes=1)
# Two cycles never follow each other more closely than this, whatever is due.
_SHORTEST_GAP = timedelta(minutes=1)
# But for one that a customer's own word waits for.
_WANTED_GAP = timedelta(seconds=10)
# A remote may tell of a change before it shows it to whoever reads: so it is read once more.
_SECOND_LOOK = timedelta(minutes=2)
_SHORTEST_PAUSE = timedelta(seconds=1)
# How far ahead a cycle looks for what comes due, where no schedule comes before.
_HORIZON = timedelta(days=1)

CONNECTION, RULE = "connection ", "rule "

_log = logger()


class Work(Protocol):
    """What there is to do; one method at a time is called, always from the same thread."""

    @property
    def company_zone(self) -> str:
        """Whose clock on the wall schedules follow that name no zone."""

    @property
    def connections(self) -> Mapping[str, Schedule]:
        """Every connection's schedule."""

    @property
    def rules(self) -> Mapping[str, Schedule]:
        """The schedules of the rules that have one."""

    def reload(self) -> bool:
        """Look at the files; whether others are in force now."""

    def sync(self, names: Sequence[str]) -> Mapping[str, str | None]:
        """Read these connections; by name, why one could not be read to its end, or None."""

    def act(self, resting: Mapping[str, datetime | None], until: datetime) -> datetime | None:
        """Decide and deliver; answers when something comes due before ``until``, if it does.

        Args:
            resting: the rules that nobody may enter now, and when their schedules come next.
            until: an instant (UTC).
        """

    def recall(self) -> Mapping[str, Note]:
        """What was noted, also by an earlier process."""

    def note(self, notes: Mapping[str, Note | None]) -> None:
        """Replace notes; None forgets one."""


@dataclass(kw_only=True)
class Daemon:
    """The loop.

    Args:
        clock: tells the present.
        sleep: returns after so long, or earlier where it is to stop.
        stop: whether it is to stop.
        hints: what others want to be done soon.
        keep: makes sure that this is the only daemon still; raises CrmsyncError where it is not.
    """

    work: Work
    clock: Clock
    sleep: Callable[[timedelta], None]
    stop: Callable[[], bool]
    board: Board
    hints: Hints = field(default_factory=Hints)
    keep: Callable[[], None] = lambda: None
    act_at: datetime | None = None
    acted_at: datetime | None = None
    hinted: set[str] = field(default_factory=set)
    second_looks: dict[str, datetime] = field(default_factory=dict)
    back_off: BackOff = field(default_factory=BackOff)
    connections: Timetable = field(init=False)
    rules: Timetable = field(init=False)

    def run(self) -> None:
        """Until it is to stop."""
        self.act_at = self.clock.now()
        self._read_schedules(self._recalled())
        while not self.stop():
            self.board.beat()
            alone = self._is_alone()
            try:
                if alone:
                    self._turn()
            except Exception as error:  # noqa: BLE001  whatever it is, the next turn may fare better
                self._failed(error)
            if not self.stop():
                pause = self._wake()[0] - self.clock.now()
                self.sleep(max(min(pause, POLL), _SHORTEST_PAUSE) if alone else POLL)

    def _is_alone(self) -> bool:
        """Whether no other daemon has begun, as one may once a database server has forgotten us.

        While there is one, nothing is read or done here; when it ends, all that is due is.
        """
        try:
            self.keep()
        except CrmsyncError as error:
            self.act_at = self.clock.now()
            self.board.failed(str(error))
            _log.error("daemon.rests", problem=str(error), again=_at(self.act_at + POLL))
            return False
        return True

    def _recalled(self) -> Mapping[str, Note]:
        try:
            return self.work.recall()
        except CrmsyncError as error:
            self._failed(error)
            return {}

    def _read_schedules(self, notes: Mapping[str, Note]) -> None:
        now = self.clock.now()
        before = {topic: note.at for topic, note in notes.items()}

        def answered(prefix: str, schedules: Mapping[str, Schedule]) -> dict[str, datetime]:
            return {n: before[prefix + n] for n in schedules if prefix + n in before}

        work, zone = self.work, self.work.company_zone
        self.connections = Timetable(
            schedules=work.connections,
            company_zone=zone,
            answered=answered(CONNECTION, work.connections),
        )
        self.hinted &= self.connections.schedules.keys()
        there = self.connections.schedules
        self.second_looks = {n: at for n, at in self.second_looks.items() if n in there}
        # A rule waits for the first time that its schedule comes; a connection is read at once.
        self.rules = Timetable(
            schedules=work.rules,
            company_zone=zone,
            answered=dict.fromkeys(work.rules, now) | answered(RULE, work.rules),
        )

    def _turn(self) -> None:
        now = self.clock.now()
        if self.work.reload():
            back_offs = self.connections.back_offs
            self._read_schedules(self._marks())
            self.connections.back_offs |= back_offs
            self.act_at = now
        self._take_hints(now)
        due = self.connections.due(now)
        due += [name for name in self._hinted_due(now) if name not in due]
        due += [name for name in self._second_looks_due(now) if name not in due]
        if due:
            self._sync(due)
        if (due or self._is_time(now)) and self.back_off.allows(now) and not self.stop():
            self._act()
            self._note()
        elif due:
            self._note()

    def _take_hints(self, now: datetime) -> None:
        connections, cycle = self.hints.take()
        self.hinted |= {name for name in connections if name in self.connections.schedules}
        if cycle:
            earliest = now if self.acted_at is None else self.acted_at + _WANTED_GAP
            soon = now if earliest > now + _WANTED_GAP else max(now, earliest)
            self.act_at = soon if self.act_at is None else min(self.act_at, soon)

    def _hinted_due(self, now: datetime) -> list[str]:
        return [name for name in sorted(self.hinted) if self._hinted_at(name, now) <= now]

    def _second_looks_due(self, now: datetime) -> list[str]:
        # What lies too far ahead was noted before the clock jumped back.
        looks = sorted(self.second_looks.items())
        return [name for name, at in looks if not now < at <= now + _SECOND_LOOK]

    def _hinted_at(self, name: str, now: datetime) -> datetime:
        """When a connection of which something was heard is read: however much is heard, seldom."""
        last = self.connections.answered.get(name)
        back_off = self.connections.back_offs.get(name)
        if back_off is not None and not back_off.allows(now) and back_off.until is not None:
            return back_off.until
        # A clock that jumped back does not make it wait longer.
        return now if last is None or last > now else max(now, last + _SHORTEST_GAP)

    def _is_time(self, now: datetime) -> bool:
        # What lies too far ahead was noted before the clock jumped back.
        act_at = self.act_at
        came = act_at is not None and (act_at <= now or act_at - now > _HORIZON)
        return came or bool(self.rules.due(now))

    def _sync(self, names: Sequence[str]) -> None:
        heard = self.hinted & {*names}
        self.hinted -= heard  # what is heard meanwhile is another hint
        begun = self.clock.now()
        outcome = self.work.sync(names)
        now = self.clock.now()
        for name in self._second_looks_due(begun):
            if name in names:
                del self.second_looks[name]
        seen = [name for name in heard if outcome.get(name) is None]
        self.second_looks |= dict.fromkeys(seen, begun + _SECOND_LOOK)
        for name in names:
            problem = outcome.get(name)
            if problem is None:
                self.connections.succeeded(name, now)
            else:
                again = self.connections.failed(name, now)
                _log.warning(
                    "daemon.sync_failed", connection=name, problem=problem, again=_at(again)
                )

    def _act(self) -> None:
        self.acted_at = now = self.clock.now()
        open_now = self.rules.due(now)
        resting = {
            name: self.rules.next_of(name, now)
            for name in self.rules.schedules
            if name not in open_now
        }
        later = [self.connections.next(now), *resting.values()]
        horizon = min((at for at in later if at is not None and at > now), default=now + _HORIZON)
        try:
            coming = self.work.act(resting, horizon)
        except StoppedError:
            return
        except Exception as error:  # noqa: BLE001  an error in one cycle never ends the daemon
            self._failed(error)
            return
        self.back_off.succeeded()
        self.board.went_through()
        for name in open_now:
            self.rules.succeeded(name, now)
        self.act_at = None if coming is None else max(coming, now + _SHORTEST_GAP)

    def _failed(self, error: Exception) -> None:
        self.act_at = self.back_off.failed(self.clock.now())
        known = isinstance(error, CrmsyncError)
        self.board.failed(str(error) if known else f"{type(error).__name__}, a mistake in crmsync")
        _log.error(
            "daemon.cycle_failed",
            problem=str(error) if known else type(error).__name__,
            again=_at(self.act_at),
            exc_info=None if known else error,
        )

    def _wake(self) -> tuple[datetime, str]:
        """The instant (UTC) at which something is due next, and what."""
        now = self.clock.now()
        nothing = [(now + _HORIZON, "a look around")]
        reads = [
            (at, f"reading {name}")
            for name in self.connections.schedules
            if (at := self.connections.next_of(name, now)) is not None
        ]
        reads += [(self._hinted_at(name, now), f"a hint from {name}") for name in self.hinted]
        reads += [(at, f"a second look at {name}") for name, at in self.second_looks.items()]
        acts = [
            (at, f"the schedule of {name}")
            for name in self.rules.schedules
            if (at := self.rules.next_of(name, now)) is not None
        ]
        if self.act_at is not None:
            acts.append((self.act_at, "what comes due"))
        if acts and self.back_off.until is not None and not self.back_off.allows(now):
            acts = [max(min(acts), (self.back_off.until, "trying again"))]
        return min(reads + acts or nothing)

    def _marks(self) -> dict[str, Note]:
        marks = {CONNECTION + name: at for name, at in self.connections.answered.items()}
        marks |= {RULE + name: at for name, at in self.rules.answered.items()}
        return {topic: Note(at=at) for topic, at in marks.items()}

    def _note(self) -> None:
        wake, what = self._wake()
        self.board.wakes(wake)
        _log.info("daemon.waits", until=_at(wake), next=what)
        self.work.note({**self._marks(), WAKE_NOTE: Note(at=wake, text=what)})


def _at(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds")
