"""Reads a rule from its file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.config.base import validate
from crmsync.config.tightening import RulePolicy, loosening
from crmsync.rules import paths
from crmsync.rules.conditions import Column, Condition, InSegment, Related, parts
from crmsync.rules.inhibition import KEYS, read_words
from crmsync.rules.language import Rule
from crmsync.rules.operators import shown
from crmsync.rules.reading.conditions import ConditionParser
from crmsync.rules.reading.heads import (
    FileKind,
    check_keys,
    parse_description,
    parse_name,
    parse_subject,
)
from crmsync.rules.reading.options import OptionsParser
from crmsync.rules.reading.sources import source_of
from crmsync.rules.reading.steps import StepParser
from crmsync.rules.reading.way import WayParser, guards
from crmsync.rules.unknown import settle

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from crmsync.config.policy import Policy
    from crmsync.config.yaml import Document, Path_, Problems
    from crmsync.model.catalog import Catalog
    from crmsync.rules.language import AnyStep, Ending
    from crmsync.rules.reading.segments import Segments

RULE_FILE = FileKind(
    name="rule",
    keys=(
        "rule",
        "description",
        "subject",
        "when",
        "then",
        "for",
        "once_per",
        "cooldown",
        "repeat_every",
        "existing",
        "on_change",
        "labels",
        "priority",
        "expires",
        "inhibits",
        "inhibited_by",
        "policy",
        "schedule",
        "until",
    ),
    needed=("rule", "subject", "when", "then"),
)
# What those inside go by. All else a rule says counts as it says it now.
OF_THE_VERSION = (
    "rule",
    "subject",
    "when",
    "then",
    "until",
    "once_per",
    "repeat_every",
)
_VERSION_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class RuleParser:
    """Reads rules, one file after the other; mistakes are noted.

    Attributes:
        teams: the names of the config's teams.
        policy: the config's, which no rule may loosen.
        documents: what was read, by the name of the rule.
    """

    catalog: Catalog
    problems: Problems
    segments: Segments
    teams: Collection[str]
    policy: Policy
    documents: dict[str, Document] = field(default_factory=dict)

    def parse(self, document: Document) -> Rule | None:
        """The rule of a file; None where there is a mistake in it."""
        if not check_keys(document, RULE_FILE, self.problems):
            return None
        before = len(self.problems.sentences)
        name = parse_name(document, RULE_FILE, self.problems)
        if name in self.documents:
            sentence = f"a rule “{name}” stands in {self.documents[name].file} already"
            self.problems.add(document.place(("rule",)), sentence)
        elif name is not None:
            self.documents[name] = document
        description = parse_description(document, self.problems)
        subject = parse_subject(document, self.catalog, self.problems)
        if subject is None:
            return None
        data = document.data
        conditions = ConditionParser(self.catalog, document, self.problems, self.segments.condition)
        when = conditions.parse(data["when"], subject, ("when",))
        parser = self._way_parser(document, subject)
        way = parser.parse(data["then"], ("then",))
        until = parser.endings(data["until"], ("until",)) if "until" in data else ()
        columns = self._once_per(document, subject)
        options = OptionsParser(document=document, problems=self.problems)
        must_last, cooldown = options.duration("for"), options.duration("cooldown")
        repeat_every = options.repeat_every()
        existing, expires = options.existing(), options.day("expires")
        on_change = options.on_change()
        labels, priority = options.labels(), options.priority()
        schedule = options.schedule()
        inhibits, inhibited_by = (read_words(document, key, self.problems) for key in KEYS)
        own_policy = self._own_policy(document)
        if name is None or when is None or len(self.problems.sentences) > before:
            return None
        segments = self._segments_of([when, *_asked(way, until)])
        return Rule(
            name=name,
            description=description,
            subject=subject,
            when=settle(when),
            way=way,
            until=until,
            version=_version(data, OF_THE_VERSION, segments),
            asks=_version(data, ("subject", "when"), self._segments_of([when])),
            source=source_of(document, segments),
            on_change=on_change,
            place=document.place(("rule",)),
            once_per=tuple(column.path for column in columns),
            once_per_columns=columns,
            must_last=must_last,
            cooldown=cooldown,
            repeat_every=repeat_every,
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
            catalog=self.catalog,
            document=document,
            problems=self.problems,
            table=subject,
            repeats="repeat_every" in document.data,
            steps=StepParser(
                catalog=self.catalog,
                document=document,
                problems=self.problems,
                table=subject,
                teams=self.teams,
            ),
            conditions=ConditionParser(
                self.catalog,
                document,
                self.problems,
                self.segments.condition,
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
            problems=self.problems,
        )
        for path, sentence in () if own is None else loosening(self.policy, own):
            self.problems.add(document.place((*at, *path)), sentence)
        return own

    def _once_per(self, document: Document, subject: str) -> tuple[Column, ...]:
        value = document.data.get("once_per", [])
        names = value if isinstance(value, list) else [value]
        columns = []
        for i, name in enumerate(names):
            at: Path_ = ("once_per", i) if isinstance(value, list) else ("once_per",)
            if not isinstance(name, str):
                self.problems.add(
                    document.place(at), f"“once_per” names fields, and not {shown(name)}"
                )
                continue
            try:
                # The subject itself stands for its id, which is part of every enrolment.
                path = "id" if name == subject else name
                columns.append(paths.column(self.catalog, subject, path))
            except ValueError as error:
                self.problems.add(document.place(at), str(error))
        return tuple(columns)

    def _segments_of(self, conditions: Collection[Condition]) -> list[Document]:
        names = {name for condition in conditions for name in _segment_names(condition)}
        return [self.segments.document(name) for name in sorted(names)]


def _version(
    data: Mapping[str, object], keys: Collection[str], segments: Collection[Document]
) -> str:
    said = {key: value for key, value in data.items() if key in keys}
    text = json.dumps([said, [one.data for one in segments]], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_LENGTH]


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
