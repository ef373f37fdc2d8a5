"""The queries that this connector asks. Values are quoted by simple-salesforce."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from simple_salesforce.format import format_soql

if TYPE_CHECKING:
    from collections.abc import Sequence

# The org's own limit for an address; some of it is for what stands around the query.
LONGEST_QUERY = 12_000


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a read stands: the change time of a record, as the org writes it, and its id."""

    at: str
    id: str


def instant(moment: datetime) -> str:
    """An instant as SOQL writes it: no plus sign, which an address would turn into a blank."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:23] + "Z"


def changes(
    object_name: str,
    selected: Sequence[str],
    changed: str,
    *,
    since: str | None = None,
    after: Position | None = None,
    ordered: bool = True,
) -> str:
    """All records, or those changed since an instant, or those behind a position; oldest first."""
    where = ""
    if after is not None:
        # Many records share an instant, so the time alone is no place to go on from.
        where = format_soql(
            "WHERE ({field:literal} = {at:literal} AND Id > {id}) "
            "OR {field:literal} > {at:literal}",
            field=changed,
            at=after.at,
            id=after.id,
        )
    elif since is not None:
        where = format_soql("WHERE {:literal} >= {:literal}", changed, since)
    order = format_soql("ORDER BY {:literal}, Id", changed) if ordered else ""
    return everything(object_name, selected, where, order)


def everything(object_name: str, selected: Sequence[str], *rest: str) -> str:
    """All records, in the org's own order."""
    head = format_soql("SELECT {:literal} FROM {:literal}", ", ".join(selected), object_name)
    return " ".join(part for part in (head, *rest) if part)


def with_values(
    object_name: str, selected: Sequence[str], field: str, values: Sequence[str]
) -> str:
    """The records whose field has one of these values."""
    return everything(
        object_name, selected, format_soql("WHERE {:literal} IN {}", field, list(values))
    )
