"""The past of records in memory, as a rule test writes it down beside them.

``history: {tier: [{was: basic, until: 2025-06-01}, {was: gold, until: 2026-02-20}]}`` says what a
field was before it became what the record says. A field without such lines never changed.
``known_since: 2026-01-01`` in the block says that nothing is known of the time before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from crmsync.config.yaml import nearest
from crmsync.model.tables import FieldType
from crmsync.rules.unit_tests.memory_rows import HISTORY, read_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.tables import Field, Table

KNOWN_SINCE = "known_since"
WAS, UNTIL = "was", "until"
_FORM = "[{was: VALUE, until: TIME}]"
EVER = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """That a field of a record changed."""

    field: str
    record: str
    old: Any
    new: Any
    at: datetime


def known_since(table: Table, row: Mapping[str, object]) -> datetime | None:
    """Since when a record's values are known; None for ever.

    Raises:
        ValueError: what is said is no time.
    """
    said = _block(table, row).get(KNOWN_SINCE)
    if said is None:
        return None
    at: datetime = read_value(said, FieldType.INSTANT, table, f"{HISTORY}.{KNOWN_SINCE}")
    return at


def changes_of(table: Table, row: Mapping[str, object]) -> list[FieldChange]:
    """The changes of a record's fields, as its ``history`` tells them.

    Raises:
        ValueError: a field is not tracked, or a line is no line of history.
    """
    found = []
    tracked = {field.name: field for field in table.fields if field.tracked}
    for name, lines in _block(table, row).items():
        if name == KNOWN_SINCE:
            continue
        if name not in tracked:
            hint = nearest(name, (*tracked, KNOWN_SINCE))
            raise ValueError(f"no history is kept of {table.name}.{name}{hint}")
        found += _field_changes(table, tracked[name], row, lines)
    return found


def _field_changes(
    table: Table,
    field: Field,
    row: Mapping[str, object],
    lines: object,
) -> list[FieldChange]:
    if not isinstance(lines, list):
        raise ValueError(f"the history of {table.name}.{field.name} is written {_FORM}")
    steps = [_step(table, field, line) for line in lines]
    if any(later[1] <= sooner[1] for sooner, later in pairwise(steps)):
        raise ValueError(f"the history of {table.name}.{field.name} is written oldest first")
    values = [
        *(value for value, _ in steps),
        read_value(row.get(field.name), field.type, table, field.name),
    ]
    return [
        FieldChange(field=field.name, record=str(row["id"]), old=old, new=new, at=at)
        for (old, at), new in zip(steps, values[1:], strict=True)
    ]


def _step(table: Table, field: Field, line: object) -> tuple[Any, datetime]:
    if not isinstance(line, dict) or line.keys() != {WAS, UNTIL}:
        raise ValueError(f"the history of {table.name}.{field.name} is written {_FORM}")
    until = read_value(line[UNTIL], FieldType.INSTANT, table, f"{HISTORY}.{field.name}")
    if until is None:
        raise ValueError(f"the history of {table.name}.{field.name} lacks a time")
    return read_value(line[WAS], field.type, table, field.name), until


def _block(table: Table, row: Mapping[str, object]) -> Mapping[str, object]:
    block = row.get(HISTORY, {}) if table.field(HISTORY) is None else {}
    if not isinstance(block, dict):
        raise ValueError(f"“{HISTORY}” of a record of {table.name} is {{FIELD: {_FORM}}}")
    return block
