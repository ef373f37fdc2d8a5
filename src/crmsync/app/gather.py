"""Fetches what due steps speak of: a few queries for all of them, none for each."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from crmsync.facts import threads
from crmsync.journeys.book import RecordBook
from crmsync.journeys.people import TEAM
from crmsync.model.tables import FieldType
from crmsync.rules.evaluation.world import wanted as wanted_ids
from crmsync.rules.language import TaskStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ibis.expr.types as ir

    from crmsync.model.catalog import Catalog, FactSpec
    from crmsync.model.records import LiveRecords
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule

    Rows = dict[str, dict[str, Mapping[str, Any]]]

# subject → account → owner → manager, and one more for a path that is written out.
_HOPS = 4


def gather(
    records: LiveRecords,
    world: World,
    catalog: Catalog,
    wanted: Mapping[str, Iterable[str]],
    rules: Iterable[Rule],
) -> RecordBook:
    """A book of these records, of what they refer to, and of the contacts of their accounts.

    Args:
        wanted: global ids by table.
        rules: where one of them assigns to a team, all users are in the book.
    """
    rows: Rows = {}
    if _name_teams(rules):
        users = records.compiled("all users", lambda: records.table("user"))
        rows["user"] = {user["id"]: user for user in records.query(users).to_pylist()}
    _fetch(records, catalog, rows, {table: set(ids) for table, ids in wanted.items()})
    accounts = set(rows.get("account", {}))
    if accounts:
        contacts_of = records.compiled("contacts of accounts", lambda: _contacts(records))
        found = records.query(contacts_of, world.ids(accounts))["id"].to_pylist()
        _fetch(records, catalog, rows, {"contact": set(found)})
    known: dict[FactSpec, Mapping[str, Any]] = {}

    def facts(spec: FactSpec) -> Mapping[str, Any]:
        if spec not in known:
            known[spec] = world.values(spec, rows.get(spec.table, {}).keys())
        return known[spec]

    @cache
    def last_mails() -> Mapping[str, Mapping[str, Any]]:
        def build() -> ir.Table:
            return threads.last_mails(world.tables).semi_join(wanted_ids(), "id")

        given = world.ids(rows.get("contact", {}).keys())
        found = world.query(world.compiled("last mails of contacts", build), given)
        return {row["id"]: row for row in found.to_pylist()}

    return RecordBook(
        catalog=catalog,
        rows=rows,
        facts=facts,
        last_mails=last_mails,
        remote_id=records.remote_id,
    )


def _contacts(records: LiveRecords) -> ir.Table:
    contacts = records.table("contact")
    return contacts.semi_join(wanted_ids(), [("account", "id")]).select("id")


def _name_teams(rules: Iterable[Rule]) -> bool:
    return any(
        path.startswith(TEAM)
        for rule in rules
        for step in rule.then
        if isinstance(step, TaskStep)
        for path in step.assign_to
    )


def _fetch(
    records: LiveRecords, catalog: Catalog, rows: Rows, missing: dict[str, set[str]]
) -> None:
    for _ in range(_HOPS):
        following: dict[str, set[str]] = {}
        for table, ids in missing.items():
            known = rows.setdefault(table, {})
            fetched = records.rows(table, ids - known.keys()) if ids - known.keys() else {}
            known.update(fetched)
            for field in catalog.tables[table].fields:
                if field.type is FieldType.REFERENCE and field.references is not None:
                    named = {row[field.name] for row in fetched.values()} - {None}
                    following.setdefault(field.references, set()).update(named)
        missing = {table: ids - rows.get(table, {}).keys() for table, ids in following.items()}
        if not any(missing.values()):
            return
