"""By which text of their rule those inside go, once that has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.journeys.keys import in_round, round_of
from crmsync.ledger.values.enrolments import BEGUN, EnrolmentStatus, StepOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crmsync.ledger.values.enrolments import EnrolmentRef, Transitions
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import Rule

STOPPED = "the text of the rule has changed, and it says “on_change: stop”"


@dataclass(frozen=True, kw_only=True)
class AsItWas:
    """An earlier text of a rule, and what it says of those who go by it."""

    rule: Rule
    verdict: RuleVerdicts


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Those inside who did not enter by the present text.

    Attributes:
        earlier: who goes on by the text that they entered by.
        anew: who begins anew by the present one.
        stopped: whose enrolment ends, with the reason.
        unreadable: whose text cannot be read any more, with the reason; nothing is done for them.
    """

    earlier: Mapping[EnrolmentRef, AsItWas] = field(default_factory=dict)
    anew: frozenset[EnrolmentRef] = frozenset()
    stopped: Mapping[EnrolmentRef, str] = field(default_factory=dict)
    unreadable: Mapping[EnrolmentRef, str] = field(default_factory=dict)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those that somebody still goes by, as they were."""
        return tuple({id(one.rule): one.rule for one in self.earlier.values()}.values())


def rounds_begun(
    transitions: Transitions, outcomes: Mapping[EnrolmentRef, Mapping[str, StepOutcome]]
) -> dict[EnrolmentRef, dict[str, StepOutcome]]:
    """Of those who begin anew by the present text: what was over before, and their new round.

    Its steps are other steps to the ledger than those of the rounds before.
    """
    # The ledger may have an enrolment under a subject that was merged since.
    before = {(ref.rule, ref.key): steps for ref, steps in outcomes.items()}
    found: dict[EnrolmentRef, dict[str, StepOutcome]] = {}
    for move in transitions.activate:
        ref = move.enrolment.ref
        if move.enrolment.status is not EnrolmentStatus.ACTIVE:
            continue
        steps = before.get((ref.rule, ref.key), {})
        step = in_round("", 1 + max((round_of(step)[1] for step in steps), default=1))
        reason = "the text of the rule has changed, and it says “on_change: restart”"
        begun = StepOutcome(
            enrolment=ref, step=step, result=BEGUN, at=transitions.at, reason=reason
        )
        found[ref] = {**steps, step: begun}
    return found


def last_rounds(begun: Mapping[EnrolmentRef, Mapping[str, StepOutcome]]) -> Iterator[StepOutcome]:
    """The new ones of what `rounds_begun` answers."""
    for steps in begun.values():
        yield list(steps.values())[-1]
