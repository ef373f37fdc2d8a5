"""Finds the record that a person means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.errors import UsageError
from crmsync.journeys.people import record_name
from crmsync.model.tables import ID_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.model.records import RecordSource

_MOST_NAMED = 10
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
    exact: list[tuple[str, str, str]] = []
    alike: list[tuple[str, str, str]] = []
    for table in tables:
        rows = records.table(table)
        is_id = (rows.id == wanted) | rows.id.endswith(f"{ID_SEPARATOR}{wanted}")
        named = [rows[name] for name in _NAMES if name in rows.columns]
        is_name = ibis.or_(*(column.lower() == wanted.lower() for column in named))
        is_part = ibis.or_(*(column.lower().contains(wanted.lower()) for column in named))
        for found, into in ((is_id | is_name, exact), (is_part, alike)):
            hits = rows.filter(found.fill_null(False)).order_by("id").limit(_MOST_NAMED + 1)
            into += [
                (table, row["id"], record_name(row)) for row in records.query(hits).to_pylist()
            ]
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
