"""Reads rule and segment files: all mistakes of all files at once, each at its place."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from crmsync.config.base import validate
from crmsync.config.policy import Policy
from crmsync.config.settings import Existing
from crmsync.config.tightening import RulePolicy, loosening
from crmsync.config.yaml import Problems, load_yaml, nearest
from crmsync.errors import EnoughMistakesError, InvalidInputError
from crmsync.model.durations import Duration, parse_duration
from crmsync.model.schedules import Schedule, parse_schedule
from crmsync.rules import paths
from crmsync.rules.conditions import Column, Condition, InSegment, Related, parts
from crmsync.rules.inhibition import KEYS, check_inhibition, read_words
from crmsync.rules.language import Rule
from crmsync.rules.operators import DAY_PATTERN, shown
from crmsync.rules.parse_conditions import ConditionParser
from crmsync.rules.parse_steps import StepParser
from crmsync.rules.parse_way import WayParser, guards
from crmsync.rules.unknown import settle

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from crmsync.config.yaml import Document, Path_
    from crmsync.model.catalog import Catalog
    from crmsync.rules.language import AnyStep, Ending

RULE_KEYS = (
    "rule",
    "description",
    "subject",
    "when",
    "then",
    "for",
    "once_per",
    "cooldown",
    "existing",
    "labels",
    "priority",
    "expires",
    "inhibits",
    "inhibited_by",
    "policy",
    "schedule",
    "until",
)
_LATER_KEYS = (
    "repeat_every",
    "on_change",
)
SEGMENT_KEYS = ("segment", "subject", "description", "when")
NEEDED_RULE_KEYS = ("rule", "subject", "when", "then")
NEEDED_SEGMENT_KEYS = ("segment", "subject", "when")
TESTS = "tests"
HIGHEST_PRIORITY = 100
_VERSION_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A named list of conditions."""

    name: str
    subject: str
    description: str
    when: Condition


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """All rules and segments of an installation, checked."""

    rules: tuple[Rule, ...]
    segments: Mapping[str, Segment] = field(default_factory=dict)

    def rule(self, name: str) -> Rule | None:
        """The rule of that name."""
        return next((rule for rule in self.rules if rule.name == name), None)


def load_rules(  # noqa: PLR0913  what rules are checked against
    folder: Path,
    segments_folder: Path,
    catalog: Catalog,
    teams: Collection[str],
    shown_relative_to: Path,
    *,
    policy: Policy | None = None,
) -> RuleSet:
    """Read every rule below a folder (except ``tests/``) and every segment.

    Args:
        teams: the names of the config's teams.
        shown_relative_to: the folder that mistakes name the files relative to.
        policy: the config's, which no rule may loosen.

    Raises:
        InvalidInputError: there are mistakes; all of them are named.
    """
    problems = Problems()
    segments = _Segments(catalog, problems)
    for document in _documents(segments_folder, shown_relative_to, problems):
        with suppress(EnoughMistakesError):
            segments.add(document)
    if not folder.is_dir():
        problems.sentences.append(f"{folder}:1:1: there is no such folder of rules")
    reader = _RuleReader(catalog, problems, segments, teams, policy or Policy())
    rules = []
    for document in _documents(folder, shown_relative_to, problems):
        # A file with very many mistakes does not hide those of the others.
        with suppress(EnoughMistakesError):
            rules.append(reader.read(document))
    read = segments.all()
    if not problems.sentences:
        check_inhibition([rule for rule in rules if rule], reader.documents, problems)
    problems.raise_if_any()
    return RuleSet(rules=tuple(rule for rule in rules if rule is not None), segments=read)


def _documents(folder: Path, shown_relative_to: Path, problems: Problems) -> Iterator[Document]:
    for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))):
        inside = file.relative_to(folder)
        if inside.parts[0] == TESTS or any(part.startswith(".") for part in inside.parts):
            continue
        shown_as = str(file)
        if file.is_relative_to(shown_relative_to):
            shown_as = str(file.relative_to(shown_relative_to))
        try:
            yield load_yaml(file, shown_as=shown_as)
        except InvalidInputError as error:
            problems.sentences += error.problems


class _Segments:
    """The segments by name; each is read when it is first asked for."""

    def __init__(self, catalog: Catalog, problems: Problems) -> None:
        self._catalog = catalog
        self._problems = problems
        self._documents: dict[str, Document] = {}
        self._read: dict[str, Segment | None] = {}
        self._open: list[str] = []
        self._counts: dict[str, int] = {}

    def add(self, document: Document) -> None:
        """Take in a file."""
        if not _check_keys(
            document, SEGMENT_KEYS, (), NEEDED_SEGMENT_KEYS, "segment", self._problems
        ):
            return
        name = _name(document, "segment", self._problems)
        if name in self._documents:
            first = self._documents[name].file
            self._problems.add(
                document.place(("segment",)), f"a segment “{name}” stands in {first} already"
            )
        elif name is not None:
            self._documents[name] = document

    def all(self) -> dict[str, Segment]:
        """Every segment without a mistake."""
        read = {name: self._segment(name) for name in self._documents}
        return {name: segment for name, segment in read.items() if segment is not None}

    def condition(self, name: str, table: str) -> tuple[Condition, int] | None:
        """What the segment means, and how many conditions that is; None where it has mistakes.

        Raises:
            ValueError: there is none, it is about another subject, or contains itself.
        """
        if name not in self._documents:
            raise ValueError(f"there is no segment “{name}”{nearest(name, self._documents)}")
        if name in self._open:
            circle = " → ".join((*self._open[self._open.index(name) :], name))
            raise ValueError(f"the segment “{name}” contains itself: {circle}")
        segment = self._segment(name)
        if segment is not None and segment.subject != table:
            raise ValueError(f"the segment “{name}” is about {segment.subject}, and not {table}")
        return None if segment is None else (segment.when, self._counts[name])

    def data(self, name: str) -> object:
        """The YAML data of a segment."""
        return self._documents[name].data

    def _segment(self, name: str) -> Segment | None:
        if name not in self._read:
            self._open.append(name)
            self._read[name] = None
            with suppress(EnoughMistakesError):  # noted; the other files are still to be read
                self._read[name] = self._parse(name, self._documents[name])
            self._open.pop()
        return self._read[name]

    def _parse(self, name: str, document: Document) -> Segment | None:
        subject = _subject(document, self._catalog, self._problems)
        if subject is None:
            return None
        parser = ConditionParser(self._catalog, document, self._problems, self.condition)
        when = parser.parse(document.data["when"], subject, ("when",))
        description = _description(document, self._problems)
        self._counts[name] = parser.count
        if when is None:
            return None
        return Segment(name=name, subject=subject, description=description, when=when)


class _RuleReader:
    def __init__(
        self,
        catalog: Catalog,
        problems: Problems,
        segments: _Segments,
        teams: Collection[str],
        policy: Policy,
    ) -> None:
        self._catalog = catalog
        self._problems = problems
        self._segments = segments
        self._teams = teams
        self._policy = policy
        self.documents: dict[str, Document] = {}

    def read(self, document: Document) -> Rule | None:
        if not _check_keys(
            document, RULE_KEYS, _LATER_KEYS, NEEDED_RULE_KEYS, "rule", self._problems
        ):
            return None
        before = len(self._problems.sentences)
        name = _name(document, "rule", self._problems)
        if name in self.documents:
            sentence = f"a rule “{name}” stands in {self.documents[name].file} already"
            self._problems.add(document.place(("rule",)), sentence)
        elif name is not None:
            self.documents[name] = document
        description = _description(document, self._problems)
        subject = _subject(document, self._catalog, self._problems)
        if subject is None:
            return None
        data = document.data
        conditions = ConditionParser(
            self._catalog, document, self._problems, self._segments.condition
        )
        when = conditions.parse(data["when"], subject, ("when",))
        parser = self._way_parser(document, subject)
        way = parser.parse(data["then"], ("then",))
        until = parser.endings(data["until"], ("until",)) if "until" in data else ()
        columns = self._once_per(document, subject)
        options = _Options(document, self._problems)
        must_last, cooldown = options.duration("for"), options.duration("cooldown")
        existing, expires = options.existing(), options.day("expires")
        labels, priority = options.labels(), options.priority()
        schedule = options.schedule()
        inhibits, inhibited_by = (read_words(document, key, self._problems) for key in KEYS)
        own_policy = self._own_policy(document)
        if name is None or when is None or len(self._problems.sentences) > before:
            return None
        return Rule(
            name=name,
            description=description,
            subject=subject,
            when=settle(when),
            way=way,
            until=until,
            version=self._version(data, [when, *_asked(way, until)]),
            place=document.place(("rule",)),
            once_per=tuple(column.path for column in columns),
            once_per_columns=columns,
            must_last=must_last,
            cooldown=cooldown,
            existing=existing,
            labels=labels,
            priority=priority,
            expires=expires,
            inhibits=inhibits,
            inhibited_by=inhibited_by,
            policy=own_policy,
            schedule=schedule,
        )

    def _way_parser(self, document: Document, subject: str) -> WayParser:
        return WayParser(
            catalog=self._catalog,
            document=document,
            problems=self._problems,
            table=subject,
            steps=StepParser(
                catalog=self._catalog,
                document=document,
                problems=self._problems,
                table=subject,
                teams=self._teams,
            ),
            conditions=ConditionParser(
                self._catalog,
                document,
                self._problems,
                self._segments.condition,
                enrolled=True,
            ),
        )

    def _own_policy(self, document: Document) -> RulePolicy | None:
        """What the rule asks for beyond the config's policy."""
        if "policy" not in document.data:
            return None
        at: Path_ = ("policy",)
        own = validate(
            RulePolicy,
            document.data["policy"],
            document=document,
            path=at,
            problems=self._problems,
        )
        for path, sentence in () if own is None else loosening(self._policy, own):
            self._problems.add(document.place((*at, *path)), sentence)
        return own

    def _once_per(self, document: Document, subject: str) -> tuple[Column, ...]:
        value = document.data.get("once_per", [])
        names = value if isinstance(value, list) else [value]
        columns = []
        for i, name in enumerate(names):
            at: Path_ = ("once_per", i) if isinstance(value, list) else ("once_per",)
            if name == subject:
                # The subject itself: its id is part of every enrolment.
                name = "id"  # noqa: PLW2901  the record itself stands for its id
            if not isinstance(name, str):
                self._problems.add(
                    document.place(at), f"“once_per” names fields, and not {shown(name)}"
                )
                continue
            try:
                columns.append(paths.column(self._catalog, subject, name))
            except ValueError as error:
                self._problems.add(document.place(at), str(error))
        return tuple(columns)

    def _version(self, data: Mapping[str, object], conditions: Collection[Condition]) -> str:
        names = sorted({name for condition in conditions for name in _segment_names(condition)})
        said = {key: value for key, value in data.items() if key != "schedule"}
        meaning = [said, [(name, self._segments.data(name)) for name in names]]
        text = json.dumps(meaning, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_LENGTH]


class _Options:
    """The keys of a rule that have a default."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems

    def duration(self, key: str) -> Duration | None:
        value = self._document.data.get(key)
        if key not in self._document.data:
            return None
        try:
            return parse_duration(value)
        except ValueError as error:
            self._problems.add(self._document.place((key,)), str(error))
            return None

    def day(self, key: str) -> date | None:
        value = self._document.data.get(key)
        if key not in self._document.data:
            return None
        try:
            if isinstance(value, str) and re.fullmatch(DAY_PATTERN, value):
                return date.fromisoformat(value)
        except ValueError:  # the 30th of February
            pass
        self._problems.add(
            self._document.place((key,)),
            f"“{key}” is a day such as 2027-06-30, and not {shown(value)}",
        )
        return None

    def schedule(self) -> Schedule | None:
        if "schedule" not in self._document.data:
            return None
        try:
            return parse_schedule(self._document.data["schedule"])
        except ValueError as error:
            self._problems.add(self._document.place(("schedule",)), str(error))
            return None

    def existing(self) -> Existing | None:
        if "existing" not in self._document.data:
            return None
        value = self._document.data["existing"]
        if value not in list(Existing):
            hint = nearest(value, list(Existing))
            self._problems.add(
                self._document.place(("existing",)), f"“existing” cannot be {shown(value)}{hint}"
            )
            return None
        return Existing(value)

    def labels(self) -> tuple[str, ...]:
        value = self._document.data.get("labels", [])
        labels = value if isinstance(value, list) else [value]
        if not all(isinstance(label, str) for label in labels):
            self._problems.add(self._document.place(("labels",)), "“labels” is a list of texts")
            return ()
        return tuple(labels)

    def priority(self) -> int:
        value = self._document.data.get("priority", 50)
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        if not whole or not 0 <= value <= HIGHEST_PRIORITY:
            self._problems.add(
                self._document.place(("priority",)),
                f"“priority” is a whole number from 0 to {HIGHEST_PRIORITY}, and not "
                f"{shown(value)}",
            )
            return 0
        return int(value)


def _check_keys(  # noqa: PLR0913, PLR0917  one private call for two kinds of file
    document: Document,
    known: tuple[str, ...],
    later: tuple[str, ...],
    needed: tuple[str, ...],
    kind: str,
    problems: Problems,
) -> bool:
    data: Any = document.data
    if not isinstance(data, dict):
        problems.add(document.place(), f"a {kind} file begins with “{kind}: NAME”")
        return False
    for key in data:
        if key in later:
            problems.add(document.key_place((key,)), f"this version does not have “{key}” yet")
        elif key not in known:
            problems.add(document.key_place((key,)), f"unknown key “{key}”{nearest(key, known)}")
    missing = [key for key in needed if key not in data]
    for key in missing:
        problems.add(document.place(), f"“{key}:” is missing in this {kind}")
    return not missing


def _name(document: Document, key: str, problems: Problems) -> str | None:
    name = document.data[key]
    if isinstance(name, str) and name and not any(c.isspace() or c in ":/" for c in name):
        return name
    problems.add(
        document.place((key,)),
        f"a {key}'s name is one word like renewal-at-risk, and not {shown(name)}",
    )
    return None


def _subject(document: Document, catalog: Catalog, problems: Problems) -> str | None:
    subject = document.data["subject"]
    if isinstance(subject, str) and subject in catalog.tables:
        return subject
    hint = nearest(subject, catalog.tables)
    problems.add(document.place(("subject",)), f"there is no subject {shown(subject)}{hint}")
    return None


def _description(document: Document, problems: Problems) -> str:
    description = document.data.get("description", "")
    if not isinstance(description, str):
        problems.add(document.place(("description",)), "“description” is a text")
        return ""
    return description.strip()


def _asked(way: tuple[AnyStep, ...], until: tuple[Ending, ...]) -> list[Condition]:
    return [guard.condition for guard in guards(way, until) if guard.condition is not None]


def _segment_names(condition: Condition) -> set[str]:
    names = {condition.name} if isinstance(condition, InSegment) else set()
    inner = [*parts(condition)]
    if isinstance(condition, Related):
        inner += [c for c in (condition.of.where, condition.each) if c is not None]
    for part in inner:
        names |= _segment_names(part)
    return names
