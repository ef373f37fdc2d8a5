"""Rules that keep others from acting for the same account: ``inhibits`` and ``inhibited_by``."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from crmsync.config.yaml import nearest
from crmsync.rules.operators import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crmsync.config.yaml import Document, Problems
    from crmsync.rules.language import Rule

KEYS = ("inhibits", "inhibited_by")


def inhibitors(rules: Iterable[Rule]) -> dict[str, frozenset[str]]:
    """By name of a rule, the names of those that inhibit it; a rule never inhibits itself."""
    rules = tuple(rules)
    called = _called(rules)
    found: dict[str, set[str]] = {rule.name: set() for rule in rules}
    for rule in rules:
        for word in rule.inhibited_by:
            found[rule.name] |= called.get(word, set())
        for word in rule.inhibits:
            for other in called.get(word, ()):
                found[other].add(rule.name)
    return {name: frozenset(others - {name}) for name, others in found.items()}


def _called(rules: Iterable[Rule]) -> dict[str, set[str]]:
    """What others can call rules, by name and by label."""
    called: dict[str, set[str]] = {}
    for rule in rules:
        for word in (rule.name, *rule.labels):
            called.setdefault(word, set()).add(rule.name)
    return called


def read_words(document: Document, key: str, problems: Problems) -> tuple[str, ...]:
    """The names and labels behind one of the keys."""
    value = document.data.get(key, [])
    words = value if isinstance(value, list) else [value]
    if not all(isinstance(word, str) for word in words):
        problems.add(
            document.place((key,)), f"“{key}” names rules or labels, and not {shown(value)}"
        )
        return ()
    return tuple(words)


def check_inhibition(
    rules: Sequence[Rule], documents: Mapping[str, Document], problems: Problems
) -> None:
    """Note names that no rule and no label has, and rules that would wait for each other.

    Args:
        documents: the file of each rule, by the rule's name.
    """
    called = _called(rules)
    for rule in rules:
        for key, words in zip(KEYS, (rule.inhibits, rule.inhibited_by), strict=True):
            for word in words:
                if word not in called:
                    problems.add(
                        documents[rule.name].place((key,)),
                        f"there is no rule and no label “{word}”{nearest(word, called)}",
                    )
    try:
        TopologicalSorter(inhibitors(rules)).prepare()
    except CycleError as error:
        circle = error.args[1]
        key = next(key for key in (*KEYS, "rule") if key in documents[circle[0]].data)
        problems.add(
            documents[circle[0]].key_place((key,)),
            f"these rules inhibit each other, and none of them would act: {' → '.join(circle)}",
        )
