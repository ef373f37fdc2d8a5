from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.model.tables import CANONICAL_TABLES
from crmsync.rules.evaluate import evaluate
from crmsync.rules.unit_tests.memory import MemoryRecords
from crmsync.rules.world import World
from crmsync.warehouse.store import ReadNote, Warehouse
from rules.rules_world import FACTS, NOW, THEN, rule_of, rules_from
from rules.test_compile import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.rules.language import Rule

STREAMS = {("crm", name): name for name in CANONICAL_TABLES}


def fill(warehouse: Warehouse, table: str, rows: str) -> None:
    """Rows as they are, straight into the file; the schema is made when it is opened."""
    import duckdb  # noqa: PLC0415  the file is open nowhere else

    with warehouse.writing() as writer:
        writer.note_reads(
            [
                ReadNote(connection=connection, stream=stream, table=name, read_at=NOW)
                for (connection, stream), name in STREAMS.items()
            ]
        )
    with duckdb.connect(warehouse.path) as connection:
        connection.execute(f"INSERT INTO records.{table} BY NAME {rows}").fetchall()


def matches(rule: Rule, warehouse: Warehouse) -> set[str]:
    with warehouse.reading() as records:
        world = World(records, FACTS, now=NOW, **SETTINGS)
        said = evaluate([rule], world)[rule.name]
    assert not said.unknown
    return set(said.matches)


@pytest.mark.parametrize(
    "when",
    [
        "some: {of: activities, where: [{kind: call}, {at: {in_last: 20 days}}]}",
        "last_contact: {in_last: 20 days}",
    ],
)
def test_a_link_that_arrives_late_is_seen_by_what_was_compiled_before(
    tmp_path: Path, when: str
) -> None:
    rule = rule_of(tmp_path, f"  - {when}")
    warehouse = Warehouse(tmp_path / "w.duckdb", streams=STREAMS)
    at = (NOW - timedelta(days=3)).isoformat()
    fill(warehouse, "account", "SELECT 'a' AS id, 'crm' AS connection UNION ALL SELECT 'b', 'crm'")
    fill(
        warehouse,
        "activity",
        f"SELECT '1' AS id, 'crm' AS connection, 'call' AS kind, timestamptz '{at}' AS \"at\", "
        "'a' AS account",
    )
    assert matches(rule, warehouse) == {"a"}
    fill(
        warehouse,
        "activity_link",
        "SELECT 'l' AS id, 'crm' AS connection, '1' AS activity, 'b' AS account",
    )
    assert matches(rule, warehouse) == {"a", "b"}
    fill(warehouse, "activity_link", "SELECT 'm' AS id, '1' AS activity, 'a' AS account")
    assert matches(rule, warehouse) == {"a", "b"}


def test_a_field_that_gets_empty_is_seen_by_what_was_compiled_before(tmp_path: Path) -> None:
    inside = "where: [{kind: call}]"
    none = rule_of(tmp_path, f"  - none: {{of: activities, {inside}}}")
    some = rule_of(tmp_path, f"  - some: {{of: activities, {inside}}}")
    warehouse = Warehouse(tmp_path / "w.duckdb", streams=STREAMS)
    fill(warehouse, "account", "SELECT 'a' AS id, 'crm' AS connection UNION ALL SELECT 'b', 'crm'")
    fill(warehouse, "activity", "SELECT '1' AS id, 'call' AS kind, 'a' AS account")
    assert (matches(none, warehouse), matches(some, warehouse)) == ({"b"}, {"a"})
    with warehouse.reading() as records:
        assert records.is_filled("activity", "kind")
    fill(warehouse, "activity", "SELECT '2' AS id, 'b' AS account")
    # What may be a call works against each of them.
    assert (matches(none, warehouse), matches(some, warehouse)) == (set(), {"a"})
    with warehouse.reading() as records:
        assert not records.is_filled("activity", "kind")


def test_what_cannot_be_dated_is_counted_where_it_counts(tmp_path: Path) -> None:
    records = {
        "account": [{"id": "old"}, {"id": "new"}, {"id": "undated"}],
        "ticket": [
            {"id": "1", "account": "old", "opened_at": "2026-01-01T10:00"},
            {"id": "2", "account": "new", "opened_at": "2026-02-25T10:00"},
            {"id": "3", "account": "undated"},
        ],
    }
    from rules.rules_world import verdicts_of  # noqa: PLC0415  beside its only use

    inside = "where: [{opened_at: {in_last: 10 days}}]"
    none = verdicts_of(rule_of(tmp_path, f"  - none: {{of: tickets, {inside}}}"), records)
    assert set(none.matches) == {"old"}
    some = verdicts_of(rule_of(tmp_path, f"  - some: {{of: tickets, {inside}}}"), records)
    assert set(some.matches) == {"new"}
    exact = rule_of(tmp_path, f"  - count: {{of: tickets, {inside}, is: 0, if_unknown: hold}}")
    said = verdicts_of(exact, records)
    assert set(said.matches) == {"old"}
    assert set(said.unknown) == {"undated"}


_DAYS = [1, 7, 20, 31, 32, 60, 92, 93, 366, 367, 400]
_MOMENT = timedelta(seconds=1)


def test_each_window_has_its_bound_whatever_shares_its_pass(tmp_path: Path) -> None:
    """Rules in one pass say what each says alone: one account for each activity at a bound."""
    ages = [timedelta(days=d) + more for d in _DAYS for more in (-_MOMENT, 0 * _MOMENT, _MOMENT)]
    ages += [-_MOMENT, 0 * _MOMENT]  # what lies ahead is in no window
    kinds = {f"a{i}": age for i, age in enumerate(ages)}
    records: dict[str, list[dict[str, object]]] = {
        "account": [{"id": name} for name in [*kinds, "undated", "none"]],
        "contact": [{"id": f"p-{name}", "account": name} for name in kinds],
        "activity": [
            # Its account is reached by its own reference, by the contact and by a link.
            {"id": name, "account": name, "contact": f"p-{name}", "kind": "call", "at": NOW - age}
            for name, age in kinds.items()
        ]
        + [{"id": "x", "account": "undated", "kind": "call"}],
        "activity_link": [{"id": f"l-{name}", "activity": name, "account": name} for name in kinds],
    }
    inside = {days: f"where: [{{kind: call}}, {{at: {{in_last: {days} days}}}}]" for days in _DAYS}
    clauses = {f"some-{d}": f"some: {{of: activities, {w}}}" for d, w in inside.items()}
    clauses |= {f"once-{d}": f"count: {{of: activities, {w}, is: 1}}" for d, w in inside.items()}
    clauses |= {f"none-{d}": f"none: {{of: activities, {w}}}" for d, w in inside.items()}
    texts = {n: f"rule: {n}\nsubject: account\nwhen: [{c}]\n{THEN}" for n, c in clauses.items()}
    rules = rules_from(tmp_path, texts).rules
    source = MemoryRecords(CANONICAL_TABLES, records, now=NOW)
    said = evaluate(rules, World(source, FACTS, now=NOW, **SETTINGS))
    source.close()
    for days in _DAYS:
        within = {n for n, age in kinds.items() if timedelta() <= age <= timedelta(days=days)}
        outside = kinds.keys() - within
        assert set(said[f"some-{days}"].matches) == within, days
        assert set(said[f"once-{days}"].matches) == within, days
        assert set(said[f"none-{days}"].matches) == {*outside, "none"}, days
