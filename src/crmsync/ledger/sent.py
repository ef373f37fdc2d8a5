"""Mails that went out, lately or at all, and those that have a time at which they may go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.schema import SENT_MAIL, effect, enrolment
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind
from crmsync.model.tables import split_global_id

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


@dataclass(frozen=True, kw_only=True)
class OutMail:
    """A mail that a connection has sent, or may have.

    Attributes:
        at: when that was settled (UTC).
        message_ids: those by which it may be named, ours first.
        source: the connection that its subject came from.
        about: the table and the remote's id of the records that it is about.
    """

    effect: int
    at: datetime
    message_ids: tuple[str, ...]
    recipient: str
    source: str
    about: Sequence[tuple[str, str]]


def mails_out(connection: sa.Connection, *, since: datetime | None) -> Sequence[OutMail]:
    """The mails that went out, or may have, since an instant; all of them without one."""
    names = ("message_id", "recipient")
    told = sa.select(
        *(effect.c.id, effect.c.updated_at, effect.c.remote_id, enrolment.c.subject),
        *(effect.c.payload[name].as_string().label(name) for name in names),
        effect.c.payload["about"].label("about"),
    ).join(enrolment, enrolment.c.id == effect.c.enrolment_id)
    told = told.where(SENT_MAIL).order_by(effect.c.updated_at, effect.c.id)
    if since is not None:
        told = told.where(effect.c.updated_at >= since)
    return [
        OutMail(
            effect=row.id,
            at=row.updated_at,
            message_ids=_message_ids(row.message_id, row.remote_id),
            recipient=row.recipient,
            source=split_global_id(row.subject)[0],
            about=[(one["table"], one["id"]) for one in row.about or ()],
        )
        for row in connection.execute(told)
    ]


def _message_ids(ours: str, remote_id: str | None) -> tuple[str, ...]:
    """A provider that gives mails another Message-ID answers with that one."""
    others = [remote_id] if remote_id and "@" in remote_id and remote_id != ours else []
    return (ours, *others)
