"""What tests of rules share: the catalog, rules from text, records in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.facts.builtin import crmsync_facts
from crmsync.model.catalog import Catalog
from crmsync.model.tables import CANONICAL_TABLES
from crmsync.rules.evaluation.evaluate import evaluate
from crmsync.rules.evaluation.world import World
from crmsync.rules.reading.load import RuleSet, load_rules
from crmsync.rules.unit_tests.memory import MemoryRecords

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import Rule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = crmsync_facts()
CATALOG = Catalog(tables=CANONICAL_TABLES, facts=tuple(fact.spec for fact in FACTS))
THEN = "then: [{note: {text: hello}}]\n"


def a_day(_table: str) -> timedelta:
    """The freshness bound of all tables."""
    return timedelta(days=1)


def rules_from(
    folder: Path, rules: Mapping[str, str], segments: Mapping[str, str] | None = None
) -> RuleSet:
    """Rules as if they stood in files of these names."""
    for name, texts in (("rules", rules), ("segments", segments or {})):
        (folder / name).mkdir(exist_ok=True)
        for file, text in texts.items():
            target = folder / name / f"{file}.yaml"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    return load_rules(folder / "rules", folder / "segments", CATALOG, ["renewals"], folder)


def rule_of(folder: Path, when: str, subject: str = "account", more: str = "") -> Rule:
    """One rule with these conditions, each on a line of its own."""
    text = f"rule: tested\nsubject: {subject}\n{more}when:\n{when}\n{THEN}"
    (rule,) = rules_from(folder, {"tested": text}).rules
    return rule


def verdicts_of(
    rule: Rule,
    records: Mapping[str, Sequence[Mapping[str, object]]],
    *,
    now: datetime = NOW,
    zone: str = "UTC",
    country: str | None = None,
    unread: Sequence[str] = (),
) -> RuleVerdicts:
    """What the rule says of these records."""
    source = MemoryRecords(CATALOG.tables, records, now=now, unread=unread)
    try:
        world = World(
            source, FACTS, now=now, company_zone=ZoneInfo(zone), country=country, bound=a_day
        )
        return evaluate([rule], world)[rule.name]
    finally:
        source.close()
