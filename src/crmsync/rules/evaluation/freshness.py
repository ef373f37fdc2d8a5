"""How far what was read can be trusted, for each table and connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from crmsync.model.records import StreamState

# Tables that complete another one where they are read, and need not be there.
_MOMENT = timedelta(microseconds=1)
_COMPLETED_BY = {"activity": ("activity_link",)}
# A connection with activities and without these is a mailbox: its mail may concern anybody.
_WHOSE = ("account", "contact", "deal")

# Where more than this share of a stream is missing, its mapping is wrong or its export broken,
# and that nothing is there says nothing. A few bad rows are in every export.
_MOST_MISSING = 0.1


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """The state of every stream at one instant.

    Attributes:
        bound: the age that what was read of a table may have.
    """

    states: Sequence[StreamState]
    now: datetime
    bound: Callable[[str], timedelta]

    def as_last_read(self) -> Freshness:
        """As if each stream that was ever read had been read just now, to its end."""
        states = [
            state
            if state.read_at is None
            else replace(
                state, read_at=self.now, error=None, missing=0, written_at=None, really_at=None
            )
            for state in self.states
        ]
        return replace(self, states=states)

    def fresh_connections(self, tables: Iterable[str]) -> tuple[str, ...]:
        """The connections in which all these tables were read completely, and lately enough."""
        names = tuple(tables)
        connections = dict.fromkeys(state.connection for state in self.states)
        return tuple(c for c in connections if not self.reasons(c, names))

    def grows_stale(self, tables: Iterable[str], until: datetime) -> dict[str, datetime]:
        """The connections that are no longer fresh then, each with the first such instant (UTC)."""
        names = tuple(tables)
        found = {}
        for connection in self.fresh_connections(names):
            for at in sorted(self._ends(connection, until)):
                later = replace(self, now=at)
                if later.reasons(connection, names):
                    found[connection] = at
                    break
        return found

    @cached_property
    def _seen(self) -> Sequence[StreamState]:
        return [state.seen_from(self.now) for state in self.states]

    @cached_property
    def _mailboxes(self) -> frozenset[str]:
        having = {
            table: {state.connection for state in self.states if state.table == table}
            for table in ("activity", *_WHOSE)
        }
        return frozenset(having["activity"].difference(*(having[table] for table in _WHOSE)))

    @cached_property
    def _together(self) -> dict[str, frozenset[str]]:
        """What one of them says of a customer may be missing in another."""
        return {state.connection: state.together for state in self.states if state.together}

    def _ends(self, connection: str, until: datetime) -> Iterator[datetime]:
        """When what was read of the streams of a connection gets too old."""
        for state in self._seen:
            together = self._together.get(connection, ())
            mine = state.connection in {connection, *together, *self._mailboxes}
            if mine and state.known_at is not None:
                end = state.known_at.astimezone(UTC) + self.bound(state.table) + _MOMENT
                if self.now < end <= until:
                    yield end

    def reasons(self, connection: str, tables: Iterable[str]) -> tuple[str, ...]:
        """Why tables of a connection cannot be trusted; empty where they can."""
        found = [reason for table in tables for reason in self._reasons(connection, table)]
        return tuple(dict.fromkeys(found))

    def own_reasons(self, connection: str, table: str) -> tuple[str, ...]:
        """The same of a connection's own streams of a table, whatever completes them elsewhere."""
        own = [s for s in self._seen if (s.connection, s.table) == (connection, table)]
        return tuple(reason for state in own if (reason := self._reason(state)) is not None)

    def _reasons(self, connection: str, table: str) -> list[str]:
        where = {connection, *self._together.get(connection, ())}
        completing_in = where
        if table == "activity":
            where = {*where, *self._mailboxes}
        states = [s for s in self._seen if s.connection in where and s.table == table]
        if not states:
            return [f"the config has no {table} stream of {connection}"]
        for completing in _COMPLETED_BY.get(table, ()):
            states += [
                s for s in self._seen if s.connection in completing_in and s.table == completing
            ]
        # One cause, such as a token that is no good, is told once and not of each stream.
        alike: dict[tuple[str, str, bool, str | None], list[StreamState]] = {}
        for state in states:
            known = state.read_at is not None
            alike.setdefault((state.connection, state.table, known, state.error), []).append(state)
        found: list[str] = []
        for (_, _, _, error), some in alike.items():
            if error is not None and len(some) > 1:
                found.append(_unread(some, error))
            else:
                found += [reason for state in some if (reason := self._reason(state)) is not None]
        return found

    def _reason(self, state: StreamState) -> str | None:
        named = f"the {state.table} stream of {state.connection}"
        if state.stream != state.table:
            named = f"the {state.table} stream “{state.stream}” of {state.connection}"
        if state.read_at is None:
            return f"{named} was never read" + (f": {state.error}" if state.error else "")
        if state.error is not None:
            return f"{named} could not be read to its end: {state.error}"
        if state.missing > state.rows * _MOST_MISSING:
            return f"{state.missing:,} of {state.rows:,} rows of {named} could not be read"
        age, bound = self.now - state.read_at, self.bound(state.table)
        if age > bound:
            return f"{named} was last read {_hours(age)} ago, longer than {_hours(bound)}"
        if state.written_at is not None and (age := self.now - state.written_at) > bound:
            return (
                f"what was read of {named} was written {_hours(age)} ago, longer than "
                f"{_hours(bound)}; is its export still running?"
            )
        return None


def _unread(states: Sequence[StreamState], error: str) -> str:
    """Streams of a table and a connection that met the same error."""
    *some, last = [f"“{state.stream}”" for state in states]
    named = f"the {states[0].table} streams {', '.join(some)} and {last} of {states[0].connection}"
    if states[0].read_at is None:
        return f"{named} were never read: {error}"
    return f"{named} could not be read to their end: {error}"


def _hours(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    if hours < 48:  # noqa: PLR2004  two days read better as days
        return f"{hours:.0f} hours" if hours >= 1 else f"{hours * 60:.0f} minutes"
    return f"{hours / 24:.0f} days"
