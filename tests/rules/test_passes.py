from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.model.tables import CANONICAL_TABLES
from crmsync.rules.evaluation.evaluate import Form, evaluate
from crmsync.rules.evaluation.world import World
from crmsync.rules.unit_tests.memory import MemoryRecords
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


@pytest.mark.parametrize("form", Form)
def test_the_age_of_a_fact_has_its_bound_whatever_it_is_read_from(
    tmp_path: Path, form: Form
) -> None:
    """The latest contact at each bound, and what is older than all that need be read."""
    days = [1, 20, 31, 92, 366, 400]
    ages = [timedelta(days=d) + more for d in days for more in (-_MOMENT, 0 * _MOMENT, _MOMENT)]
    ages += [timedelta(days=4000), -_MOMENT]
    kinds = {f"a{i}": age for i, age in enumerate(ages)}
    records: dict[str, list[dict[str, object]]] = {
        "account": [{"id": name, "tier": "gold"} for name in [*kinds, "undated", "none"]],
        "activity": [
            {"id": name, "account": name, "kind": "call", "at": NOW - age}
            for name, age in kinds.items()
        ]
        # What came before the latest contact is no contact since.
        + [
            {"id": f"{n}-x", "account": n, "kind": "call", "at": NOW - age - timedelta(days=9)}
            for n, age in kinds.items()
        ]
        + [{"id": "x", "account": "undated", "kind": "call"}],
    }
    texts = {f"in-{d}": f"last_contact: {{in_last: {d} days}}" for d in days}
    texts |= {f"older-{d}": f"last_contact: {{older_than: {d} days}}" for d in days}
    later = {n: age if age >= timedelta() else age + timedelta(days=9) for n, age in kinds.items()}
    for some in (texts, {f"in-{days[0]}": texts[f"in-{days[0]}"]}):
        written = {
            n: f"rule: {n}\nsubject: account\nwhen: [{{tier: gold}}, {{{c}}}]\n{THEN}"
            for n, c in some.items()
        }
        folder = tmp_path / str(len(some))
        folder.mkdir()
        source = MemoryRecords(CANONICAL_TABLES, records, now=NOW)
        said = evaluate(
            rules_from(folder, written).rules, World(source, FACTS, now=NOW, **SETTINGS), form
        )
        source.close()
        for name, verdicts in said.items():
            which, length = name.split("-")
            bound = timedelta(days=int(length))
            within = {n for n, age in later.items() if age <= bound}
            outside = {n for n, age in later.items() if age >= bound} | {"undated", "none"}
            assert set(verdicts.matches) == (within if which == "in" else outside), name
            assert verdicts.subjects == len(records["account"])


@pytest.mark.parametrize("form", Form)
def test_a_fact_that_must_also_be_there_is_read_as_far_as_it_goes(
    tmp_path: Path, form: Form
) -> None:
    records: dict[str, list[dict[str, object]]] = {
        "account": [{"id": "long"}, {"id": "never"}, {"id": "lately"}],
        "activity": [
            {"id": "1", "account": "long", "kind": "call", "at": NOW - timedelta(days=900)},
            {"id": "2", "account": "lately", "kind": "call", "at": NOW - timedelta(days=2)},
        ],
    }
    rule = rule_of(
        tmp_path, "  - last_contact: {older_than: 20 days}\n  - last_contact: {present: true}"
    )
    source = MemoryRecords(CANONICAL_TABLES, records, now=NOW)
    said = evaluate([rule], World(source, FACTS, now=NOW, **SETTINGS), form)
    source.close()
    assert set(said["tested"].matches) == {"long"}


def test_passes_that_ask_for_the_same_fields_in_another_order(tmp_path: Path) -> None:
    records: dict[str, list[dict[str, object]]] = {
        "account": [{"id": "a"}, {"id": "b"}],
        "contact": [{"id": "p", "account": "a"}],
        "activity": [
            {"id": "1", "contact": "p", "kind": "meeting", "at": NOW - timedelta(hours=1)},
            {"id": "2", "account": "b", "kind": "meeting", "at": NOW - timedelta(days=3)},
        ],
    }
    where = "where: [{kind: {in: [meeting, note], if_unknown: yes}}]"
    when = (
        "  - count: {of: tickets, where: [{account.last_contact: {in_next: 0 days}}], is: 0}\n"
        f"  - max: {{of: activities, field: at, {where}, is: {{before: 2028-02-29}}}}\n"
        "  - last_contact: {after: 2026-02-28}"
    )
    rule = rule_of(tmp_path, when)
    source = MemoryRecords(CANONICAL_TABLES, records, now=NOW)
    said = evaluate([rule], World(source, FACTS, now=NOW, **SETTINGS))
    source.close()
    assert set(said["tested"].matches) == {"a"}
