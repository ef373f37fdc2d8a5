"""Who enters a rule, who leaves it, who is held back: one pure function.

``plan`` shows what it answers, and ``run`` commits the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.clock import readable
from crmsync.config.settings import Existing
from crmsync.journeys.keys import once_key, once_paths, running_key
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
    History,
    RuleText,
    Transitions,
)
from crmsync.rules.evaluation.calendar import Calendar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.config.settings import Company
    from crmsync.journeys.texts import AsItWas
    from crmsync.ledger.values.enrolments import EnrolmentSnapshot
    from crmsync.model.durations import Duration
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import Rule

_STATUS_AT_FIRST = {
    Existing.PREVIEW: EnrolmentStatus.PREVIEWED,
    Existing.IGNORE: EnrolmentStatus.IGNORED,
    Existing.ENROL: EnrolmentStatus.ACTIVE,
}
_CONDITIONS = "its conditions no longer hold"
_MISSING = "its record is missing; it goes on, and is not new, when the record is back"
_OVER = "it is new once its conditions were seen not to hold"
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
            company=company,
            missing=(missing or {}).get(rule.name, ()),
            ended=ended,
            texts=texts or Texts(),
            moves=moves,
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
    company: Company
    missing: Collection[str]
    ended: Mapping[EnrolmentRef, Ended] | None
    texts: Texts
    moves: _Moves
    taken: dict[str, str] = field(default_factory=dict)

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
            self._hold_unknown(subject)
            self._remember(subject, status, None)

    def _stay_or_leave(self, enrolment: Enrolment, *, alone: bool) -> None:
        subject = enrolment.ref.subject
        is_active = enrolment.status is EnrolmentStatus.ACTIVE
        if is_active and self._goes_by_more_than_conditions(enrolment):
            return
        if subject in self.verdict.unknown:
            self._hold_unknown(subject)
        elif subject not in self.verdict.matches and subject in self.missing:
            self._hold(subject, HeldBecause.MISSING, _MISSING)
        elif subject not in self.verdict.matches:
            self._leave(enrolment)
        elif enrolment.status is EnrolmentStatus.WAITING:
            if alone:
                self._wait(enrolment)
        elif is_active and enrolment.ref in self.texts.anew and not self._other_values(enrolment):
            if not self._is_cooling(subject):
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
            self._hold(subject, HeldBecause.UNKNOWN, _doubts(said, subject))
        elif subject not in said.matches and subject in self.missing:
            self._hold(subject, HeldBecause.MISSING, _MISSING)
        elif subject not in said.matches:
            if not was.until:
                self._end(enrolment, Ended(reason=_CONDITIONS, goal=False))
        elif was.once_per and all(said.matches[subject]):
            key, known = once_key(was.once_per, said.matches[subject]), enrolment.ref.key
            same = key == self.snapshot.keys_now.get((self.rule.name, known), known)
            if not same and once_paths(known) == frozenset(was.once_per):
                self.moves.end.append(_gone(enrolment, _other_key(key)))
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
        key = self._once_key(enrolment.ref.subject) if self.rule.once_per else None
        same = key is None or key == self.snapshot.keys_now.get((self.rule.name, known), known)
        return not same and once_paths(known) == frozenset(self.rule.once_per)

    def _compare_key(self, enrolment: Enrolment) -> None:
        """Under ``once_per``, other values are another enrolment."""
        subject = enrolment.ref.subject
        key = self._once_key(subject)
        known = enrolment.ref.key
        if key is None or key == self.snapshot.keys_now.get((self.rule.name, known), known):
            self._stay(enrolment)
        elif once_paths(known) == frozenset(self.rule.once_per):
            self.moves.end.append(_gone(enrolment, _other_key(key)))
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
            self._say_why_quiet(subject, status, ended=enrolment.end_reason)
        elif self._has_expired(subject):
            return
        elif self._must_wait(subject, self._since(enrolment)):
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
        if self._must_wait(subject, since):
            return
        known = enrolment.ref.key
        key = self._once_key(subject) if self.rule.once_per else known
        if key == self.snapshot.keys_now.get((self.rule.name, known), known):
            if not self._has_expired(subject) and not self._is_cooling(subject):
                self._activate(enrolment, EnrolmentStatus.ACTIVE)
            return
        ref = self._free_ref(subject)
        if ref is not None and not self._is_cooling(subject):
            self.moves.end.append(End(enrolment=enrolment, reason=_ON_UNDER_KEY))
            self._enrol(ref, EnrolmentStatus.ACTIVE, since)

    def _enter(
        self, subject: str, status: EnrolmentStatus, *, since: datetime | None = None
    ) -> None:
        """``since`` is when its conditions began to hold; now, where nobody knew before."""
        since = since or self.now
        ref = self._free_ref(subject)
        if ref is None:
            if not self._has_used_key(subject):
                self._remember(subject, status, since)
        elif status is not EnrolmentStatus.ACTIVE:
            self._enrol(ref, status, since)
            self._say_why_quiet(subject, status, when=" after the rule's first run")
        elif self._must_wait(subject, since):
            self._enrol(self._running_ref(subject), EnrolmentStatus.WAITING, since)
        elif not self._is_cooling(subject):
            self._enrol(ref, status, since)

    def _free_ref(self, subject: str) -> EnrolmentRef | None:
        """What its enrolment would be; None, and the reason is told, where none may begin."""
        if self._has_expired(subject):
            return None
        if not self.rule.once_per:
            return self._running_ref(subject)
        key = self._once_key(subject)
        if key is None:
            self._hold_empty_key(subject)
            return None
        ref = EnrolmentRef(rule=self.rule.name, subject=subject, key=key)
        user = self._user_of(key)
        if user is not None:
            self._hold_used_key(ref, user)
            return None
        return ref

    def _has_expired(self, subject: str) -> bool:
        """Whether the rule enrols nobody any more; told of the subject where it is so."""
        today = self._calendar(self.now).today
        if self.rule.expires is None or today <= self.rule.expires:
            return False
        reason = f"the rule expired on {self.rule.expires} and enrols nobody any more"
        self._hold(subject, HeldBecause.EXPIRED, reason)
        return True

    def _must_wait(self, subject: str, since: datetime) -> bool:
        """Whether its conditions have yet to hold long enough; told where it is so."""
        if self.rule.must_last is None:
            return False
        until = self._later(since, self.rule.must_last)
        if until <= self.now:
            return False
        zone = ZoneInfo(self.company.time_zone)
        reason = (
            f"waits since {readable(since, zone)}, due on {readable(until, zone)}: "
            f"its conditions must hold for {self.rule.must_last}"
        )
        self._hold(subject, HeldBecause.WAITING, reason, until)
        return True

    def _is_cooling(self, subject: str) -> bool:
        """Whether it was active too short a time ago; told where it is so."""
        last = self._history(subject).last_active_at
        if self.rule.cooldown is None or last is None:
            return False
        until = self._later(last, self.rule.cooldown)
        if until <= self.now:
            return False
        reason = f"it was enrolled within the cooldown of {self.rule.cooldown}"
        self._hold(subject, HeldBecause.COOLDOWN, reason, until)
        return True

    def _remember(self, subject: str, status: EnrolmentStatus, since: datetime | None) -> None:
        """When a rule is new: what is held now may match all along, so it is no new match later."""
        if status is not EnrolmentStatus.ACTIVE:
            self._enrol(self._running_ref(subject), status, since)

    def _enrol(self, ref: EnrolmentRef, status: EnrolmentStatus, since: datetime | None) -> None:
        self.taken[ref.key] = ref.subject
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

    def _history(self, subject: str) -> History:
        return self.snapshot.histories.get((self.rule.name, subject), History())

    def _running_ref(self, subject: str) -> EnrolmentRef:
        number = self._history(subject).enrolments + 1
        return EnrolmentRef(rule=self.rule.name, subject=subject, key=running_key(subject, number))

    def _once_key(self, subject: str) -> str | None:
        """The key of a match; None where one of its values is empty."""
        values = self.verdict.matches[subject]
        return once_key(self.rule.once_per, values) if all(values) else None

    def _user_of(self, key: str) -> str | None:
        return self.taken.get(key) or self.snapshot.used_keys.get((self.rule.name, key))

    def _has_used_key(self, subject: str) -> bool:
        key = self._once_key(subject) if self.rule.once_per else None
        return key is not None and self._user_of(key) is not None

    def _calendar(self, at: datetime) -> Calendar:
        zone = ZoneInfo(self.company.time_zone)
        return Calendar(now=at, zone=zone, country=self.company.country)

    def _later(self, start: datetime, by: Duration) -> datetime:
        """Business days are counted in the company's zone and country; the time of day stays."""
        return self._calendar(start).instant_after(by)

    def _hold(
        self, subject: str, because: HeldBecause, reason: str, until: datetime | None = None
    ) -> None:
        self.moves.held.append(
            Held(rule=self.rule.name, subject=subject, because=because, reason=reason, until=until)
        )

    def _hold_unknown(self, subject: str) -> None:
        self._hold(subject, HeldBecause.UNKNOWN, _doubts(self.verdict, subject))

    def _hold_empty_key(self, subject: str) -> None:
        pairs = zip(self.rule.once_per, self.verdict.matches[subject], strict=True)
        empty = ", ".join(path for path, value in pairs if not value)
        reason = f"once_per needs a value, and this is empty: {empty}"
        self._hold(subject, HeldBecause.EMPTY_KEY, reason)

    def _hold_used_key(self, ref: EnrolmentRef, user: str) -> None:
        who = "it" if user == ref.subject else user
        reason = f"{who} was enrolled for {ref.key} already, and once_per allows that once"
        self._hold(ref.subject, HeldBecause.ONCE_PER, reason)

    def _say_why_quiet(
        self, subject: str, status: EnrolmentStatus, *, when: str = "", ended: str | None = None
    ) -> None:
        if status is EnrolmentStatus.PREVIEWED:
            reason = (
                "it matched already when the rule was new or changed; to contact it, say so"
                f"{when}: crmsync review enrol {self.rule.name} {subject}"
            )
            self._hold(subject, HeldBecause.PREVIEW, reason)
        elif status is EnrolmentStatus.OVER:
            self._hold(subject, HeldBecause.OVER, f"its enrolment is over: {ended}; {_OVER}")
        elif status is EnrolmentStatus.IGNORED:
            reason = (
                "it matched already when the rule was new or changed, and the rule ignores those"
            )
            self._hold(subject, HeldBecause.IGNORED, reason)


def _doubts(verdict: RuleVerdicts, subject: str) -> str:
    return "; ".join(verdict.unknown[subject]) or "a clause could not be decided"


def _other_key(key: str) -> str:
    return f"the values of once_per are now {key}"


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
