"""Activities as a page's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crmsync.model.pages import ORIGIN, PROBLEM, ROW
from crmsync.model.tables import FieldType
from crmsync.plugins.contract import RemoteField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync_email.reading.activities import MailActivity

_TYPES = {
    "id": FieldType.TEXT,
    "kind": FieldType.TEXT,
    "at": FieldType.INSTANT,
    "direction": FieldType.TEXT,
    "automated": FieldType.BOOLEAN,
    "subject": FieldType.TEXT,
    "text": FieldType.TEXT,
    "message_id": FieldType.TEXT,
    "answers": FieldType.TEXT,
    "addresses": FieldType.TEXT,
    "sender": FieldType.TEXT,
    "notice": FieldType.TEXT,
    "notice_address": FieldType.TEXT,
    "notice_reason": FieldType.TEXT,
    "notice_until": FieldType.DATE,
}
_ARROW = {
    FieldType.TEXT: pa.string(),
    FieldType.INSTANT: pa.timestamp("us", tz="UTC"),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.DATE: pa.date32(),
}
_SCHEMA = pa.schema(
    [
        *((name, _ARROW[type_]) for name, type_ in _TYPES.items()),
        (ORIGIN, pa.string()),
        (ROW, pa.int64()),
        (PROBLEM, pa.string()),
    ]
)


def fields() -> tuple[RemoteField, ...]:
    """What a mailbox's stream has; nothing of it can be written."""
    return tuple(
        RemoteField(name=name, type=type_, writable=False) for name, type_ in _TYPES.items()
    )


def table_of(
    activities: Sequence[MailActivity], unread: Sequence[tuple[str, int, str]] = ()
) -> pa.Table:
    """A page's records, each id once: of several with one id, the last.

    Args:
        unread: for each mail that could not be read its folder, its UID, and why.
    """
    rows = [_row(one) for one in {one.id: one for one in activities}.values()]
    rows += [{ORIGIN: folder, ROW: uid, PROBLEM: why} for folder, uid, why in unread]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _row(one: MailActivity) -> dict[str, object]:
    return {
        "id": one.id,
        "kind": "email",
        "at": one.at,
        "direction": one.direction,
        "automated": one.automated,
        "subject": one.subject,
        "text": one.text,
        "message_id": one.message_id,
        "answers": " ".join(one.answers) or None,
        "addresses": " ".join(one.addresses) or None,
        "sender": one.sender,
        "notice": one.notice,
        "notice_address": " ".join(one.notice_address) or None,
        "notice_reason": one.notice_reason,
        "notice_until": one.notice_until,
    }
