"""Who is in a rule, and may be taken further now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.journeys.due import active_enrolments

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from crmsync.journeys.texts import AsItWas
    from crmsync.ledger.values.effects import StepState
    from crmsync.ledger.values.enrolments import (
        EnrolmentRef,
        EnrolmentSnapshot,
        StepOutcome,
        Transitions,
    )
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import Rule

    Outcomes = Mapping[EnrolmentRef, Mapping[str, StepOutcome]]
    States = Mapping[EnrolmentRef, Mapping[str, StepState]]


@dataclass(frozen=True, kw_only=True)
class Entered:
    """Who is in a rule, and may be taken further.

    Attributes:
        steps: ids of the steps that the rule had when they entered.
        at: the instant (UTC) of entering.
        holds: whether its conditions hold now, too.
    """

    rule: Rule
    ref: EnrolmentRef
    steps: tuple[str, ...]
    at: datetime
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Active enrolments once the transitions hold, with what became of their steps.

    Attributes:
        verdicts: by rule; who is in a rule without one is left alone.
        states: how far the steps in the outbox have come, from `Ledger.step_states`.
        outcomes: the other steps that are over, from `Ledger.step_outcomes`.
        resting: those of whom nothing is done now, with the reason; empty where told already.
        missing: by rule, subjects of which there is no record now.
        expired: names of the rules whose last day is over.
        earlier: who goes by an earlier text of their rule.
    """

    rules: Sequence[Rule]
    verdicts: Mapping[str, RuleVerdicts]
    snapshot: EnrolmentSnapshot
    transitions: Transitions
    states: States
    outcomes: Outcomes = field(default_factory=dict)
    resting: Mapping[EnrolmentRef, str] = field(default_factory=dict)
    missing: Mapping[str, Collection[str]] = field(default_factory=dict)
    expired: Collection[str] = ()
    earlier: Mapping[EnrolmentRef, AsItWas] = field(default_factory=dict)

    def rows(self) -> Iterator[Entered]:
        """Whose steps can be due now; they wait where their conditions are unknown just now."""
        by_name = {rule.name: rule for rule in self.rules}
        for ref, steps, entered_at in sorted(active_enrolments(self.snapshot, self.transitions)):
            rule, verdict = by_name.get(ref.rule), self.verdicts.get(ref.rule)
            if ref in self.earlier and rule is not None:
                rule, verdict = self.earlier[ref].rule, self.earlier[ref].verdict
            if rule is None or verdict is None or ref in self.resting:
                continue
            subject = ref.subject
            holds = subject in verdict.matches
            stays = rule.until and subject not in self.missing.get(rule.name, ())
            if holds or (stays and subject not in verdict.unknown):
                yield Entered(rule=rule, ref=ref, steps=steps, at=entered_at, holds=holds)
