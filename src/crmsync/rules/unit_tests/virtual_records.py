"""How the records of a rule test change from one instant to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync.rules.unit_tests.memory_rows import HISTORY, read_value

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.model.tables import Table

    # By table, rows as they are written in YAML.
    RecordsByTable = Mapping[str, Sequence[Mapping[str, object]]]


def changed_records(
    tables: Mapping[str, Table],
    before: RecordsByTable,
    given: RecordsByTable,
    deleted: Mapping[str, Collection[str]],
    *,
    at: datetime,
) -> RecordsByTable:
    """The records once some are new, changed or deleted at an instant.

    Of a record that is there already, only what is given changes; a change of a tracked field is
    added to its history, as a sync would.
    """
    found = {}
    for name in (*before, *(name for name in given if name not in before)):
        rows = {str(row["id"]): row for row in before.get(name, ())}
        for row in given.get(name, ()):
            known = rows.get(str(row["id"]))
            new = row if known is None else _changed(tables[name], known, row, at)
            rows[str(row["id"])] = new
        found[name] = [row for i, row in rows.items() if i not in deleted.get(name, ())]
    return found


def _changed(
    table: Table, known: Mapping[str, object], given: Mapping[str, object], at: datetime
) -> Mapping[str, object]:
    row = {**known, **given}
    if HISTORY in given:
        return row
    past: Any = dict(known.get(HISTORY) or {})  # type: ignore[call-overload]  # the loader has looked
    for field in table.fields:
        old, new = (
            read_value(side.get(field.name), field.type, table, field.name) for side in (known, row)
        )
        if field.tracked and old != new:
            line = {"was": known.get(field.name), "until": at.isoformat()}
            past[field.name] = [*past.get(field.name, []), line]
    return row if not past else {**row, HISTORY: past}
