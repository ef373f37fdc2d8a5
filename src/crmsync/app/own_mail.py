"""What the ledger knows of mail is told to the warehouse: what went out, and what was refused.

So a bounce, a complaint or an answer that names a mail of ours is understood, whether or not a
copy of that mail was ever read; and the facts, which rest on the warehouse alone, know of an
address at which a mail system said that nobody is. They are activities of a connection of our own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from crmsync.ledger.sent import mails_out
from crmsync.ledger.stops import StopKind
from crmsync.model.addresses import bare_address
from crmsync.model.notices import NO_SUCH_ADDRESS, NoticeKind
from crmsync.model.own_mail import OF_THE_LEDGER
from crmsync.model.pages import DELETED
from crmsync.model.tables import global_id
from crmsync.sync.own_records import own_rows
from crmsync.warehouse.batch import Batch
from crmsync.warehouse.types import INSTANT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    import ibis.expr.types as ir

    from crmsync.app.workspace import Workspace
    from crmsync.ledger.sent import OutMail
    from crmsync.ledger.stops import Stop
    from crmsync.model.records import RecordSource

    Row = dict[str, Any]

_TABLE, _SENT, _REFUSED = "activity", "sent", "refused"
# Of two processes that settle at the same time, the one with the earlier clock may commit later.
_CLOCKS_DIFFER = timedelta(minutes=10)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_ATTACHED = ("contact", "account", "deal")


def tell_of_own_mail(workspace: Workspace, *, sent: bool) -> bool:
    """Bring the activities up to date with the ledger; answers with whether any has changed.

    Args:
        sent: also tell of what went out, of which only those need to know who read mail.

    Raises:
        StoreError: the ledger or the warehouse cannot be read or written.
    """
    with workspace.warehouse.reading() as records:
        cursor = records.positions(OF_THE_LEDGER)
        refused = records.query(records.compiled("told refusals", lambda: _told(records)))
    known = set(refused["id"].to_pylist())
    stops = {_refusal_id(one): one for one in workspace.ledger.stops(now=workspace.clock.now())
             if one.kind is StopKind.NOBODY_THERE}  # fmt: skip
    rows = [_refusal(stops[name]) for name in sorted(stops.keys() - known)]
    # What a person has taken back is no longer so.
    rows += [{"id": name, DELETED: True} for name in sorted(known - stops.keys())]
    changed = _merge(workspace, _REFUSED, rows, "")
    if sent:
        before = cursor[_SENT].cursor if _SENT in cursor else None
        changed |= _tell_of_sent(workspace, before)
    return changed


def _tell_of_sent(workspace: Workspace, cursor: str | None) -> bool:
    reached = datetime.fromisoformat(cursor) if cursor else None
    since = None if reached is None else reached - _CLOCKS_DIFFER
    with workspace.ledger.reading() as connection:
        mails = mails_out(connection, since=since)
    rows = [row for mail in mails for row in _mail(mail)]
    if reached is not None and rows:
        with workspace.warehouse.reading() as records:
            known = records.rows(_TABLE, [row["id"] for row in rows])
        rows = [row for row in rows if row["id"] not in known]
    last = max((mail.at for mail in mails), default=None)
    return last is not None and _merge(workspace, _SENT, rows, last.isoformat())


def _told(records: RecordSource) -> ir.Table:
    activity = records.table(_TABLE)
    ours = (activity.connection == OF_THE_LEDGER) & activity.notice.notnull()
    return activity.filter(ours).select("id")


def _refusal_id(stop: Stop) -> str:
    return global_id(OF_THE_LEDGER, f"{_REFUSED}-{stop.id}-{stop.said_at.isoformat()}")


def _refusal(stop: Stop) -> Row:
    return {
        "id": _refusal_id(stop),
        "at": stop.said_at,
        "kind": "email",
        "direction": "inbound",
        "automated": True,
        "addresses": stop.target,
        "notice": NoticeKind.HARD_BOUNCE.value,
        "notice_address": stop.target,
        "notice_reason": stop.reason or NO_SUCH_ADDRESS,
    }


def _mail(mail: OutMail) -> Iterator[Row]:
    about = {table: global_id(mail.source, remote) for table, remote in mail.about}
    for number, message_id in enumerate(mail.message_ids, start=1):
        yield {
            "id": global_id(OF_THE_LEDGER, f"{_SENT}-{mail.effect}-{number}"),
            "at": mail.at,
            "kind": "email",
            "direction": "outbound",
            "automated": True,
            "addresses": bare_address(mail.recipient),
            "message_id": message_id,
            **{table: about[table] for table in _ATTACHED if table in about},
        }


def _merge(workspace: Workspace, stream: str, rows: Sequence[Row], cursor: str) -> bool:
    if not rows:
        return False
    table = workspace.warehouse.tables[_TABLE]
    batch = Batch(
        connection=OF_THE_LEDGER,
        stream=stream,
        table=_TABLE,
        rows=own_rows(table, OF_THE_LEDGER, _columns(rows)),
        cursor=cursor,
    )
    with workspace.warehouse.writing() as writer:
        merged = writer.merge(batch, now=workspace.clock.now())
    return bool(merged.changed or merged.deleted)


def _columns(rows: Sequence[Row]) -> Mapping[str, pa.Array]:
    flags = {"automated", DELETED}
    texts = ("id", "kind", "direction", "addresses", "message_id", *_ATTACHED)
    columns = {
        name: pa.array([row.get(name) for row in rows], pa.string())
        for name in (*texts, "notice", "notice_address", "notice_reason")
    }
    columns |= {name: pa.array([bool(row.get(name)) for row in rows]) for name in flags}
    # Instants of Python would load pandas.
    moments = [row.get("at") for row in rows]
    numbers = [None if at is None else (at - _EPOCH) // _MICROSECOND for at in moments]
    columns["at"] = pa.array(numbers, pa.int64()).cast(INSTANT.to_pyarrow())
    return columns
