"""Finds the record that a person means."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from crmsync.errors import UsageError
from crmsync.journeys.people import record_name
from crmsync.model.records import Given
from crmsync.model.tables import ID_SEPARATOR
from crmsync.warehouse.reader import Records
from crmsync.warehouse.variables import variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from crmsync.model.records import RecordSource

_MOST_NAMED = 10
# What is looked for, as queries are told it.
_WANTED, _LOWER, _ID = "wanted", "wanted in lower case", "end of a wanted id"
_NAMES = ("name", "email", "subject", "title")


def find_record(
    records: RecordSource, tables: Sequence[str], wanted: str, then: str = ""
) -> tuple[str, str, str]:
    """The table, global id and name of the one record that is meant.

    Args:
        tables: where it is looked for.
        wanted: its global id, its id in the CRM, its name, or a part of its name.
        then: which time is meant, where it is not the present; for the sentence.

    Raises:
        UsageError: there is no such record, or more than one.
    """
    if isinstance(records, Records):  # one that another stands for, or was merged into
        for table in tables:
            wanted = records.aliases().get(table, {}).get(wanted, wanted)
    said = {_WANTED: wanted, _LOWER: wanted.lower(), _ID: f"{ID_SEPARATOR}{wanted}"}
    exact: list[tuple[str, str, str]] = []
    alike: list[tuple[str, str, str]] = []
    for table in tables:
        for part, into in ((False, exact), (True, alike)):
            build = partial(_called, records, table, part=part)
            query = records.compiled(f"records {table} called {part}", build)
            rows = records.query(query, Given(values=said)).to_pylist()
            into += [(table, row["id"], record_name(row)) for row in rows]
    hits = exact or alike
    if not hits:
        raise UsageError(
            f"no {' or '.join(tables)} is called “{wanted}”{then}; "
            "was it synced, and not deleted? See “crmsync status”"
        )
    if len(hits) > 1:
        listed = ", ".join(f"{name} ({table} {id_})" for table, id_, name in hits[:_MOST_NAMED])
        more = " and more" if len(hits) > _MOST_NAMED else ""
        raise UsageError(f"“{wanted}” can be several: {listed}{more}; name one by its id")
    return hits[0]


def _called(records: RecordSource, table: str, *, part: bool) -> ir.Table:
    """The records that are called so, or whose name has a part that is called so."""
    rows = records.table(table)
    names = [rows[name].lower() for name in _NAMES if name in rows.columns]
    lower = variable(_LOWER, dt.string)
    if part:
        found = ibis.or_(*(name.contains(lower) for name in names))
    else:
        is_id = (rows.id == variable(_WANTED, dt.string)) | rows.id.endswith(
            variable(_ID, dt.string)
        )
        found = ibis.or_(is_id, *(name == lower for name in names))
    return rows.filter(found.fill_null(False)).order_by("id").limit(_MOST_NAMED + 1)
