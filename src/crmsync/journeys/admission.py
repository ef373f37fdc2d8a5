"""Whether somebody may enter a rule now; why not is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.clock import readable
from crmsync.journeys.keys import once_key, once_words, running_key
from crmsync.ledger.values.enrolments import (
    EnrolmentRef,
    EnrolmentStatus,
    Held,
    HeldBecause,
    History,
)
from crmsync.rules.evaluation.calendar import Calendar

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.config.settings import Company
    from crmsync.ledger.values.enrolments import EnrolmentSnapshot
    from crmsync.model.durations import Duration
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import Rule

_OVER = "it is new once its conditions were seen not to hold"


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Who may enter one rule.

    Attributes:
        taken: by key, who enters now.
        held: what was told.
    """

    rule: Rule
    verdict: RuleVerdicts
    snapshot: EnrolmentSnapshot
    now: datetime
    company: Company
    held: list[Held]
    taken: dict[str, str] = field(default_factory=dict)

    def free_ref(self, subject: str) -> EnrolmentRef | None:
        """What its enrolment would be; None, and the reason is told, where none may begin."""
        if self.has_expired(subject):
            return None
        if not self.rule.once_per:
            return self.running_ref(subject)
        key = self.once_key(subject)
        if key is None:
            self._hold_empty_key(subject)
            return None
        ref = EnrolmentRef(rule=self.rule.name, subject=subject, key=key)
        user = self._user_of(key)
        if user is not None:
            self._hold_used_key(ref, user)
            return None
        return ref

    def has_expired(self, subject: str) -> bool:
        """Whether the rule enrols nobody any more; told of the subject where it is so."""
        today = self._calendar(self.now).today
        if self.rule.expires is None or today <= self.rule.expires:
            return False
        reason = f"the rule expired on {self.rule.expires} and enrols nobody any more"
        self.hold(subject, HeldBecause.EXPIRED, reason)
        return True

    def must_wait(self, subject: str, since: datetime) -> bool:
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
        self.hold(subject, HeldBecause.WAITING, reason, until)
        return True

    def is_cooling(self, subject: str) -> bool:
        """Whether it was active too short a time ago; told where it is so."""
        last = self._history(subject).last_active_at
        if self.rule.cooldown is None or last is None:
            return False
        until = self._later(last, self.rule.cooldown)
        if until <= self.now:
            return False
        reason = f"it was enrolled within the cooldown of {self.rule.cooldown}"
        self.hold(subject, HeldBecause.COOLDOWN, reason, until)
        return True

    def running_ref(self, subject: str) -> EnrolmentRef:
        """What its enrolment would be where no values of ``once_per`` name it."""
        number = self._history(subject).enrolments + 1
        return EnrolmentRef(rule=self.rule.name, subject=subject, key=running_key(subject, number))

    def once_key(self, subject: str) -> str | None:
        """The key of a match; None where one of its values is empty."""
        values = self.verdict.matches[subject]
        return once_key(self.rule.once_per, values) if all(values) else None

    def has_used_key(self, subject: str) -> bool:
        """Whether the values of ``once_per`` were used already, by whomever."""
        key = self.once_key(subject) if self.rule.once_per else None
        return key is not None and self._user_of(key) is not None

    def hold(
        self, subject: str, because: HeldBecause, reason: str, until: datetime | None = None
    ) -> None:
        """It is told why nothing is done for it now."""
        self.held.append(
            Held(rule=self.rule.name, subject=subject, because=because, reason=reason, until=until)
        )

    def hold_unknown(self, subject: str) -> None:
        """It is told what of its conditions is not known."""
        self.hold(subject, HeldBecause.UNKNOWN, doubts(self.verdict, subject))

    def say_why_quiet(
        self, subject: str, status: EnrolmentStatus, *, when: str = "", ended: str | None = None
    ) -> None:
        """It is told why nothing comes of an enrolment that there is."""
        if status is EnrolmentStatus.PREVIEWED:
            reason = (
                "it matched already when the rule was new or changed; to contact it, say so"
                f"{when}: crmsync review enrol {self.rule.name} {subject}"
            )
            self.hold(subject, HeldBecause.PREVIEW, reason)
        elif status is EnrolmentStatus.OVER:
            self.hold(subject, HeldBecause.OVER, f"its enrolment is over: {ended}; {_OVER}")
        elif status is EnrolmentStatus.IGNORED:
            reason = (
                "it matched already when the rule was new or changed, and the rule ignores those"
            )
            self.hold(subject, HeldBecause.IGNORED, reason)

    def _history(self, subject: str) -> History:
        return self.snapshot.histories.get((self.rule.name, subject), History())

    def _user_of(self, key: str) -> str | None:
        return self.taken.get(key) or self.snapshot.used_keys.get((self.rule.name, key))

    def _calendar(self, at: datetime) -> Calendar:
        zone = ZoneInfo(self.company.time_zone)
        return Calendar(now=at, zone=zone, country=self.company.country)

    def _later(self, start: datetime, by: Duration) -> datetime:
        """Business days are counted in the company's zone and country; the time of day stays."""
        return self._calendar(start).instant_after(by)

    def _hold_empty_key(self, subject: str) -> None:
        pairs = zip(self.rule.once_per, self.verdict.matches[subject], strict=True)
        empty = ", ".join(path for path, value in pairs if not value)
        reason = f"once_per needs a value, and this is empty: {empty}"
        self.hold(subject, HeldBecause.EMPTY_KEY, reason)

    def _hold_used_key(self, ref: EnrolmentRef, user: str) -> None:
        who = "it" if user == ref.subject else user
        values = once_words(ref.key, ref.subject)
        reason = f"{who} was enrolled for {values} already, and once_per allows that once"
        self.hold(ref.subject, HeldBecause.ONCE_PER, reason)


def doubts(verdict: RuleVerdicts, subject: str) -> str:
    """What of its conditions is not known, in a sentence."""
    return "; ".join(verdict.unknown[subject]) or "a clause could not be decided"
