"""Writes the sample company as the export of a CRM: CSV, one stream of JSON Lines, one old shop."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from typing import TYPE_CHECKING

from crmsync.app.sample.company import build

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.app.sample.people import Row

FOLDER = "crm"
_JSON_LINES = frozenset({"usage"})
# The shop's export looks like what comes from an old German system.
_ENCODINGS = {"orders": "cp1252"}
_DELIMITERS = {"orders": ";"}


def write_sample(folder: Path, now: datetime) -> None:
    """Write the files into ``folder/crm``; the same instant gives the same bytes.

    Args:
        now: aware; everything in the company is told relative to it.
    """
    if now.tzinfo is None:
        raise ValueError("the sample needs an aware instant")
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    for name, rows in build(now).items():
        if name in _JSON_LINES:
            path, text = target / f"{name}.jsonl", _json_lines(rows)
        else:
            path, text = target / f"{name}.csv", _csv(rows, _DELIMITERS.get(name, ","))
        path.write_bytes(text.encode(_ENCODINGS.get(name, "utf-8")))


def _csv(rows: list[Row], delimiter: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _shown(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _json_lines(rows: list[Row]) -> str:
    lines = (
        json.dumps({name: _shown(value) for name, value in row.items()}, ensure_ascii=False)
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def _shown(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value
