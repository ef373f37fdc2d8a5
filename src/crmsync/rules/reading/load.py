"""Reads rule and segment files: all mistakes of all files at once, each at its place."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.config.policy import Policy
from crmsync.config.yaml import Problems, load_yaml
from crmsync.errors import EnoughMistakesError, InvalidInputError
from crmsync.rules.conditions import InSegment, Related, parts
from crmsync.rules.inhibition import check_inhibition
from crmsync.rules.reading.rule import RuleParser
from crmsync.rules.reading.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from crmsync.config.yaml import Document
    from crmsync.model.catalog import Catalog
    from crmsync.rules.conditions import Condition
    from crmsync.rules.language import Rule
    from crmsync.rules.reading.segments import Segment

TESTS = "tests"


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """All rules and segments of an installation, checked."""

    rules: tuple[Rule, ...]
    segments: Mapping[str, Segment] = field(default_factory=dict)

    def rule(self, name: str) -> Rule | None:
        """The rule of that name."""
        return next((rule for rule in self.rules if rule.name == name), None)


def load_rules(
    folder: Path,
    segments_folder: Path,
    catalog: Catalog,
    teams: Collection[str],
    shown_relative_to: Path,
    *,
    policy: Policy | None = None,
) -> RuleSet:
    """Read every rule and every segment, as `read_rules` does.

    Raises:
        InvalidInputError: there are mistakes; all of them are named.
    """
    rules, mistakes = read_rules(
        folder, segments_folder, catalog, teams, shown_relative_to, policy=policy
    )
    if mistakes:
        raise InvalidInputError(mistakes)
    return rules


def read_rules(
    folder: Path,
    segments_folder: Path,
    catalog: Catalog,
    teams: Collection[str],
    shown_relative_to: Path,
    *,
    policy: Policy | None = None,
) -> tuple[RuleSet, tuple[str, ...]]:
    """Read every rule below a folder (except ``tests/``) and every segment.

    Args:
        teams: the names of the config's teams.
        shown_relative_to: the folder that mistakes name the files relative to.
        policy: the config's, which no rule may loosen.

    Returns:
        what was read, and every mistake. Where there are some, only the rules in whose files
        there are none; and none that uses segments, where one of these holds one.
    """
    problems = Problems()
    segments = Segments(catalog, problems)
    for document in _documents(segments_folder, shown_relative_to, problems):
        with suppress(EnoughMistakesError):
            segments.add(document)
    if not folder.is_dir():
        problems.sentences.append(f"{folder}:1:1: there is no such folder of rules")
    parser = RuleParser(
        catalog=catalog,
        problems=problems,
        segments=segments,
        teams=teams,
        policy=policy or Policy(),
    )
    in_segments = bool(problems.sentences)
    rules: list[Rule] = []
    for document in _documents(folder, shown_relative_to, problems):
        before = len(problems.sentences)
        # A file with very many mistakes does not hide those of the others.
        with suppress(EnoughMistakesError):
            rule = parser.parse(document)
            if rule is not None and len(problems.sentences) == before:
                rules.append(rule)
    found = len(problems.sentences)
    read = segments.all()
    if len(problems.sentences) > found or in_segments:
        rules = [rule for rule in rules if not _uses_segments(rule.when)]
    if not problems.sentences:
        check_inhibition(rules, parser.documents, problems)
    return RuleSet(rules=tuple(rules), segments=read), tuple(problems.sentences)


def _uses_segments(condition: Condition | None) -> bool:
    if condition is None or isinstance(condition, InSegment):
        return condition is not None
    if isinstance(condition, Related):
        return any(_uses_segments(one) for one in (condition.of.where, condition.each))
    return any(_uses_segments(one) for one in parts(condition))


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
