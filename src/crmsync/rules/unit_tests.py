"""Runs the unit tests of rules: records, a time, and who is expected to match.

The records of each test live in a database of its own, in memory; the verdicts come from the same
`evaluate` as everybody's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crmsync.clock import parse_instant
from crmsync.config.yaml import Problems, load_yaml, nearest
from crmsync.errors import InvalidInputError
from crmsync.rules.evaluate import Evaluation
from crmsync.rules.explain import ClauseReport, explain_all
from crmsync.rules.memory import MemoryRecords
from crmsync.rules.memory_history import changes_of
from crmsync.rules.memory_rows import arrow_table
from crmsync.rules.operators import shown
from crmsync.rules.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from crmsync.config.yaml import Document, Path_, Place
    from crmsync.model.catalog import Catalog
    from crmsync.plugins.contract import Fact
    from crmsync.rules.language import Rule
    from crmsync.rules.load import RuleSet

TEST_KEYS = ("rule", "name", "at", "records", "unread", "expect")
NEEDED_TEST_KEYS = ("rule", "at", "records", "expect")
MATCH, NO_MATCH, UNKNOWN = "match", "no_match", "unknown"
EXPECTED = (MATCH, NO_MATCH, UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class RuleTest:
    """One test, checked against the rules and the tables.

    Attributes:
        expected: record id to ``match``, ``no_match`` or ``unknown``.
        unread: tables whose stream was never read.
    """

    rule: Rule
    name: str
    at: datetime
    records: Mapping[str, Sequence[Mapping[str, object]]]
    unread: tuple[str, ...]
    expected: Mapping[str, str]
    place: Place


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A subject whose verdict is not the expected one.

    Attributes:
        explanation: every clause with what it saw.
    """

    subject: str
    expected: str
    actual: str
    explanation: ClauseReport

    @property
    def because(self) -> tuple[str, ...]:
        """A sentence for each clause that decided, with its place."""
        return tuple(_told(clause) for clause in self.explanation.deciding)

    def __str__(self) -> str:
        lines = [f"- {self.subject}: expected {self.expected}", f"+ {self.subject}: {self.actual}"]
        return "\n".join((*lines, *(f"    {sentence}" for sentence in self.because)))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one test."""

    test: str
    rule: str
    place: Place
    failures: tuple[Failure, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether all subjects were as expected."""
        return not self.failures


def run_rule_tests(  # noqa: PLR0913  everything that a verdict depends on
    folder: Path,
    rules: RuleSet,
    facts: Sequence[Fact],
    catalog: Catalog,
    *,
    company_zone: ZoneInfo,
    country: str | None,
    bound: Callable[[str], timedelta],
    shown_relative_to: Path,
) -> Iterator[Outcome]:
    """Run every test of a folder, ``rules/tests``; a file holds one test or a list of them.

    Raises:
        InvalidInputError: test files hold mistakes; all of them are named.
    """
    settings: dict[str, Any] = {"company_zone": company_zone, "country": country, "bound": bound}
    tests = load_rule_tests(
        folder, rules, catalog, str(company_zone), shown_relative_to=shown_relative_to
    )
    for test in tests:
        yield _run(test, facts, catalog, settings)


def _run(
    test: RuleTest, facts: Sequence[Fact], catalog: Catalog, settings: dict[str, Any]
) -> Outcome:
    source = MemoryRecords(catalog.tables, test.records, now=test.at, unread=test.unread)
    try:
        evaluation = Evaluation([test.rule], World(source, facts, now=test.at, **settings))
        failures = _failures(test, evaluation)
    finally:
        source.close()
    return Outcome(test=test.name, rule=test.rule.name, place=test.place, failures=failures)


def _failures(test: RuleTest, evaluation: Evaluation) -> tuple[Failure, ...]:
    rule = test.rule.name
    verdicts = evaluation.verdicts[rule]
    actual = dict.fromkeys(test.expected, NO_MATCH)
    actual |= dict.fromkeys(actual.keys() & verdicts.matches.keys(), MATCH)
    actual |= dict.fromkeys(actual.keys() & verdicts.unknown.keys(), UNKNOWN)
    wrong = [i for i, expected in test.expected.items() if actual[i] != expected]
    reports = explain_all(evaluation, {rule: wrong}).get(rule, {})
    return tuple(
        Failure(
            subject=subject,
            expected=test.expected[subject],
            actual=actual[subject],
            explanation=reports[subject],
        )
        for subject in wrong
    )


def _told(clause: ClauseReport) -> str:
    seen = f", saw {clause.value}" if clause.value is not None else ""
    away = f" ({clause.distance})" if clause.distance else ""
    reason = f", because {clause.reason}" if clause.reason else ""
    return f"{clause.verdict}: {clause.text}{seen}{away}{reason} [{clause.place}]"


def load_rule_tests(
    folder: Path, rules: RuleSet, catalog: Catalog, time_zone: str, *, shown_relative_to: Path
) -> list[RuleTest]:
    """Read every test of a folder.

    Args:
        folder: where the tests are; none there is no mistake.
        rules: what they test.
        catalog: the tables that their records belong to.
        time_zone: that of times without an offset.
        shown_relative_to: the folder that mistakes name the files relative to.

    Raises:
        InvalidInputError: there are mistakes; all of them are named.
    """
    problems = Problems()
    tests: list[RuleTest] = []
    for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))):
        shown_as = str(file)
        if file.is_relative_to(shown_relative_to):
            shown_as = str(file.relative_to(shown_relative_to))
        try:
            document = load_yaml(file, shown_as=shown_as)
        except InvalidInputError as error:
            problems.sentences += error.problems
            continue
        reader = _TestReader(document, problems, rules, catalog, time_zone)
        tests += reader.tests(file.stem)
    problems.raise_if_any()
    return tests


class _TestReader:
    def __init__(
        self,
        document: Document,
        problems: Problems,
        rules: RuleSet,
        catalog: Catalog,
        time_zone: str,
    ) -> None:
        self._document = document
        self._problems = problems
        self._rules = rules
        self._catalog = catalog
        self._time_zone = time_zone

    def tests(self, stem: str) -> Iterator[RuleTest]:
        data = self._document.data
        if isinstance(data, list):
            for i, item in enumerate(data):
                yield from self._test(item, (i,), f"{stem} {i + 1}")
        else:
            yield from self._test(data, (), stem)

    def _test(self, data: Any, at: Path_, usual: str) -> Iterator[RuleTest]:  # noqa: ANN401  YAML is anything
        before = len(self._problems.sentences)
        if not isinstance(data, dict):
            self._note(at, f"a test begins with “rule: NAME”, and is not {shown(data)}")
            return
        for key in data:
            if key not in TEST_KEYS:
                place = self._document.key_place((*at, key))
                self._problems.add(place, f"unknown key “{key}” in a test{nearest(key, TEST_KEYS)}")
        for key in NEEDED_TEST_KEYS:
            if key not in data:
                self._note(at, f"“{key}:” is missing in this test")
        rule = self._rule(data.get("rule"), (*at, "rule"))
        instant = self._instant(data.get("at"), (*at, "at"))
        records = self._records(data.get("records", {}), (*at, "records"))
        unread = self._unread(data.get("unread", []), (*at, "unread"))
        if len(self._problems.sentences) > before or rule is None or instant is None:
            return
        expected = self._expected(data["expect"], (*at, "expect"), rule, records)
        if len(self._problems.sentences) == before:
            yield RuleTest(
                rule=rule,
                name=str(data.get("name", usual)),
                at=instant,
                records=records,
                unread=unread,
                expected=expected,
                place=self._document.place(at),
            )

    def _rule(self, name: object, at: Path_) -> Rule | None:
        rule = self._rules.rule(str(name))
        if rule is None:
            hint = nearest(name, (rule.name for rule in self._rules.rules))
            self._note(at, f"there is no rule {shown(name)}{hint}")
        return rule

    def _instant(self, text: object, at: Path_) -> datetime | None:
        try:
            return parse_instant(str(text), default_zone=self._time_zone)
        except ValueError as error:
            self._note(at, str(error))
            return None

    def _records(self, data: Any, at: Path_) -> dict[str, list[dict[str, object]]]:  # noqa: ANN401  YAML is anything
        if not isinstance(data, dict):
            self._note(at, f"“records” is “table: [records]”, and not {shown(data)}")
            return {}
        for name, rows in data.items():
            table = self._catalog.tables.get(name)
            if table is None:
                place = self._document.key_place((*at, name))
                hint = nearest(name, self._catalog.tables)
                self._problems.add(place, f"there is no table “{name}”{hint}")
            elif not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                self._note((*at, name), f"the records of “{name}” are a list of {{field: value}}")
            else:
                self._check_rows(name, rows, (*at, name))
        return data

    def _check_rows(self, name: str, rows: list[dict[str, object]], at: Path_) -> None:
        table = self._catalog.tables[name]
        for i, row in enumerate(rows):
            try:
                arrow_table(table, [row])
                changes_of(table, row)
            except ValueError as error:
                self._note((*at, i), str(error))
        ids = [row.get("id") for row in rows]
        for i, record_id in enumerate(ids):
            if record_id is not None and record_id in ids[:i]:
                self._note((*at, i), f"the id “{record_id}” stands twice among {table.plural}")

    def _unread(self, data: object, at: Path_) -> tuple[str, ...]:
        names = data if isinstance(data, list) else [data]
        for name in names:
            if name not in self._catalog.tables:
                hint = nearest(name, self._catalog.tables)
                self._note(at, f"there is no table {shown(name)}{hint}")
        return tuple(str(name) for name in names)

    def _expected(
        self,
        data: Any,  # noqa: ANN401  YAML is anything
        at: Path_,
        rule: Rule,
        records: Mapping[str, Sequence[Mapping[str, object]]],
    ) -> dict[str, str]:
        known = [str(row["id"]) for row in records.get(rule.subject, ())]
        expected: dict[str, str] = {}
        if not isinstance(data, dict) or not data:
            self._note(at, "“expect” names who is to match: {match: [...], no_match: [...]}")
            return {}
        for verdict, ids in data.items():
            here = (*at, verdict)
            if verdict not in EXPECTED:
                place = self._document.key_place(here)
                self._problems.add(place, f"unknown key “{verdict}”{nearest(verdict, EXPECTED)}")
                continue
            for record_id in ids if isinstance(ids, list) else [ids]:
                if record_id not in known:
                    hint = nearest(record_id, known)
                    self._note(here, f"there is no {rule.subject} {shown(record_id)} here{hint}")
                elif record_id in expected:
                    self._note(here, f"“{record_id}” is expected twice")
                else:
                    expected[record_id] = verdict
        return expected

    def _note(self, at: Path_, sentence: str) -> None:
        self._problems.add(self._document.place(at), sentence)
