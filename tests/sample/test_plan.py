"""The shipped rules on the sample company: who matches, and who would get what."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from crmsync.app.cycle import plan_cycle
from crmsync.app.sample import sample_config
from crmsync.app.sample.write import write_sample
from crmsync.app.setup import prepare_demo
from crmsync.app.shipped import shipped
from crmsync.app.workspace import open_workspace
from crmsync.clock import FixedClock
from crmsync.config.load import load_config
from crmsync.config.mapping import OTHERWISE, FieldMapping, StreamSettings
from crmsync.facts.builtin import crmsync_facts
from crmsync.model.catalog import Catalog
from crmsync.model.tables import FieldType
from crmsync.rules.evaluation.evaluate import evaluate
from crmsync.rules.evaluation.world import World
from crmsync.rules.reading.load import load_rules
from crmsync.rules.unit_tests.memory import MemoryRecords

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The accounts that src/crmsync/app/sample/profiles.py puts there for each rule. Those beside them,
# near each of its bounds and far from them, must not match.
EXPECTED = {
    "after-ticket-follow-up": 6,
    "anniversary-thank-you": 6,
    "contact-bounced": 6,
    "expansion-signal": 5,
    "first-value-not-reached": 6,
    "onboarding-slipping": 6,
    "promised-date-at-risk": 6,
    "quiet-champion": 6,
    "renewal-at-risk": 8,
    "ticket-open-too-long": 6,
    "usage-tip": 7,
}
LEAP_DAY = datetime(2028, 2, 29, 10, 0, tzinfo=UTC)
NEW_YEAR = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)  # in Europe already, in America not yet


def expected_at(now: datetime) -> dict[str, int]:
    # The customers since another 29th of February are there at any time.
    more = 2 if now == LEAP_DAY else 0
    return EXPECTED | {"anniversary-thank-you": EXPECTED["anniversary-thank-you"] + more}


def read_rows(folder: Path, stream: StreamSettings) -> list[dict[str, str]]:
    """A file of the export, as plain Python reads it."""
    options = stream.own_options
    path = folder / "crm" / str(options["file"])
    text = path.read_text(encoding=str(options.get("encoding", "utf-8")))
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
        return [{name: str(value) for name, value in row.items()} for row in rows]
    return list(csv.DictReader(io.StringIO(text), delimiter=str(options.get("delimiter", ","))))


def mapped(row: dict[str, str], mapping: FieldMapping, kind: FieldType) -> object:
    """A field by its mapping: as much of it as the sample's config needs."""
    text = next((row[column].strip() for column in mapping.column if row[column].strip()), "")
    if mapping.values:
        value = mapping.values.get(text, mapping.values.get(OTHERWISE))
        return value if value is not None or not text else text
    if not text:
        return None
    if mapping.format:
        naive = datetime.strptime(text, mapping.format[0])  # noqa: DTZ007  the zone follows
        return naive.replace(tzinfo=ZoneInfo(str(mapping.time_zone))).isoformat()
    readers: dict[FieldType, Callable[[str], object]] = {
        FieldType.BOOLEAN: {"yes": True, "no": False}.__getitem__,
        FieldType.INTEGER: int,
        FieldType.NUMBER: lambda text: Decimal(text.replace(",", ".")),
    }
    return readers.get(kind, str)(text)


def matches_in_memory(folder: Path, now: datetime) -> dict[str, int]:
    """How many records match each rule, without connector, sync and warehouse."""
    (folder / "config.yaml").write_text(sample_config(now), encoding="utf-8")
    installation = load_config(folder / "config.yaml")
    tables = installation.tables()
    streams = installation.settings.connections["crm"].streams
    survivors = {
        row["id"]: row["merged_into"]
        for row in read_rows(folder, streams["accounts"])
        if row["merged_into"]
    }
    records: dict[str, list[dict[str, Any]]] = {}
    for name, stream in streams.items():
        table = tables[stream.table]
        rows = records.setdefault(stream.table, [])
        for row in read_rows(folder, stream):
            if row["id"] in survivors or (name, row["id"]) == ("orders", "ORD-99999"):
                continue
            record: dict[str, Any] = {"id": row["id"]}
            for field_name, mapping in stream.fields.items():
                field = table.field(field_name)
                assert field is not None
                record[field_name] = mapped(row, mapping, field.type)
            if record.get("account") in survivors:
                record["account"] = survivors[record["account"]]
            rows.append(record)
    catalog = Catalog(tables=tables, facts=tuple(fact.spec for fact in crmsync_facts()))
    rules = load_rules(
        shipped("rules"),
        shipped("segments"),
        catalog,
        installation.settings.teams,
        shown_relative_to=folder,
    ).rules
    source = MemoryRecords(tables, records, now=now)
    world = World(
        source,
        crmsync_facts(),
        now=now,
        company_zone=ZoneInfo(installation.settings.company.time_zone),
        country=installation.settings.company.country,
        bound=lambda _table: timedelta(days=1),
    )
    verdicts = evaluate(rules, world)
    source.close()
    assert not any(verdict.unknown for verdict in verdicts.values())
    return {name: len(verdict.matches) for name, verdict in verdicts.items()}


@pytest.mark.parametrize(
    "now",
    [datetime(2026, 11, 22, 9, 0, tzinfo=UTC), LEAP_DAY, NEW_YEAR],
    ids=str,
)
def test_every_rule_has_some_and_none_has_many(tmp_path: Path, now: datetime) -> None:
    write_sample(tmp_path, now)
    assert matches_in_memory(tmp_path, now) == expected_at(now)


def test_the_whole_path_comes_to_the_same(tmp_path: Path) -> None:
    layout = prepare_demo(tmp_path / "demo", LEAP_DAY)
    clock = FixedClock(instant=LEAP_DAY)
    plan = plan_cycle(open_workspace(layout.config, clock), advance=lambda _what, _count: None)
    assert {rule.rule: rule.matches for rule in plan.rules} == expected_at(LEAP_DAY)
    assert {rule.unknown for rule in plan.rules} == {0}
    assert plan.stopped is None
    ready = [action for action in plan.actions if action.state == "ready"]
    dropped = [action.reason for action in plan.actions if action.state == "dropped"]
    held = [held.reason for held in plan.held]
    assert 60 <= len(ready) <= 120
    assert {action.kind for action in ready} == {"task", "email", "note"}
    assert any("unsubscribed" in reason for reason in dropped)
    assert any("do-not-contact" in reason for reason in dropped)
    assert "contact.first_name is empty" in held
    assert any("no active owner" in reason for reason in held)
    unreadable = {stream.stream: stream.quarantined for stream in plan.sync.streams}
    assert {stream: count for stream, count in unreadable.items() if count} == {"orders": 1}
    assert all(stream.error is None for stream in plan.sync.streams)
