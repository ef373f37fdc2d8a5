"""Who enters a rule, who leaves it, who is held back: one pure function.

``plan`` shows what it answers, and ``run`` commits the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.config.settings import Existing
from crmsync.journeys.admission import Admission, doubts
from crmsync.journeys.keys import once_key, once_paths, once_words
from crmsync.journeys.texts import Texts
from crmsync.ledger.values.enrolments import (
    CONTACTED,
    Activate,
    End,
    Enrol,
    Enrolment,
    EnrolmentRef,
    EnrolmentStatus,
    Held,
    HeldBecause,
    RuleText,
    Transitions,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.config.settings import Company
    from crmsync.journeys.texts import AsItWas
    from crmsync.ledger.values.enrolments import EnrolmentSnapshot
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import Rule

_STATUS_AT_FIRST = {
    Existing.PREVIEW: EnrolmentStatus.PREVIEWED,
    Existing.IGNORE: EnrolmentStatus.IGNORED,
    Existing.ENROL: EnrolmentStatus.ACTIVE,
}
_CONDITIONS = "its conditions no longer hold"
_MISSING = "its record is missing; it goes on, and is not new, when the record is back"
_RULE_GONE = "the rule is no longer there"
_ON_UNDER_KEY = "it goes on under the values of once_per"


def decide_enrolments(
    rules: Sequence[Rule],
    verdicts: Mapping[str, RuleVerdicts],
    snapshot: EnrolmentSnapshot,
    *,
    now: datetime,
    existing: Existing,
    company: Company,
    missing: Mapping[str, Collection[str]] | None = None,
    ended: Mapping[EnrolmentRef, Ended] | None = None,
    texts: Texts | None = None,
) -> Transitions:
    """The moves that follow from what the rules say now.

    Args:
        rules: all rules of the installation; one that is missing here is taken to be gone.
        verdicts: by rule name; a rule without one keeps everybody where they are.
        snapshot: the ledger as it stands, merges followed.
        now: the instant (UTC).
        existing: what a rule that does not say so itself does with those that match already.
        company: its time zone and country count business days, and say what day it is.
        missing: by rule name, subjects of which there is no record now: nobody has seen the
            conditions of a living record turn false.
        ended: of rules with ``until``, whose end has come; None where nobody asks for that, and
            conditions that no longer hold end an enrolment of any rule.
        texts: those inside who entered by another text of their rule.
    """
    inside: dict[str, list[Enrolment]] = {}
    for enrolment in snapshot.open:
        inside.setdefault(enrolment.ref.rule, []).append(enrolment)
    moves = _Moves()
    for rule in sorted(rules, key=lambda rule: rule.name):
        verdict = verdicts.get(rule.name)
        if verdict is None:
            continue
        _RuleMoves(
            rule=rule,
            verdict=verdict,
            snapshot=snapshot,
            now=now,
            existing=rule.existing or existing,
            missing=(missing or {}).get(rule.name, ()),
            ended=ended,
            texts=texts or Texts(),
            moves=moves,
            admission=Admission(
                rule=rule,
                verdict=verdict,
                snapshot=snapshot,
                now=now,
                company=company,
                held=moves.held,
            ),
        ).decide(inside.get(rule.name, []))
    names = {rule.name for rule in rules}
    for name in sorted(inside.keys() - names):
        moves.end += [_gone(enrolment, _RULE_GONE) for enrolment in inside[name]]
    return Transitions(
        at=now,
        enrol=tuple(moves.enrol),
        activate=tuple(moves.activate),
        end=tuple(moves.end),
        # Of records that were merged, each may have its enrolment, and they say the same.
        held=tuple(dict.fromkeys(moves.held)),
        new_rules=moves.new_rules,
        gone_rules=tuple(sorted(snapshot.seen_rules.keys() - names)),
        texts=_texts(rules, moves),
    )


def _texts(rules: Sequence[Rule], moves: _Moves) -> tuple[RuleText, ...]:
    """Of the rules that somebody is recorded with now."""
    names = {move.ref.rule for move in moves.enrol}
    names |= {move.enrolment.ref.rule for move in moves.activate}
    return tuple(
        RuleText(rule=rule.name, version=rule.version, source=rule.source)
        for rule in rules
        if rule.name in names and rule.source
    )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A line of ``until`` that holds for an enrolment."""

    reason: str
    goal: bool


@dataclass(kw_only=True)
class _Moves:
    enrol: list[Enrol] = field(default_factory=list)
    activate: list[Activate] = field(default_factory=list)
    end: list[End] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    new_rules: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _RuleMoves:
    """The moves of one rule."""

    rule: Rule
    verdict: RuleVerdicts
    snapshot: EnrolmentSnapshot
    now: datetime
    existing: Existing
    missing: Collection[str]
    ended: Mapping[EnrolmentRef, Ended] | None
    texts: Texts
    moves: _Moves
    admission: Admission

    def decide(self, inside: Sequence[Enrolment]) -> None:
        seen, asks = self.snapshot.seen_rules, self.rule.asks
        # What an older crmsync has not kept is not held against the rule.
        is_new = self.rule.name not in seen or seen[self.rule.name] not in {None, asks}
        # A rule that has looked at nobody yet would take everybody who comes later for new.
        if self.verdict.subjects and seen.get(self.rule.name) != asks:
            self.moves.new_rules[self.rule.name] = asks
        status = _STATUS_AT_FIRST[self.existing] if is_new else EnrolmentStatus.ACTIVE
        met: set[str] = set()
        for enrolment in sorted(inside, key=_order):
            # Of records that were merged, the one that has come furthest speaks for all.
            goes_before = enrolment.ref.subject in met
            met.add(enrolment.ref.subject)
            self._stay_or_leave(enrolment, alone=not goes_before)
        known = {enrolment.ref.subject for enrolment in inside}
        for subject in sorted(self.verdict.matches.keys() - known):
            self._enter(subject, status)
        for subject in sorted(self.verdict.unknown.keys() - known):
            self.admission.hold_unknown(subject)
            self._remember(subject, status, None)

    def _stay_or_leave(self, enrolment: Enrolment, *, alone: bool) -> None:
        subject = enrolment.ref.subject
        is_active = enrolment.status is EnrolmentStatus.ACTIVE
        if is_active and self._goes_by_more_than_conditions(enrolment):
            return
        if subject in self.verdict.unknown:
            self.admission.hold_unknown(subject)
        elif subject not in self.verdict.matches and subject in self.missing:
            self.admission.hold(subject, HeldBecause.MISSING, _MISSING)
        elif subject not in self.verdict.matches:
            self._leave(enrolment)
        elif enrolment.status is EnrolmentStatus.WAITING:
            if alone:
                self._wait(enrolment)
        elif is_active and enrolment.ref in self.texts.anew and not self._other_values(enrolment):
            if not self.admission.is_cooling(subject):
                self._activate(enrolment, EnrolmentStatus.ACTIVE)
        elif self.rule.once_per:
            self._compare_key(enrolment)
        else:
            self._stay(enrolment)

    def _goes_by_more_than_conditions(self, enrolment: Enrolment) -> bool:
        """Whether something else than its present conditions decides; it is done then."""
        ref = enrolment.ref
        if ref in self.texts.stopped:
            self._end(enrolment, Ended(reason=self.texts.stopped[ref], goal=False))
        elif self.ended is not None and ref in self.ended:
            self._end(enrolment, self.ended[ref])
        elif ref in self.texts.earlier:
            self._go_by(self.texts.earlier[ref], enrolment)
        else:
            # Those of whom nothing is known are told with the others for whom nothing is done.
            return ref in self.texts.unreadable
        return True

    def _end(self, enrolment: Enrolment, ended: Ended) -> None:
        """While its conditions hold, it stays known, so that it does not enter again at once."""
        matches = enrolment.ref.subject not in self.missing and (
            enrolment.ref.subject in {*self.verdict.matches, *self.verdict.unknown}
        )
        self.moves.end.append(
            End(enrolment=enrolment, reason=ended.reason, goal=ended.goal, matches=matches)
        )

    def _go_by(self, earlier: AsItWas, enrolment: Enrolment) -> None:
        """It stays or leaves by the text that it entered by, and is new only by the present one."""
        subject, was, said = enrolment.ref.subject, earlier.rule, earlier.verdict
        if subject in said.unknown:
            self.admission.hold(subject, HeldBecause.UNKNOWN, doubts(said, subject))
        elif subject not in said.matches and subject in self.missing:
            self.admission.hold(subject, HeldBecause.MISSING, _MISSING)
        elif subject not in said.matches:
            if not was.until:
                self._end(enrolment, Ended(reason=_CONDITIONS, goal=False))
        elif was.once_per and all(said.matches[subject]):
            key, known = once_key(was.once_per, said.matches[subject]), enrolment.ref.key
            same = key == self.snapshot.keys_now.get((self.rule.name, known), known)
            if not same and once_paths(known) == frozenset(was.once_per):
                self.moves.end.append(_gone(enrolment, _other_key(key, subject)))
                if subject in self.verdict.matches:
                    self._enter(subject, EnrolmentStatus.ACTIVE)

    def _leave(self, enrolment: Enrolment) -> None:
        """Its conditions hold no longer."""
        stays = self.rule.until and self.ended is not None
        anew = enrolment.ref in self.texts.anew
        if enrolment.status is not EnrolmentStatus.ACTIVE or not stays or anew:
            self.moves.end.append(_gone(enrolment, _CONDITIONS))

    def _other_values(self, enrolment: Enrolment) -> bool:
        """Whether it is for other values of ``once_per`` than the subject has now."""
        known = enrolment.ref.key
        key = self.admission.once_key(enrolment.ref.subject) if self.rule.once_per else None
        same = key is None or key == self.snapshot.keys_now.get((self.rule.name, known), known)
        return not same and once_paths(known) == frozenset(self.rule.once_per)

    def _compare_key(self, enrolment: Enrolment) -> None:
        """Under ``once_per``, other values are another enrolment."""
        subject = enrolment.ref.subject
        key = self.admission.once_key(subject)
        known = enrolment.ref.key
        if key is None or key == self.snapshot.keys_now.get((self.rule.name, known), known):
            self._stay(enrolment)
        elif once_paths(known) == frozenset(self.rule.once_per):
            self.moves.end.append(_gone(enrolment, _other_key(key, subject)))
            self._enter(subject, EnrolmentStatus.ACTIVE, since=self._since(enrolment))
        elif enrolment.status in CONTACTED:
            # The author has changed `once_per`; that alone must not write to anybody again.
            self._stay(enrolment)
        else:
            reason = f"{_ON_UNDER_KEY}, {key}"
            self.moves.end.append(End(enrolment=enrolment, reason=reason))
            status, since = self._status_now(enrolment), self._since(enrolment)
            self._enter(subject, status, since=since)

    def _status_now(self, enrolment: Enrolment) -> EnrolmentStatus:
        """A previewed enrolment becomes active once the rule says ``existing: enrol``."""
        previewed = enrolment.status is EnrolmentStatus.PREVIEWED
        if previewed and self.existing is Existing.ENROL:
            return EnrolmentStatus.ACTIVE
        return enrolment.status

    def _since(self, enrolment: Enrolment) -> datetime:
        """Since when its conditions are known to hold: from now on, where nobody knew before."""
        if enrolment.status is EnrolmentStatus.ACTIVE:
            return enrolment.holds_since or enrolment.entered_at
        return enrolment.holds_since or self.now

    def _stay(self, enrolment: Enrolment) -> None:
        subject, status = enrolment.ref.subject, self._status_now(enrolment)
        if status is enrolment.status:
            self.admission.say_why_quiet(subject, status, ended=enrolment.end_reason)
        elif self.admission.has_expired(subject):
            return
        elif self.admission.must_wait(subject, self._since(enrolment)):
            self._activate(enrolment, EnrolmentStatus.WAITING)
        else:
            self._activate(enrolment, EnrolmentStatus.ACTIVE)

    def _activate(self, enrolment: Enrolment, status: EnrolmentStatus) -> None:
        self.moves.activate.append(
            Activate(
                enrolment=enrolment,
                rule_version=self.rule.version,
                steps=self._steps,
                status=status,
                holds_since=self._since(enrolment),
            )
        )

    def _wait(self, enrolment: Enrolment) -> None:
        """It becomes active once its conditions have held long enough, and nothing else is against.

        While it waits its key is its own number, so that of several who wait for the same values
        of ``once_per`` the first to be done with waiting gets them.
        """
        subject, since = enrolment.ref.subject, self._since(enrolment)
        if self.admission.must_wait(subject, since):
            return
        known = enrolment.ref.key
        key = self.admission.once_key(subject) if self.rule.once_per else known
        if key == self.snapshot.keys_now.get((self.rule.name, known), known):
            if not self.admission.has_expired(subject) and not self.admission.is_cooling(subject):
                self._activate(enrolment, EnrolmentStatus.ACTIVE)
            return
        ref = self.admission.free_ref(subject)
        if ref is not None and not self.admission.is_cooling(subject):
            self.moves.end.append(End(enrolment=enrolment, reason=_ON_UNDER_KEY))
            self._enrol(ref, EnrolmentStatus.ACTIVE, since)

    def _enter(
        self, subject: str, status: EnrolmentStatus, *, since: datetime | None = None
    ) -> None:
        """``since`` is when its conditions began to hold; now, where nobody knew before."""
        since = since or self.now
        ref = self.admission.free_ref(subject)
        if ref is None:
            if not self.admission.has_used_key(subject):
                self._remember(subject, status, since)
        elif status is not EnrolmentStatus.ACTIVE:
            self._enrol(ref, status, since)
            self.admission.say_why_quiet(subject, status, when=" after the rule's first run")
        elif self.admission.must_wait(subject, since):
            self._enrol(self.admission.running_ref(subject), EnrolmentStatus.WAITING, since)
        elif not self.admission.is_cooling(subject):
            self._enrol(ref, status, since)

    def _remember(self, subject: str, status: EnrolmentStatus, since: datetime | None) -> None:
        """When a rule is new: what is held now may match all along, so it is no new match later."""
        if status is not EnrolmentStatus.ACTIVE:
            self._enrol(self.admission.running_ref(subject), status, since)

    def _enrol(self, ref: EnrolmentRef, status: EnrolmentStatus, since: datetime | None) -> None:
        self.admission.taken[ref.key] = ref.subject
        self.moves.enrol.append(
            Enrol(
                ref=ref,
                rule_version=self.rule.version,
                steps=self._steps,
                status=status,
                holds_since=since,
                reopens=self.snapshot.lapsed.get((ref.rule, ref.key)),
            )
        )

    @property
    def _steps(self) -> tuple[str, ...]:
        return tuple(step.id for step in self.rule.way)


def _other_key(key: str, subject: str) -> str:
    return f"what once_per names is another now: {once_words(key, subject)}"


def _gone(enrolment: Enrolment, reason: str) -> End:
    """The end of an enrolment; one that was over keeps what it ended with."""
    if enrolment.status is EnrolmentStatus.OVER and enrolment.end_reason is not None:
        reason = enrolment.end_reason
    return End(enrolment=enrolment, reason=reason, goal=enrolment.goal)


def _order(enrolment: Enrolment) -> tuple[float, EnrolmentRef]:
    """Who waits comes last, and of them, who has waited longest comes first."""
    if enrolment.status is not EnrolmentStatus.WAITING:
        return 0.0, enrolment.ref
    return (enrolment.holds_since or enrolment.entered_at).timestamp(), enrolment.ref
