"""Runs rule tests as `crmsync test` does, with a config of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.app.rule_tests.run import Setting, run_rule_tests
from crmsync.config.settings import Company, Config, ConnectionSettings
from crmsync.facts.builtin import crmsync_facts
from crmsync.model.catalog import Catalog
from crmsync.model.tables import CANONICAL_TABLES
from crmsync.plugins.manager import Plugins
from crmsync.rules.unit_tests.load import load_rule_tests
from crmsync.templating.templates import Templates

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.app.rule_tests.results import RuleTested
    from crmsync.rules.reading.load import RuleSet

VENDOR = Company(name="Vendor", email="hello@vendor.example")


def run_tests_in(
    folder: Path,
    rules: RuleSet,
    *,
    company: Company = VENDOR,
    templates: Path | None = None,
    teams: dict[str, list[str]] | None = None,
    root: Path | None = None,
) -> list[RuleTested]:
    """What came of each test of a folder.

    Args:
        templates: their folder; mails are held where there is none.
        root: what files are named relative to; the folder above that of the rules.
    """
    facts = crmsync_facts()
    config = Config(
        company=company,
        connections={"crm": ConnectionSettings(connector="files")},
        teams=teams or {},
    )
    catalog = Catalog(tables=CANONICAL_TABLES, facts=tuple(fact.spec for fact in facts))
    tests = load_rule_tests(
        folder,
        rules,
        catalog,
        zone=ZoneInfo(company.time_zone),
        country=company.country,
        shown_relative_to=root or folder.parents[1],
    )
    setting = Setting(
        config=config,
        catalog=catalog,
        facts=facts,
        templates=Templates(templates or folder / "templates", Plugins().filters, company),
    )
    return list(run_rule_tests(tests, setting))


def told(tested: RuleTested) -> str:
    """What failed in a test, as it is printed."""
    lines = []
    for failure in tested.failures:
        lines += [failure.stage] if failure.stage else []
        lines += [*failure.diff, *(f"    {sentence}" for sentence in failure.because)]
    return "\n".join(lines)
