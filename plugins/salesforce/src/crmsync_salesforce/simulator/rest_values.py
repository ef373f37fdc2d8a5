"""Answers to queries as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crmsync_salesforce.simulator.query import Answer, Column


def as_record(answer: Answer, row: Sequence[Any], version: str) -> dict[str, Any]:
    """A row as JSON has it: related records are objects within."""
    record: dict[str, Any] = {"attributes": {"type": answer.object.name}}
    for column, value in zip(answer.columns, row, strict=True):
        _put(record, column, value)
        if column.path == ("Id",):
            url = f"/services/data/v{version}/sobjects/{answer.object.name}/{value}"
            record["attributes"]["url"] = url
    return record


def _put(record: dict[str, Any], column: Column, value: Any) -> None:  # noqa: ANN401  a cell
    for name in column.path[:-1]:
        inner = record.get(name)
        if inner is None:
            inner = record[name] = {"attributes": {"type": "Name"}}
        record = inner
    record[column.path[-1]] = _json(column, value)


def without_empty(record: dict[str, Any]) -> dict[str, Any]:
    """A record in which a relation that leads nowhere is null."""
    for name, value in record.items():
        if isinstance(value, dict) and name != "attributes":
            inner = without_empty(value)
            found = any(v is not None for k, v in inner.items() if k != "attributes")
            record[name] = inner if found else None
    return record


def _json(column: Column, value: Any) -> Any:  # noqa: ANN401  a cell
    if column.kind == "datetime" and value is not None:
        return value.replace("Z", "+0000")
    return value


def as_csv(answer: Answer, rows: Iterable[Sequence[Any]], *, header: bool) -> str:
    """Rows as a page of a bulk job's results."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n")
    if header:
        writer.writerow([".".join(column.path) for column in answer.columns])
    kinds = [column.kind for column in answer.columns]
    for row in rows:
        writer.writerow([_cell(kind, value) for kind, value in zip(kinds, row, strict=True)])
    return target.getvalue()


def _cell(kind: str, value: Any) -> Any:  # noqa: ANN401  a cell
    if value is None:
        return ""
    return ("true" if value else "false") if kind == "boolean" else value
