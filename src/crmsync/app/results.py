"""What the commands report: values that print as tables or as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

    from crmsync.model.verdicts import Truth
    from crmsync.rules.evidence import Evidence
    from crmsync.rules.explain import Turn
    from crmsync.sync.reports import StreamReport


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What a sync did.

    Attributes:
        problems: sentences about whole connections: not reachable, not configured well.
        doubts: what may be a mistake in a mapping; only a person can tell.
        quarantined: how many rows cannot be read as things stand, also from earlier syncs.
        quarantine: the sentences of the newest of them.
        skipped: why nothing was read at all; None where it was.
    """

    at: datetime
    streams: tuple[StreamReport, ...] = ()
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    quarantined: int = 0
    quarantine: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        return bool(self.problems or self.quarantined) or any(
            stream.error or stream.warning for stream in self.streams
        )

    @property
    def failed(self) -> bool:
        """Whether something could not be read to its end."""
        return bool(self.problems) or any(stream.error for stream in self.streams)


@dataclass(frozen=True, kw_only=True)
class RuleCount:
    """How a rule's subjects fared."""

    rule: str
    description: str
    subject: str
    looked_at: int
    matches: int
    unknown: int
    entering: int
    inside: int


@dataclass(frozen=True, kw_only=True)
class PlannedAction:
    """An action, ready or held by a gate.

    Attributes:
        account: the name of the subject's account; empty where it has none.
        state: ready, deferred or dropped.
        why: one sentence for each clause that led to it.
        changes: for an update, the remote's field to its new value.
    """

    key: str
    rule: str
    subject: str
    subject_name: str
    account: str
    step: str
    kind: str
    connection: str
    to: str
    title: str
    text: str
    due: date | None = None
    changes: dict[str, object] = field(default_factory=dict)
    state: str = "ready"
    reason: str = ""
    not_before: datetime | None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HeldBack:
    """A subject that a rule concerns, and that gets nothing now; and why.

    Attributes:
        step: None where the whole rule is held.
        until: the instant (UTC) from which this no longer holds it; None where time alone
            changes nothing, or where that is not known.
    """

    rule: str
    subject: str
    subject_name: str
    step: str | None
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """What a cycle would do, or did: one value for ``plan`` and ``run``.

    Attributes:
        audit: a sentence where evaluating only what changed would have answered otherwise.
        stopped: why the circuit breaker lets nothing out; None where it does not.
    """

    at: datetime
    sync: SyncResult
    rules: tuple[RuleCount, ...]
    actions: tuple[PlannedAction, ...]
    held: tuple[HeldBack, ...]
    stopped: str | None = None
    audit: str | None = None

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        return self.sync.findings or self.stopped is not None or self.audit is not None


@dataclass(frozen=True, kw_only=True)
class DeliveryCount:
    """What became of the effects that a run handed out."""

    done: int = 0
    already: int = 0
    waiting: int = 0
    rejected: int = 0
    uncertain: int = 0
    problems: tuple[str, ...] = ()

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        return bool(self.rejected or self.uncertain or self.problems)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A plan, and what became of it."""

    plan: PlanResult
    delivery: DeliveryCount

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        return self.plan.findings or self.delivery.findings


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """A subject that will leave a rule, and why.

    Attributes:
        because: a sentence for each clause that holds no longer, with what it saw.
    """

    rule: str
    subject: str
    subject_name: str
    reason: str
    because: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Coming:
    """What a later cycle would bring that the ones before it did not.

    Attributes:
        at: when, in the company's zone; a full hour.
    """

    at: datetime
    actions: tuple[PlannedAction, ...] = ()
    held: tuple[HeldBack, ...] = ()
    leaving: tuple[Leaving, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForecastResult:
    """What will fall due if nothing changes.

    Attributes:
        due_now: how many actions are due already; ``plan`` shows them.
        rules: the names of those that were looked at.
    """

    at: datetime
    until: datetime
    due_now: int
    rules: tuple[str, ...]
    coming: tuple[Coming, ...]


@dataclass(frozen=True, kw_only=True)
class Clause:
    """A clause of a rule for one record.

    Attributes:
        seen: the value, in words.
        distance: how far from true, or why it cannot be said, in words; empty where that says
            nothing.
        evidence: the records that counted, at most three, the latest first; or the change.
        assumed: a sentence for each field of which nobody knows whether it was so at that time.
        turns: its next turn, if nothing changes but the time; None where none was found.
    """

    text: str
    verdict: Truth
    seen: str
    distance: str
    place: str
    turns: Turn | None = None
    evidence: tuple[Evidence, ...] = ()
    assumed: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RuleExplained:
    """A rule for one record: each clause, and what stands in the way of an action.

    Attributes:
        turns: its next turn, if nothing changes but the time; None where none was found.
        steady_until: how far it was looked for turns; None where it was not.
    """

    rule: str
    description: str
    verdict: Truth
    clauses: tuple[Clause, ...]
    turns: Turn | None = None
    steady_until: datetime | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExplainResult:
    """A record, and every rule that looks at records of its table.

    Attributes:
        as_it_was: whether ``at`` lies before what was last read, so that the records are taken as
            they were then, and not as they are known now.
        stops: what people have said about it: that it is muted, or its address suppressed.
    """

    at: datetime
    subject: str
    subject_name: str
    table: str
    rules: tuple[RuleExplained, ...]
    as_it_was: bool = False
    stops: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """Every mistake that was found.

    Attributes:
        checked: how many rules, templates and connections were looked at.
        doubts: what may be a mistake; only a person can tell.
    """

    problems: tuple[str, ...]
    checked: dict[str, int]
    doubts: tuple[str, ...] = ()


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


@dataclass(frozen=True, kw_only=True)
class EffectShown:
    """An action in the outbox.

    Attributes:
        subject_name: what a person would call the record; its id where it is no longer there.
        error: the last words that the remote or the engine had about it.
        since: when it came to be so.
    """

    key: str
    rule: str
    subject: str
    subject_name: str
    step: str
    kind: str
    connection: str
    to: str
    title: str
    state: str
    error: str
    attempts: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class SettledResult:
    """What a person has decided about actions in the outbox.

    Attributes:
        now: what they are now: ``planned``, ``done`` or ``dropped``.
        left: a sentence for each of which it could not be.
    """

    now: str
    by: str
    reason: str
    effects: tuple[EffectShown, ...]
    left: tuple[str, ...] = ()

    @property
    def findings(self) -> bool:
        """Whether something is left for a person."""
        return bool(self.left)


@dataclass(frozen=True, kw_only=True)
class Awaiting:
    """An action that a person must approve.

    Attributes:
        reason: who must approve it.
        edited_by: who worded it last; None where it stands as the template has it.
    """

    action: EffectShown
    reason: str
    edited_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExistingMatches:
    """Who matched a rule already when it was new, and is not contacted until a person says so.

    Attributes:
        subjects: global ids, with what a person would call them.
    """

    rule: str
    description: str
    subjects: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ReviewResult:
    """What waits for a person's word."""

    at: datetime
    awaiting: tuple[Awaiting, ...]
    existing: tuple[ExistingMatches, ...]


@dataclass(frozen=True, kw_only=True)
class ReviewShown:
    """An action exactly as it would go out.

    Attributes:
        sender: of a mail, its From line.
        html: of a mail, its HTML part; None where it has none.
        changes: of an update, the remote's field to its new value.
        history: a sentence for each move and each word about it, the first one first.
    """

    action: EffectShown
    sender: str
    text: str
    html: str | None
    due: date | None
    changes: dict[str, object]
    edited_by: str | None
    history: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReviewedResult:
    """What a person has said about actions, or about existing matches of a rule.

    Attributes:
        verdict: approved, rejected, edited, enrolled or ignored.
        subjects: for existing matches, their names by global id.
    """

    verdict: str
    by: str
    reason: str
    actions: tuple[EffectShown, ...] = ()
    rule: str | None = None
    subjects: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StopShown:
    """A person's word that an account or an address is to be left alone.

    Attributes:
        kind: ``account`` or ``address``.
        target: the account's global id, or the address.
        name: what a person would call the account; the address.
    """

    kind: str
    target: str
    name: str
    reason: str
    said_by: str
    said_at: datetime
    until: datetime | None = None
    lifted_by: str | None = None
    lifted_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StopResult:
    """What became of a person's word.

    Attributes:
        said: what holds now; None where something was lifted.
        lifted: what was taken back, by the word or by another that takes its place.
        taken_back: how many actions were ready to be sent, and wait now.
    """

    said: StopShown | None = None
    lifted: tuple[StopShown, ...] = ()
    taken_back: int = 0


@dataclass(frozen=True, kw_only=True)
class StreamStatus:
    """How far a stream has been read. ``records`` counts the live ones of its table."""

    connection: str
    stream: str
    table: str
    records: int
    read_at: datetime | None
    stale: bool
    error: str | None


@dataclass(frozen=True, kw_only=True)
class DaemonStatus:
    """What is known of the daemon.

    Attributes:
        process: which process it is, and since when; None where none runs.
        wakes: when something is due next for it; None where that is not known.
        refused: mistakes in files that are not in force, as ``file:line:column: sentence``.
    """

    process: str | None
    wakes: datetime | None = None
    for_what: str = ""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DueStatus:
    """How many effects that wait come due in the hour that begins then."""

    hour: datetime
    effects: int


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """The state of an installation.

    Attributes:
        quarantine: the newest sentences about rows that could not be read.
        effects: how many there are in each state.
        attention: sentences about what needs a person.
        unsettled: the first of the actions that need a person: rejected, or uncertain.
        stops: whom people have said to leave alone.
        last_run: when it was, and how it ended.
        due: what waits and comes due within a day.
    """

    at: datetime
    streams: tuple[StreamStatus, ...]
    quarantined: int
    quarantine: tuple[str, ...]
    effects: dict[str, int]
    attention: tuple[str, ...]
    unsettled: tuple[EffectShown, ...]
    stops: tuple[StopShown, ...]
    last_run: str | None
    daemon: DaemonStatus
    due: tuple[DueStatus, ...] = ()

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        mistakes = self.quarantined or self.attention or self.daemon.refused
        return bool(mistakes) or any(s.error for s in self.streams)
