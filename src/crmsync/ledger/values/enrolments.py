"""Subjects in rules, as values: what the ledger knows of them, and how a cycle moves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class EnrolmentStatus(StrEnum):
    """Where a subject stands in a rule."""

    WAITING = "waiting"  # it matches, and not yet for as long as the rule asks
    ACTIVE = "active"  # its steps are due, or done
    PREVIEWED = "previewed"  # it matched when the rule was new; waits for a person
    IGNORED = "ignored"  # it matched when the rule was new; never contacted for that
    OVER = "over"  # it was active and its end has come; not new while its conditions still hold
    ENDED = "ended"  # it was active; its key stays used
    LAPSED = "lapsed"  # it ended without ever having been active; its key is free


OPEN = (
    EnrolmentStatus.WAITING,
    EnrolmentStatus.ACTIVE,
    EnrolmentStatus.PREVIEWED,
    EnrolmentStatus.IGNORED,
    EnrolmentStatus.OVER,
)
# These were contacted, or are.
CONTACTED = (EnrolmentStatus.ACTIVE, EnrolmentStatus.OVER, EnrolmentStatus.ENDED)


@dataclass(frozen=True, kw_only=True, order=True)
class EnrolmentRef:
    """What makes an enrolment the one it is; two of them never share rule and key.

    Attributes:
        subject: the global id of the record.
        key: JSON: an object, the values of ``once_per`` by path; else a list, the subject and
            how many enrolments it has had with the rule, this one included.
    """

    rule: str
    subject: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """A subject in a rule, as the ledger has it.

    Attributes:
        id: the ledger's number.
        rule_version: the version of the rule that it entered.
        steps: ids of the steps that the rule had in that version.
        entered_at: the instant (UTC) at which it got its present status of waiting, active,
            previewed or ignored.
        holds_since: the instant (UTC) since which its conditions are known to hold; None where
            they were not known to hold when it was recorded.
        goal: whether it ended because it reached what the rule is for.
        next_step: what it waits for, by the step's id; None where it waits for no step's time.
        next_due_at: the instant (UTC) at which that step is due.
    """

    id: int
    ref: EnrolmentRef
    rule_version: str
    steps: tuple[str, ...]
    status: EnrolmentStatus
    entered_at: datetime
    holds_since: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    goal: bool = False
    next_step: str | None = None
    next_due_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class History:
    """What a rule has had with a subject.

    Attributes:
        enrolments: how many there ever were, those without contact included.
        last_active_at: when one last became active, or began anew (UTC); None where none ever was.
    """

    enrolments: int = 0
    last_active_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class EnrolmentSnapshot:
    """All that deciding on enrolments needs to remember.

    Attributes:
        open: waiting, active, previewed and ignored enrolments, by their number.
        histories: by rule and subject.
        used_keys: by rule and ``once_per`` key, the subject that used it.
        lapsed: by rule and key, the number of the enrolment whose key is free again.
        seen_rules: the rules that an earlier run has evaluated, each with a hash of what it asked
            then; None where that was not kept.
        keys_now: by rule and ``once_per`` key, the key of the same values since a record that it
            names was merged into another; only those that have changed so.
    """

    open: tuple[Enrolment, ...] = ()
    histories: Mapping[tuple[str, str], History] = field(default_factory=dict)
    used_keys: Mapping[tuple[str, str], str] = field(default_factory=dict)
    lapsed: Mapping[tuple[str, str], int] = field(default_factory=dict)
    seen_rules: Mapping[str, str | None] = field(default_factory=dict)
    keys_now: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Enrol:
    """A subject enters a rule.

    Attributes:
        holds_since: as of `Enrolment`.
        reopens: the number of a lapsed enrolment with the same key, whose place it takes.
    """

    ref: EnrolmentRef
    rule_version: str
    steps: tuple[str, ...]
    status: EnrolmentStatus
    holds_since: datetime | None
    reopens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Activate:
    """A previewed or waiting enrolment becomes active, on the rule's present version.

    An active one begins anew on it.

    Attributes:
        status: WAITING where the conditions of a previewed one have yet to hold long enough.
        holds_since: as of `Enrolment`.
    """

    enrolment: Enrolment
    rule_version: str
    steps: tuple[str, ...]
    status: EnrolmentStatus = EnrolmentStatus.ACTIVE
    holds_since: datetime | None


@dataclass(frozen=True, kw_only=True)
class RuleText:
    """What a version of a rule asked and did."""

    rule: str
    version: str
    source: str


@dataclass(frozen=True, kw_only=True)
class End:
    """An open enrolment ends; what it has waiting in the outbox is dropped.

    Attributes:
        goal: whether it reached what the rule is for.
        matches: whether its conditions still hold, so that another may not begin yet.
    """

    enrolment: Enrolment
    reason: str
    goal: bool = False
    matches: bool = False

    @property
    def status(self) -> EnrolmentStatus:
        """Over or ended where it was active, else lapsed."""
        if self.matches:
            return EnrolmentStatus.OVER
        was_active = self.enrolment.status in CONTACTED
        return EnrolmentStatus.ENDED if was_active else EnrolmentStatus.LAPSED


SKIPPED = "skipped"
BEGUN = "begun"  # the result of a round, which is kept like a step without a name
ROUND = "#"  # stands before the number of a round, and in no step's id


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What became of a step without the outbox: it was skipped, waited for, or chosen by.

    Also that a later round of the enrolment has begun; its number stands for the step then.

    Attributes:
        result: ``skipped``, ``done``, ``not_done``, ``begun``, or the number of a branch.
        at: the instant (UTC) from which it is over.
    """

    enrolment: EnrolmentRef
    step: str
    result: str
    at: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class NextDue:
    """The step whose time an enrolment waits for, and when that is (UTC); None for none."""

    enrolment: EnrolmentRef
    step: str | None = None
    at: datetime | None = None


class HeldBecause(StrEnum):
    """Why a subject that is not plainly outside a rule does not enter it."""

    UNKNOWN = "unknown"
    MISSING = "missing"
    WAITING = "waiting"
    OVER = "over"
    EXPIRED = "expired"
    COOLDOWN = "cooldown"
    ONCE_PER = "once_per"
    EMPTY_KEY = "empty_key"
    PREVIEW = "preview"
    IGNORED = "ignored"
    RESTING = "resting"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A subject that is held back from a rule.

    Attributes:
        reason: one sentence for a person.
        until: the instant (UTC) from which this no longer holds it; None where time alone
            changes nothing.
    """

    rule: str
    subject: str
    because: HeldBecause
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """The moves of one cycle: ``plan`` shows them, ``run`` commits the same.

    Attributes:
        at: the instant (UTC) for which they were decided.
        new_rules: the rules that were evaluated for the first time, or ask something else than
            when they last were, each with a hash of what it asks.
        gone_rules: names of those that an earlier run had and that exist no longer.
        texts: of the versions that enrolments are recorded with.
        outcomes: steps that are over without having made anything.
        next_due: of enrolments whose next step, or its time, is another than was recorded.
    """

    at: datetime
    enrol: tuple[Enrol, ...] = ()
    activate: tuple[Activate, ...] = ()
    end: tuple[End, ...] = ()
    held: tuple[Held, ...] = ()
    new_rules: Mapping[str, str] = field(default_factory=dict)
    gone_rules: tuple[str, ...] = ()
    texts: tuple[RuleText, ...] = ()
    outcomes: tuple[StepOutcome, ...] = ()
    next_due: tuple[NextDue, ...] = ()
