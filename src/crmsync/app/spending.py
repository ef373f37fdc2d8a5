"""What the remotes' allowances of calls are used for: noted after each use of a connection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.app.results.status import CallsStatus
from crmsync.ledger.coming import Note, read_notes, write_notes
from crmsync.plugins.contract import Allowance, CountsCalls

if TYPE_CHECKING:
    import sqlalchemy as sa

    from crmsync.app.workspace import Workspace
    from crmsync.plugins.contract import CallCount, Connector

_TOPIC = "calls of "
_REMEMBERED = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class _Spent:
    """The calls of the last day, each lot with its instant, and the allowance as last told."""

    lots: tuple[tuple[datetime, int], ...] = ()
    used: int | None = None
    allowed: int | None = None

    @classmethod
    def read(cls, note: Note | None) -> _Spent:
        if note is None:
            return cls()
        told = json.loads(note.text)
        lots = tuple((datetime.fromisoformat(at), made) for at, made in told.pop("lots"))
        return cls(lots=lots, **told)

    def and_also(self, count: CallCount, at: datetime) -> _Spent:
        lots = (*self.since(at - _REMEMBERED), (at, count.made))
        return _Spent(
            lots=lots,
            used=self.used if count.used is None else count.used,
            allowed=self.allowed if count.allowed is None else count.allowed,
        )

    def since(self, first: datetime) -> tuple[tuple[datetime, int], ...]:
        return tuple((at, made) for at, made in self.lots if at > first)

    def note(self, at: datetime) -> Note:
        lots = [(at.isoformat(), made) for at, made in self.lots]
        told = {"lots": lots, "used": self.used, "allowed": self.allowed}
        return Note(at=at, text=json.dumps(told))


def note_calls(workspace: Workspace, name: str, connector: Connector) -> None:
    """Note what a connection has called since it was opened, where it counts."""
    if not isinstance(connector, CountsCalls) or not (count := connector.call_count()).made:
        return
    at, topic = workspace.clock.now().astimezone(UTC), _TOPIC + name

    def write(connection: sa.Connection) -> None:
        before = _Spent.read(read_notes(connection).get(topic))
        write_notes(connection, {topic: before.and_also(count, at).note(at)})

    workspace.ledger.write(write)


def allowance_told(workspace: Workspace, name: str) -> Allowance | None:
    """What a connection's remote told last of its allowance; None where it never did."""
    with workspace.ledger.reading() as connection:
        note = read_notes(connection).get(_TOPIC + name)
    spent = _Spent.read(note)
    if note is None or spent.used is None or spent.allowed is None:
        return None
    return Allowance(used=spent.used, allowed=spent.allowed, at=note.at.astimezone(UTC))


def calls_spent(workspace: Workspace) -> tuple[CallsStatus, ...]:
    """What each connection that counts has called within a day, and what is used by whomever."""
    with workspace.ledger.reading() as connection:
        notes = read_notes(connection)
    found = []
    for name in workspace.installation.settings.connections:
        note = notes.get(_TOPIC + name)
        if note is not None:
            spent = _Spent.read(note)
            found.append(
                CallsStatus(
                    connection=name,
                    made=sum(made for _, made in spent.since(workspace.now - _REMEMBERED)),
                    used=spent.used,
                    allowed=spent.allowed,
                    told_at=note.at.astimezone(workspace.zone),
                )
            )
    return tuple(found)
