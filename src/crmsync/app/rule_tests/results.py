"""What came of the rules' unit tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """What a test expects of a record, and what came instead.

    Attributes:
        stage: how the instant was reached, and when that is; empty for a test's first.
        place: where it is expected, as ``file:line:column``.
        expected: ``match`` and the like; actions and reasons as lines of text.
        diff: lines that begin with “- ” (expected), “+ ” (came) or two spaces (both).
        because: a sentence for each clause that decided, and for what stands in the way.
    """

    subject: str
    stage: str
    place: str
    expected: str
    actual: str
    diff: tuple[str, ...]
    because: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RuleTested:
    """One test of a rule, what failed in it, and how many seconds it took."""

    rule: str
    test: str
    place: str
    failures: tuple[Mismatch, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RulesTested:
    """The unit tests of the rules.

    Attributes:
        untested: the rules without a test.
    """

    folder: str
    tests: tuple[RuleTested, ...]
    untested: tuple[str, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that have a test."""
        return tuple(dict.fromkeys(test.rule for test in self.tests))

    @property
    def findings(self) -> bool:
        """Whether a test failed."""
        return any(test.failures for test in self.tests)
