"""Whom a person has said to leave alone: an address that gets no mail, an account that is muted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.clock import readable
from crmsync.errors import StoreBusyError
from crmsync.ledger.batches import far_away, speakable
from crmsync.ledger.locks import Lock, hold_until_the_end
from crmsync.ledger.schema import stop

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, tzinfo


# Whose word it is that nobody is at an address.
MAIL_SYSTEM = "the mail system"


class StopKind(StrEnum):
    """What is stopped."""

    ADDRESS = "address"  # no mail to it, of whatever class
    UNSUBSCRIBED = "unsubscribed"  # no commercial mail to it; the customer says so
    NOBODY_THERE = "nobody there"  # a mail system has refused mail to it: no such mailbox
    TRUSTED = "trusted"  # what mail had told of the address by then counts no more
    ACCOUNT = "account"  # nothing at all for it: no mail, task, note or update


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A person's word that an address or an account is to be left alone; ours or the customer's.

    Attributes:
        id: the ledger's number.
        target: an address in the spelling of `model.addresses.bare_address`; an account's
            global id.
        reason: as the person gave it; may be empty.
        until: the instant (UTC) from which it no longer counts; None where it has no end.
        lifted_at: the instant (UTC) at which a person took it back.
    """

    id: int
    kind: StopKind
    target: str
    reason: str
    said_by: str
    said_at: datetime
    until: datetime | None = None
    lifted_by: str | None = None
    lifted_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it counts at an instant."""
        return self.lifted_at is None and (self.until is None or now < self.until)

    def told(self, zone: tzinfo) -> str:
        """Who said so, when, until when and why."""
        until = "" if self.until is None else f" until {readable(self.until, zone)}"
        why = f": {self.reason}" if self.reason else ""
        return f"by {self.said_by} on {readable(self.said_at, zone)}{until}{why}"


def read_stops(connection: sa.Connection, *, now: datetime) -> tuple[Stop, ...]:
    """Those that hold at an instant, in the order in which they were said."""
    rows = connection.execute(sa.select(stop).where(_in_force(now)).order_by(stop.c.id))
    return tuple(_stop(row) for row in rows)


def stops_on(
    connection: sa.Connection, targets: Collection[str], *, now: datetime
) -> tuple[Stop, ...]:
    """Those on some addresses and accounts that hold at an instant, found by an index."""
    found = sa.select(stop).where(stop.c.target.in_(targets), _in_force(now)).order_by(stop.c.id)
    return tuple(_stop(row) for row in connection.execute(found))


def is_stopped(connection: sa.Connection, kind: StopKind, target: str, *, now: datetime) -> bool:
    """Whether somebody has said so, and it holds at an instant."""
    said = sa.exists().where(stop.c.kind == kind, stop.c.target == target, _in_force(now))
    return bool(connection.scalar(sa.select(said)))


def was_lifted_since(
    connection: sa.Connection, kind: StopKind, target: str, *, since: datetime
) -> bool:
    """Whether somebody has taken such a word back at that instant or later."""
    lifted = sa.exists().where(
        stop.c.kind == kind, stop.c.target == target, stop.c.lifted_at >= since
    )
    return bool(connection.scalar(sa.select(lifted)))


def say_stop(
    connection: sa.Connection,
    kind: StopKind,
    target: str,
    *,
    by: str,
    at: datetime,
    reason: str = "",
    until: datetime | None = None,
) -> Stop:
    """Record a word; it takes the place of an earlier one on the same.

    Until the transaction ends, no run records what it has decided; what one is recording now is
    there for the caller to take back.
    """
    lift_stop(connection, kind, target, by=by, at=at)
    values = {
        "kind": kind,
        "target": target,
        "reason": speakable(reason),
        "said_by": speakable(by),
        "said_at": at,
        "until": until,
    }
    row = connection.execute(sa.insert(stop).values(values).returning(stop)).one()
    return _stop(row)


def lift_stop(
    connection: sa.Connection, kind: StopKind, target: str, *, by: str, at: datetime
) -> tuple[Stop, ...]:
    """Take back what holds; answers with what that was."""
    _one_at_a_time(connection)
    rows = connection.execute(
        sa.update(stop)
        .where(
            stop.c.kind == kind,
            stop.c.target == target,
            _in_force(at),
        )
        .values(lifted_by=speakable(by), lifted_at=at)
        .returning(stop)
    )
    return tuple(_stop(row) for row in rows)


def check_stops(connection: sa.Connection, known: Sequence[Stop], *, now: datetime) -> None:
    """Hold the stops that a run knew when it decided against those that there are.

    Until the transaction ends, nobody says anything else.

    Raises:
        StoreBusyError: a person has said something since.
    """
    _one_at_a_time(connection)
    if {one.id for one in read_stops(connection, now=now)} != {one.id for one in known}:
        raise StoreBusyError(
            "somebody has muted an account or suppressed an address, or taken that back, while "
            "this run was deciding; nothing of this run was recorded; run again"
        )


def _one_at_a_time(connection: sa.Connection) -> None:
    """Words and what runs decide are recorded one after the other, so that each knows the other.

    On SQLite all that writes is. On a server, a word and a decision that are recorded at the same
    time would not see each other, and what was muted would go out.
    """
    if far_away(connection):
        hold_until_the_end(connection, Lock.WORDS)


def _in_force(at: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(stop.c.lifted_at.is_(None), sa.or_(stop.c.until.is_(None), stop.c.until > at))


def _stop(row: sa.Row[Any]) -> Stop:
    return Stop(**{**row._mapping, "kind": StopKind(row.kind)})
