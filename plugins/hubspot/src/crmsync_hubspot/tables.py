"""Answers of a portal as Arrow tables: text, as the portal wrote it, but times in one way."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from crmsync.model.pages import DELETED, MERGED_INTO
from crmsync_hubspot import objects
from crmsync_hubspot.cursor import written
from crmsync_hubspot.linking import LINK_COLUMNS, foremost
from crmsync_hubspot.texts import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmsync_hubspot.cursor import Types
    from crmsync_hubspot.linking import Links

_MILLISECONDS = re.compile(r"-?\d{5,}")
_TIMES = {objects.CREATED, objects.UPDATED, objects.ARCHIVED_AT}


def record_table(
    results: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    types: Types,
    links: Mapping[str, Links],
) -> pa.Table:
    """Records, and behind them tombstones of those that were merged into them.

    Args:
        columns: what the mapping reads.
        links: for each object of ``associations.`` columns, the records' links to it.
    """
    merged = [(loser, result) for result in results for loser in _merged(result)]
    values: dict[str, list[str | None]] = {}
    for column in dict.fromkeys((objects.ID, objects.UPDATED, *columns)):
        values[column] = _column(results, column, types, links)
        values[column] += [_of_tombstone(column, loser, one) for loser, one in merged]
    table = pa.table({name: pa.array(told, pa.string()) for name, told in values.items()})
    gone = [bool(result.get("archived")) for result in results] + [True] * len(merged)
    into = [None] * len(results) + [str(one["id"]) for _, one in merged]
    table = table.append_column(DELETED, pa.array(gone, pa.bool_()))
    return table.append_column(MERGED_INTO, pa.array(into, pa.string()))


def _column(
    results: Sequence[Mapping[str, Any]],
    column: str,
    types: Types,
    links: Mapping[str, Links],
) -> list[str | None]:
    if column in objects.TOP_LEVEL:
        values = [_text(result.get(column)) for result in results]
        return [_instant(value) for value in values] if column in _TIMES else values
    if column.startswith(objects.ASSOCIATED):
        there = links[column.removeprefix(objects.ASSOCIATED)]
        return [foremost(there.get(str(result["id"]), ())) for result in results]
    values = [_text(result["properties"].get(column)) for result in results]
    if column in types.dates:
        return [_date(value) for value in values]
    if column in types.instants:
        zone = ZoneInfo(types.zone) if types.zone else None
        return [_local(_instant(value), zone) for value in values]
    if column in types.html:
        return [None if value is None else as_text(value) for value in values]
    return values


def _merged(result: Mapping[str, Any]) -> list[str]:
    told = [result["properties"].get(name) or "" for name in objects.MERGED]
    own = str(result["id"])
    # With some of them stands the time of the merge, behind a colon.
    ids = dict.fromkeys(part.partition(":")[0].strip() for part in ";".join(told).split(";"))
    return [one for one in ids if one and one != own]


def _of_tombstone(column: str, loser: str, survivor: Mapping[str, Any]) -> str | None:
    if column in {objects.ID, objects.OBJECT_ID}:
        return loser
    if column in objects.CHANGE_COLUMNS:
        return _instant(_text(survivor.get(objects.UPDATED)))
    return None


def archived_table(results: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
    """Records of which only is said that they were archived, and when."""
    values: dict[str, list[str | None]] = {}
    for column in dict.fromkeys((objects.ID, objects.UPDATED, *columns)):
        if column in {objects.ID, objects.OBJECT_ID}:
            values[column] = [str(one["id"]) for one in results]
        elif column in {objects.ARCHIVED_AT, *objects.CHANGE_COLUMNS}:
            values[column] = [_instant(_text(one.get(objects.ARCHIVED_AT))) for one in results]
        else:
            values[column] = [None] * len(results)
    table = pa.table({name: pa.array(told, pa.string()) for name, told in values.items()})
    return table.append_column(DELETED, pa.array([True] * len(results), pa.bool_()))


def link_table(
    source_ids: Sequence[str], targets: Sequence[str], links: Mapping[str, Links]
) -> pa.Table:
    """A row for each association."""
    rows: list[dict[str, str]] = []
    for source in source_ids:
        for target in targets:
            rows += [
                {
                    "id": f"{source}-{target}-{link.to}",
                    "from": source,
                    "to": link.to,
                    "to_object": target,
                    "types": ";".join(link.types),
                    target: link.to,
                }
                for link in links[target].get(source, ())
            ]
    names = dict.fromkeys((*LINK_COLUMNS, *targets))
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    )


def with_history(
    results: Sequence[Mapping[str, Any]],
    histories: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
    names: Sequence[str],
    since: Callable[[str], bool],
) -> list[Mapping[str, Any]]:
    """Each record as often as one of these properties has changed, the oldest first.

    Of each earlier instant only these properties are known to have been other than now. HubSpot
    keeps the latest values of each only, so the past begins where all of them are known.

    Args:
        histories: for each record and property, its values with their times.
        since: whether what was at an instant is wanted.
    """
    rows: list[Mapping[str, Any]] = []
    for result in results:
        told = histories.get(str(result["id"]), {})
        instants = {
            at
            for name in names
            for one in told.get(name) or ()
            if (at := _instant(_text(one.get("timestamp")))) is not None
        }
        newest = _instant(_text(result.get(objects.UPDATED))) or ""
        known = max((_oldest(told[name]) for name in names if _is_cut(told.get(name))), default="")
        for at in sorted(one for one in instants if known <= one < newest and since(one)):
            then = {name: _value_at(told.get(name) or (), at) for name in names}
            earlier = {**result["properties"], **then}
            earlier |= {name: at for name in objects.CHANGE_COLUMNS if name in earlier}
            for name in objects.MERGED:
                earlier.pop(name, None)
            rows.append({**result, "properties": earlier, objects.UPDATED: at})
        rows.append(result)
    return rows


def _is_cut(told: Sequence[Mapping[str, Any]] | None) -> bool:
    """Whether there may have been values before those that are told."""
    return told is not None and len(told) >= objects.VERSIONS_KEPT


def _oldest(told: Sequence[Mapping[str, Any]]) -> str:
    return min(_instant(_text(one.get("timestamp"))) or "" for one in told)


def _value_at(told: Sequence[Mapping[str, Any]], at: str) -> str | None:
    before = [
        (moment, _text(one.get("value")))
        for one in told
        if (moment := _instant(_text(one.get("timestamp")))) is not None and moment <= at
    ]
    return max(before, key=lambda pair: pair[0])[1] if before else None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _date(value: str | None) -> str | None:
    """A day; the portal writes it as one, as midnight in UTC, or as that in milliseconds."""
    if value is None or not _MILLISECONDS.fullmatch(value):
        return value if value is None else value.partition("T")[0]
    return written(int(value))[:10]


def _local(value: str | None, zone: ZoneInfo | None) -> str | None:
    """An instant by the clock of the portal's people: read as a day, it is their day."""
    if not value or zone is None:
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return at.astimezone(zone).isoformat() if at.tzinfo is not None else value


def _instant(value: str | None) -> str | None:
    """An instant; the portal writes it with or without fractions, or in milliseconds."""
    if not value:
        return value
    if _MILLISECONDS.fullmatch(value):
        return written(int(value))
    if value.endswith("Z") and "." not in value:
        return f"{value[:-1]}.000Z"
    return value
