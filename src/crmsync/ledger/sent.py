"""Which mails a connection has sent a moment ago, and which have a time at which they may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.schema import SENT_MAIL, effect
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

# Of more than these the turns need not be known: each is asked about again when it comes.
_MOST_PROMISED = 1_000
_RECIPIENT = effect.c.payload["recipient"].as_string()


def mails_sent(
    connection: sa.Connection,
    name: str,
    *,
    since: datetime,
    until: datetime,
    but: Collection[int],
) -> Sequence[tuple[datetime, str]]:
    """When each mail went out, or may have, and to whom; what is just being sent counts as now.

    Args:
        since: an instant; those after it are wanted.
        until: the present instant.
        but: the ids of effects that are left out.
    """
    sending = (
        sa.select(effect.c.id, _RECIPIENT)
        .where(effect.c.state == State.SENDING, _is_mail_of(name))
        .order_by(effect.c.id)
    )
    now = ((until, to) for number, to in connection.execute(sending) if number not in but)
    return [*_settled(connection, name, since), *now]


def mails_promised(
    connection: sa.Connection, name: str, *, after: datetime
) -> Sequence[tuple[datetime, str]]:
    """The mails that are ready and may not go before a later instant: then, and to whom."""
    rows = connection.execute(
        sa.select(effect.c.not_before, _RECIPIENT)
        .where(effect.c.state == State.READY, _is_mail_of(name), effect.c.not_before > after)
        .order_by(effect.c.not_before.desc())
        .limit(_MOST_PROMISED)
    )
    return [(at, to) for at, to in rows]


def _settled(
    connection: sa.Connection, name: str, since: datetime
) -> Iterator[tuple[datetime, str]]:
    """What was found out later counts as sent then: rather one too few goes out."""
    rows = connection.execute(
        sa.select(effect.c.updated_at, _RECIPIENT).where(
            SENT_MAIL, effect.c.connection == name, effect.c.updated_at > since
        )
    )
    yield from ((at, to) for at, to in rows)


def _is_mail_of(name: str) -> sa.ColumnElement[bool]:
    return (effect.c.connection == name) & (effect.c.kind == ActionKind.EMAIL)
