"""Holds what came of an instant against what a test expects of it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from crmsync.app.rule_tests.actions import actual_actions, lines_of_actions
from crmsync.app.rule_tests.results import Mismatch
from crmsync.app.rule_tests.virtual import global_id, local_id
from crmsync.rules.unit_tests.expectations import (
    ACTIONS,
    ENROLLED,
    HELD,
    MATCH,
    NO_MATCH,
    NOT_ENROLLED,
    UNKNOWN,
    Contains,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crmsync.app.deciding import Decided
    from crmsync.rules.explaining.explain import ClauseReport
    from crmsync.rules.language import Rule
    from crmsync.rules.unit_tests.expectations import ExpectedHold
    from crmsync.rules.unit_tests.load import Stage


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What came of an instant.

    Attributes:
        inside: global ids of the subjects that are in the rule afterwards.
        explain: of a global id, each clause of the rule; None where there is no record.
    """

    decided: Decided
    inside: frozenset[str]
    explain: Callable[[str], ClauseReport | None]


def mismatches(rule: Rule, stage: Stage, seen: Seen) -> Iterator[Mismatch]:
    """Where the two differ, by subject in the order of the test."""
    return _Comparison(rule, stage, seen).all()


def told(clause: ClauseReport) -> str:
    """A clause, what it saw and where it stands."""
    value = f", saw {clause.value}" if clause.value is not None else ""
    away = f" ({clause.distance})" if clause.distance else ""
    reason = f", because {clause.reason}" if clause.reason else ""
    return f"{clause.verdict}: {clause.text}{value}{away}{reason} [{clause.place}]"


class _Comparison:
    def __init__(self, rule: Rule, stage: Stage, seen: Seen) -> None:
        self._rule = rule
        self._stage = stage
        self._seen = seen

    def all(self) -> Iterator[Mismatch]:
        yield from self._verdicts()
        yield from self._enrolled()
        yield from self._actions()
        yield from self._held()

    def _verdicts(self) -> Iterator[Mismatch]:
        for subject, expected in self._stage.expect.verdicts.items():
            actual = self._verdict(subject)
            if actual != expected:
                yield self._mismatch(
                    expected,
                    subject,
                    [f"{subject}: expected {expected}"],
                    [f"{subject}: {actual}"],
                    short=(expected, actual),
                )

    def _verdict(self, subject: str) -> str:
        verdicts = self._seen.decided.standing.verdicts[self._rule.name]
        record_id = global_id(subject)
        if record_id in verdicts.matches:
            return MATCH
        return UNKNOWN if record_id in verdicts.unknown else NO_MATCH

    def _enrolled(self) -> Iterator[Mismatch]:
        words = {True: ENROLLED, False: NOT_ENROLLED}
        for subject, expected in self._stage.expect.enrolled.items():
            actual = global_id(subject) in self._seen.inside
            if actual is not expected:
                yield self._mismatch(
                    words[expected],
                    subject,
                    [f"{subject}: expected {words[expected]}"],
                    [f"{subject}: {words[actual]}"],
                    short=(words[expected], words[actual]),
                )

    def _actions(self) -> Iterator[Mismatch]:
        for subject, expected in self._stage.expect.actions.items():
            actual = actual_actions(self._rule, global_id(subject), self._seen.decided)
            wanted, came = lines_of_actions(expected, actual)
            if wanted != came:
                yield self._mismatch(
                    ACTIONS,
                    subject,
                    [f"{subject}:", *wanted],
                    [f"{subject}:", *came],
                    places=[action.place for action in actual]
                    if len(expected) == len(actual)
                    else None,
                )

    def _held(self) -> Iterator[Mismatch]:
        for subject, expected in self._stage.expect.held.items():
            actual = self._reasons(subject)
            wanted, came = [], []
            for i in range(max(len(expected), len(actual))):
                want = expected[i] if i < len(expected) else None
                have = actual[i] if i < len(actual) else None
                line = None if have is None else _held_line(*have)
                if want is not None and have is not None and _fits(want, *have):
                    wanted.append(_held_line(*have))
                elif want is not None:
                    wanted.append(_expected_line(want))
                came += [] if line is None else [line]
            if wanted != came:
                yield self._mismatch(
                    HELD,
                    subject,
                    [f"{subject} is held:", *(wanted or ["  nothing"])],
                    [f"{subject} is held:", *(came or ["  nothing"])],
                )

    def _reasons(self, subject: str) -> list[tuple[str | None, str]]:
        """The steps, or None for the whole rule, and why they are held, deferred or dropped."""
        plan, record_id = self._seen.decided.plan, global_id(subject)
        held = [(item.step, item.reason) for item in plan.held if item.subject == record_id]
        return held + [
            (action.step, action.reason)
            for action in plan.actions
            if action.subject == record_id and action.state != "ready"
        ]

    def _mismatch(
        self,
        key: str,
        subject: str,
        expected: Sequence[str],
        actual: Sequence[str],
        *,
        short: tuple[str, str] | None = None,
        places: Sequence[str] | None = None,
    ) -> Mismatch:
        place = self._stage.expect.places.get((key, subject), self._stage.place)
        because = [f"written by the step at {at}" for at in dict.fromkeys(places or ())]
        return Mismatch(
            subject=subject,
            stage=self._stage.told,
            place=str(place),
            expected="\n".join(expected) if short is None else short[0],
            actual="\n".join(actual) if short is None else short[1],
            diff=tuple(_diff(expected, actual)),
            because=tuple(because) if places else tuple(self._because(subject, key)),
        )

    def _because(self, subject: str, key: str) -> Iterator[str]:
        """The clauses that decided; and what else stands in the way."""
        report = self._seen.explain(global_id(subject))
        if report is None:
            yield f"there is no {self._rule.subject} “{subject}” any more"
        else:
            yield from (told(clause) for clause in report.deciding)
        if key not in {HELD, MATCH, NO_MATCH, UNKNOWN}:
            for step, reason in self._reasons(subject):
                yield _held_line(step, reason).strip()


def _diff(expected: Sequence[str], actual: Sequence[str]) -> Iterator[str]:
    """Lines that begin with “- ” (expected), “+ ” (came) or two spaces (both)."""
    lines = [line for line in difflib.ndiff(expected, actual) if not line.startswith("? ")]
    runs = [(sign, [*run]) for sign, run in groupby(lines, key=lambda line: line[:1])]
    for i, (sign, _) in enumerate(runs[:-1]):
        # Where lines have nothing in common, the shorter side comes first; expected reads better.
        if sign == "+" and runs[i + 1][0] == "-" and (i == 0 or runs[i - 1][0] == " "):
            runs[i], runs[i + 1] = runs[i + 1], runs[i]
    for _, run in runs:
        yield from (line.rstrip() if line.startswith("  ") else line for line in run)


def _fits(expected: ExpectedHold, step: str | None, reason: str) -> bool:
    if expected.step is not None and expected.step != step:
        return False
    if isinstance(expected.reason, Contains):
        return all(part in reason for part in expected.reason.parts)
    return expected.reason is None or expected.reason == reason


def _held_line(step: str | None, reason: str) -> str:
    return f"  {step}: {local_ids(reason)}" if step else f"  {local_ids(reason)}"


def _expected_line(hold: ExpectedHold) -> str:
    match hold.reason:
        case None:
            reason = "for any reason"
        case Contains():
            reason = "something with " + ", ".join(f"“{part}”" for part in hold.reason.parts)
        case _:
            reason = hold.reason
    return f"  {hold.step}: {reason}" if hold.step else f"  {reason}"


def local_ids(text: str) -> str:
    """A sentence with ids as the test writes them."""
    return " ".join(local_id(word) for word in text.split(" "))
