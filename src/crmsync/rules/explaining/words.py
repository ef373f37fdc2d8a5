"""What people call records: ``email “Re: renewal”``, ``ticket “Printer”``, ``order of 120 EUR``."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import ibis.expr.types as ir

    from crmsync.rules.evaluation.world import World

_TITLES = ("subject", "title", "name", "product", "feature", "email")
_KINDS = {"activity": "kind", "feedback": "instrument"}
_AMOUNTS = ("amount", "recurring_amount", "score", "count")
_PEOPLE = {"owner": "user", "contact": "contact"}
_INBOUND = "inbound"


def record_words(world: World, table: str, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """For each of these records, by global id: ``words``, ``by`` and ``url`` as in `Evidence`."""
    rows = world.table(table)
    rows = rows.filter(rows.id.isin(sorted(ids)))
    wanted = ["id", "url", "direction", "currency", *_TITLES, *_KINDS.values(), *_AMOUNTS]
    columns: dict[str, ir.Value] = {name: rows[name] for name in wanted if name in rows.columns}
    columns |= {name: rows[name] for name in _PEOPLE if name in rows.columns}
    rows = rows.select(**columns)
    for reference, far in _PEOPLE.items():
        if reference in rows.columns and far != table:
            people = world.table(far)
            name = people.name
            if far == "contact":
                parts = people.first_name.fill_null("") + " " + people.last_name.fill_null("")
                name = name.coalesce(parts.strip())
            people = people.select(**{f"{reference}_id": people.id, f"{reference}_name": name})
            rows = rows.left_join(people, [(reference, f"{reference}_id")])
    return {
        row["id"]: {"words": _words(table, row), "by": _by(row), "url": row["url"] or None}
        for row in world.source.query(rows).to_pylist()
    }


def _words(table: str, row: Mapping[str, Any]) -> str:
    kind = row.get(_KINDS.get(table, "")) or table
    title = next((row[name] for name in _TITLES if row.get(name)), None)
    amount = next((row[name] for name in _AMOUNTS if row.get(name) is not None), None)
    if title:
        return f"{kind} “{title}”"
    if amount is None:
        return str(kind)
    if isinstance(amount, Decimal):
        amount = f"{amount.normalize():f}"
    return f"{kind} of {amount} {row.get('currency') or ''}".rstrip()


def _by(row: Mapping[str, Any]) -> str | None:
    """Who wrote or called, where it came from the customer; else the colleague whose it is."""
    owner, contact = row.get("owner_name"), row.get("contact_name")
    inbound = row.get("direction") == _INBOUND or "owner" not in row
    return (contact if inbound else owner) or None
