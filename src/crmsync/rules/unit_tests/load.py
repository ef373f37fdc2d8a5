"""Reads the unit tests of rules: records, a time, what is expected, and what comes later."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from crmsync.clock import parse_instant, readable
from crmsync.config.yaml import Problems, load_yaml, nearest
from crmsync.errors import InvalidInputError
from crmsync.model.durations import parse_duration
from crmsync.rules.evaluation.calendar import Calendar
from crmsync.rules.language import TaskStep
from crmsync.rules.operators import shown
from crmsync.rules.unit_tests.expectations import Expectation, ExpectationReader
from crmsync.rules.unit_tests.memory_history import changes_of
from crmsync.rules.unit_tests.memory_rows import mistakes_in_row
from crmsync.rules.unit_tests.virtual_records import changed_records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from crmsync.config.yaml import Document, Path_, Place
    from crmsync.model.catalog import Catalog
    from crmsync.rules.language import Rule
    from crmsync.rules.reading.load import RuleSet
    from crmsync.rules.unit_tests.virtual_records import RecordsByTable

TEST_KEYS = ("rule", "name", "at", "new_rule", "records", "unread", "expect", "later")
NEEDED_TEST_KEYS = ("rule", "at", "records")
_ROUND = r"#[1-9][0-9]*$"  # what a step of a later round ends with
STAGE_KEYS = ("advance", "at", "records", "deleted", "unread", "done", "expect")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An instant of a test.

    Attributes:
        told: how it is reached, for example ``after 3 days``; empty for the first.
        records: all there are at that instant.
        unread: tables whose stream was not read.
        done: subjects and ids of steps whose tasks people have done by then.
    """

    at: datetime
    told: str
    records: RecordsByTable
    unread: tuple[str, ...]
    done: frozenset[tuple[str, str]]
    expect: Expectation
    place: Place


@dataclass(frozen=True, kw_only=True)
class RuleTest:
    """One test, checked against the rules and the tables.

    Attributes:
        new_rule: whether the rule runs for the first time, so that ``existing`` counts; where it
            does not, it has run before, and nobody matched.
        stages: one or more, each later than the one before.
    """

    rule: Rule
    name: str
    new_rule: bool
    stages: tuple[Stage, ...]
    place: Place


def load_rule_tests(
    folder: Path,
    rules: RuleSet,
    catalog: Catalog,
    *,
    zone: ZoneInfo,
    country: str | None,
    shown_relative_to: Path,
) -> list[RuleTest]:
    """Read every test of a folder; a file holds one test or a list of them.

    Args:
        folder: where the tests are; none there is no mistake.
        rules: what they test.
        catalog: the tables that their records belong to.
        zone: the company's: that of times without an offset.
        country: whose public holidays are no business days.
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
        reader = _TestReader(document, problems, rules, catalog, (zone, country))
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
        company: tuple[ZoneInfo, str | None],
    ) -> None:
        self._document = document
        self._problems = problems
        self._rules = rules
        self._catalog = catalog
        self._zone, self._country = company

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
        self._check_keys(data, at, TEST_KEYS, "a test")
        for key in NEEDED_TEST_KEYS:
            if key not in data:
                self._note(at, f"“{key}:” is missing in this test")
        if "expect" not in data and "later" not in data:
            self._note(at, "“expect:” is missing in this test")
        rule = self._rule(data.get("rule"), (*at, "rule"))
        new_rule = data.get("new_rule", False)
        if not isinstance(new_rule, bool):
            self._note((*at, "new_rule"), f"“new_rule” is true or false, and not {shown(new_rule)}")
        instant = self._instant(data["at"], (*at, "at")) if "at" in data else None
        records = self._records(data.get("records", {}), (*at, "records"))
        unread = self._unread(data.get("unread", []), (*at, "unread"))
        if len(self._problems.sentences) > before or rule is None or instant is None:
            return
        stages = tuple(self._stages(data, at, rule, (instant, records, unread)))
        if len(self._problems.sentences) == before:
            self._check_references(data, at)
        if len(self._problems.sentences) == before:
            yield RuleTest(
                rule=rule,
                name=str(data.get("name", usual)),
                new_rule=new_rule,
                stages=stages,
                place=self._document.place(at),
            )

    def _stages(
        self,
        data: dict[str, Any],
        at: Path_,
        rule: Rule,
        first: tuple[datetime, RecordsByTable, tuple[str, ...]],
    ) -> Iterator[Stage]:
        instant, records, unread = first
        known = {str(row["id"]) for row in records.get(rule.subject, ())}
        told = ""
        done: frozenset[tuple[str, str]] = frozenset()
        for stage, here in chain([(data, at)], self._later(data.get("later", []), (*at, "later"))):
            if here != at:
                instant, told = self._reached(stage, here, instant)
                records = self._changed(stage, here, records, instant)
                known |= {str(row["id"]) for row in records.get(rule.subject, ())}
                if "unread" in stage:
                    unread = self._unread(stage["unread"], (*here, "unread"))
                done |= self._done(stage.get("done", {}), (*here, "done"), rule, known)
            expect = Expectation()
            if "expect" in stage:
                reader = ExpectationReader(self._document, self._problems, self._catalog)
                expect = reader.read(stage["expect"], (*here, "expect"), rule.subject, known)
            yield Stage(
                at=instant,
                told=told,
                records=records,
                unread=unread,
                done=done,
                expect=expect,
                place=self._document.place(here),
            )

    def _later(self, data: Any, at: Path_) -> Iterator[tuple[dict[str, Any], Path_]]:  # noqa: ANN401  YAML is anything
        for i, stage in enumerate(data if isinstance(data, list) else [data]):
            here = (*at, i) if isinstance(data, list) else at
            if isinstance(stage, dict):
                self._check_keys(stage, here, STAGE_KEYS, "what comes later")
                yield stage, here
            else:
                self._note(
                    here, f"“later” is a list of {{advance: 3 days, …}}, and not {shown(stage)}"
                )

    def _reached(self, stage: dict[str, Any], at: Path_, before: datetime) -> tuple[datetime, str]:
        """The instant of a stage, and how it is reached in words."""
        if ("advance" in stage) == ("at" in stage):
            self._note(at, "what comes later needs either “advance: 3 days” or “at: TIME”")
            return before, ""
        if "at" in stage:
            instant = self._instant(stage["at"], (*at, "at")) or before
            if instant <= before:
                self._note((*at, "at"), "this is not later than what is before it")
            return instant, f"at {readable(instant, self._zone)}"
        try:
            duration = parse_duration(stage["advance"])
        except ValueError as error:
            self._note((*at, "advance"), str(error))
            return before, ""
        calendar = Calendar(now=before, zone=self._zone, country=self._country)
        instant = calendar.instant_after(duration)
        return instant, f"after {duration}, {readable(instant, self._zone)}"

    def _changed(
        self, stage: dict[str, Any], at: Path_, before: RecordsByTable, instant: datetime
    ) -> RecordsByTable:
        """The records as a stage leaves them."""
        problems = len(self._problems.sentences)
        given = self._records(stage.get("records", {}), (*at, "records"))
        deleted = self._deleted(stage.get("deleted", {}), (*at, "deleted"), before)
        if len(self._problems.sentences) > problems:
            return before
        return changed_records(self._catalog.tables, before, given, deleted, at=instant)

    def _deleted(self, data: Any, at: Path_, before: RecordsByTable) -> dict[str, set[str]]:  # noqa: ANN401  YAML is anything
        if not isinstance(data, dict):
            self._note(at, f"“deleted” is “table: [ids]”, and not {shown(data)}")
            return {}
        found: dict[str, set[str]] = {}
        for name, ids in data.items():
            if not self._is_table(name, (*at, name)):
                continue
            known = {str(row["id"]) for row in before.get(name, ())}
            listed = ids if isinstance(ids, list) else [ids]
            found[name] = {i for i in listed if isinstance(i, str) and i in known}
            for record_id in listed:
                if record_id not in found[name]:
                    hint = nearest(record_id, known)
                    self._note((*at, name), f"there is no {name} {shown(record_id)} here{hint}")
        return found

    def _done(
        self,
        data: Any,  # noqa: ANN401  YAML is anything
        at: Path_,
        rule: Rule,
        known: set[str],
    ) -> frozenset[tuple[str, str]]:
        """Subjects and the steps whose tasks were done."""
        if not isinstance(data, dict):
            self._note(at, f"“done” is “id: [step]”, and not {shown(data)}")
            return frozenset()
        tasks = {step.id for step in rule.then if isinstance(step, TaskStep)}
        found: set[tuple[str, str]] = set()
        for subject, steps in data.items():
            if subject not in known:
                hint = nearest(subject, known)
                self._note((*at, subject), f"there is no {rule.subject} “{subject}” here{hint}")
            for step in steps if isinstance(steps, list) else [steps]:
                if not isinstance(step, str) or re.sub(_ROUND, "", step) not in tasks:
                    hint = nearest(step, tasks)
                    self._note((*at, subject), f"the rule has no task {shown(step)}{hint}")
                else:
                    found.add((subject, step))
        return frozenset(found)

    def _check_keys(
        self, data: dict[str, Any], at: Path_, known: tuple[str, ...], where: str
    ) -> None:
        for key in data:
            if key not in known:
                place = self._document.key_place((*at, key))
                self._problems.add(place, f"unknown key “{key}” in {where}{nearest(key, known)}")

    def _rule(self, name: object, at: Path_) -> Rule | None:
        rule = self._rules.rule(str(name))
        if rule is None:
            hint = nearest(name, (rule.name for rule in self._rules.rules))
            self._note(at, f"there is no rule {shown(name)}{hint}")
        return rule

    def _instant(self, text: object, at: Path_) -> datetime | None:
        try:
            return parse_instant(str(text), default_zone=str(self._zone))
        except ValueError as error:
            self._note(at, str(error))
            return None

    def _records(self, data: Any, at: Path_) -> RecordsByTable:  # noqa: ANN401  YAML is anything
        if not isinstance(data, dict):
            self._note(at, f"“records” is “table: [records]”, and not {shown(data)}")
            return {}
        for name, rows in data.items():
            if not self._is_table(name, (*at, name)):
                continue
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                self._note((*at, name), f"the records of “{name}” are a list of {{field: value}}")
            else:
                self._check_rows(name, rows, (*at, name))
        return data

    def _is_table(self, name: str, at: Path_) -> bool:
        if name in self._catalog.tables:
            return True
        hint = nearest(name, self._catalog.tables)
        self._problems.add(self._document.key_place(at), f"there is no table “{name}”{hint}")
        return False

    def _check_rows(self, name: str, rows: list[dict[str, object]], at: Path_) -> None:
        table = self._catalog.tables[name]
        for i, row in enumerate(rows):
            mistakes = list(mistakes_in_row(table, row))
            for field, sentence in mistakes:
                here = (*at, i) if field is None else (*at, i, field)
                is_name = field is not None and table.field(field) is None
                find = self._document.key_place if is_name else self._document.place
                self._problems.add(find(here), sentence)
            try:
                if not mistakes:  # the past of a value that does not fit cannot be read
                    changes_of(table, row)
            except ValueError as error:
                self._note((*at, i), str(error))
        seen: set[str] = set()
        for i, row in enumerate(rows):
            record_id = row.get("id")
            if isinstance(record_id, str) and record_id in seen:
                self._note((*at, i), f"the id “{record_id}” stands twice among {table.plural}")
            seen.add(str(record_id))

    def _check_references(self, data: dict[str, Any], at: Path_) -> None:
        """What a record refers to is there, now or later, where the test writes such records.

        A test may leave out a whole table that its rule does not ask for.
        """
        later = data.get("later", [])
        places: list[Path_] = [at]
        stages: list[dict[str, Any]] = [data]
        for i, stage in enumerate(later if isinstance(later, list) else [later]):
            places.append((*at, "later", i) if isinstance(later, list) else (*at, "later"))
            stages.append(stage)
        known: dict[str, set[str]] = {}
        for stage in stages:
            for name, rows in stage.get("records", {}).items():
                known.setdefault(name, set()).update(row["id"] for row in rows)
        for place, stage in zip(places, stages, strict=True):
            for name, rows in stage.get("records", {}).items():
                for i, row in enumerate(rows):
                    for field in self._catalog.tables[name].fields:
                        wanted, target = row.get(field.name), field.references
                        ids = known.get(target or "", set())
                        if wanted and ids and wanted not in ids:
                            here = (*place, "records", name, i, field.name)
                            hint = nearest(wanted, ids)
                            self._note(here, f"there is no {target} “{wanted}” here{hint}")

    def _unread(self, data: object, at: Path_) -> tuple[str, ...]:
        names = data if isinstance(data, list) else [data]
        for name in names:
            if not isinstance(name, str) or name not in self._catalog.tables:
                hint = nearest(name, self._catalog.tables)
                self._note(at, f"there is no table {shown(name)}{hint}")
        return tuple(str(name) for name in names)

    def _note(self, at: Path_, sentence: str) -> None:
        self._problems.add(self._document.place(at), sentence)
