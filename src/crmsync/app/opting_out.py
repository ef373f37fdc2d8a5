"""What customers decline: heard where they say so by mail, written into the CRM's own field.

There on every record that they have.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmsync.app.correspondence import instants
from crmsync.app.stopping import UNSUBSCRIBE_MAIL, unsubscribe
from crmsync.ledger.opt_outs import OptOut, record_opt_outs
from crmsync.ledger.stops import StopKind
from crmsync.model.actions import ActionKind, RecordRef
from crmsync.model.records import Given
from crmsync.model.tables import split_global_id
from crmsync.warehouse.addresses import declined_by_mail
from crmsync.warehouse.types import INSTANT
from crmsync.warehouse.variables import given_table, variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from crmsync.app.workspace import Workspace
    from crmsync.config.mapping import FieldMapping
    from crmsync.ledger.stops import Stop
    from crmsync.warehouse.reader import Records

_TABLE, _FIELD = "contact", "unsubscribed"
_DECLINED = "declined_addresses"
_SINCE = "declined_since"
# A mailbox's first reading brings what people wrote before, to whoever wrote to them then.
_HEARD_OF = timedelta(days=90)


def hear_who_declines(workspace: Workspace) -> int:
    """Record who has written that they want no more commercial mail; answers with how many are new.

    Raises:
        StoreError: the ledger cannot be written.
    """
    since = workspace.now - _HEARD_OF

    def build() -> ir.Table:
        activity = records.table("activity")
        return declined_by_mail(
            activity.filter(activity["at"] >= variable(_SINCE, INSTANT).cast(activity["at"].type()))
        )

    with workspace.warehouse.reading() as records:
        asked = records.compiled("declined by mail", build)
        found = records.query(asked, Given(values={_SINCE: since}))
    told = zip(found["address"].to_pylist(), instants(found["at"]), strict=True)
    # A mail system's clock may be ahead of ours; what was read has been said.
    return sum(
        unsubscribe(workspace, address, by=UNSUBSCRIBE_MAIL, asked_at=min(at, workspace.now))
        for address, at in told
        if at is not None
    )


def write_opt_outs(workspace: Workspace, run_id: int) -> bool:
    """Record an update of each contact who has declined by a link and whose record lacks it.

    Once for each word and contact: who takes the mark away in the CRM is not overruled, and the
    word itself holds until it is lifted.

    Returns:
        Whether anything is to be handed over.
    """
    now = workspace.clock.now()
    stops = [one for one in workspace.ledger.stops(now=now) if one.kind is StopKind.UNSUBSCRIBED]
    if not stops:
        return False
    with workspace.warehouse.reading() as records:
        found = [*_unmarked(workspace, records, stops)]
    return bool(
        workspace.ledger.write(
            lambda connection: record_opt_outs(connection, found, run_id=run_id, at=now)
        )
    )


def _unmarked(workspace: Workspace, records: Records, stops: Sequence[Stop]) -> Iterator[OptOut]:
    by_address = {stop.target: stop.id for stop in stops}
    for row in _contacts(records, by_address):
        connection, remote_id = split_global_id(row["id"])
        field = opt_out_field(workspace, connection)
        if field is not None:
            stream, column, word = field
            yield OptOut(
                stop=by_address[row["address"]],
                contact=row["id"],
                connection=connection,
                stream=stream,
                record=RecordRef(table=_TABLE, id=remote_id),
                changes=((column, word),),
            )


def _contacts(records: Records, addresses: Mapping[str, int]) -> list[dict[str, Any]]:
    """``id`` and ``address`` of the contacts with these addresses that are not marked."""

    def build() -> ir.Table:
        contacts = records.apart(_TABLE)  # each system is told, whoever stands for whom
        unmarked = contacts.filter(~contacts.unsubscribed.fill_null(False))
        spelt = unmarked.select("id", address=unmarked.email.strip().lower())
        return spelt.semi_join(given_table(_DECLINED, {"address": "string"}), "address")

    kept = records.keep(pa.table({"address": pa.array(sorted(addresses), pa.string())}))
    given = Given(tables={_DECLINED: kept})
    rows: list[dict[str, Any]] = records.query(
        records.compiled("unmarked contacts", build), given
    ).to_pylist()
    return rows


def opt_out_field(workspace: Workspace, connection: str) -> tuple[str, str, str | bool] | None:
    """Where a connection keeps that a contact wants no mail: stream, its own field and word.

    None where it cannot be written there.
    """
    if ActionKind.UPDATE not in workspace.abilities(connection):
        return None
    found = workspace.remote_field(connection, _TABLE, _FIELD)
    if found is None:
        return None
    stream, column = found
    word = _yes(workspace.connection(connection).streams[stream].fields[_FIELD])
    return None if word is None else (stream, column, word)


def _yes(mapping: FieldMapping) -> str | bool | None:
    """The remote's own word for “yes”; None where nobody can tell it."""
    words = mapping.remote_words(value=True)
    return next((word for word in words if isinstance(word, str | bool)), None)
