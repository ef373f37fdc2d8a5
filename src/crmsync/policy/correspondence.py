"""What mail has told of an address: notices about it, and when mail last came from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from crmsync.model.notices import NO_SUCH_ADDRESS, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

_DAYS = 2  # on which a mail system must have said that there is no such address
_BOUNCES = (NoticeKind.HARD_BOUNCE, NoticeKind.SOFT_BOUNCE)


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A notice about an address, as it was read.

    Attributes:
        at: when it came (UTC).
        reason: of a bounce, in a few words; may be empty.
        until: of an absence, its last day; None where it was not stated.
    """

    kind: NoticeKind
    at: datetime
    reason: str = ""
    until: date | None = None


@dataclass(frozen=True, kw_only=True)
class Correspondence:
    """What mail has told of an address.

    Attributes:
        notices: those about it, in any order.
        heard_at: when mail last came from it (UTC), by a person's hand or a machine's.
        wrote_at: when a person last wrote from it (UTC).
        trusted_at: until when (UTC) a person has said that bounces and complaints do not count.
    """

    notices: Sequence[Notice] = ()
    heard_at: datetime | None = None
    wrote_at: datetime | None = None
    trusted_at: datetime | None = None

    @property
    def complaint(self) -> Notice | None:
        """The latest complaint; None where a person has taken it back since."""
        found = self._latest(NoticeKind.COMPLAINT)
        return found if found is not None and self._is_believed(found) else None

    @property
    def bounce(self) -> Notice | None:
        """The latest bounce, where the address does not take mail any more; None where it does.

        One hard bounce says so; soft ones do where mail systems said on two days (UTC) that there
        is no such address. Mail that came from the address afterwards shows that it lives.
        """
        bounces = [one for one in self.notices if one.kind in _BOUNCES and self._is_last(one)]
        hard = [one for one in bounces if one.kind is NoticeKind.HARD_BOUNCE]
        soft = [
            one
            for one in bounces
            if one.kind is NoticeKind.SOFT_BOUNCE
            and one.reason.strip().casefold() == NO_SUCH_ADDRESS
        ]
        if len({one.at.astimezone(UTC).date() for one in soft}) < _DAYS:
            soft = []
        return max([*hard, *soft], key=lambda one: one.at, default=None)

    @property
    def absence(self) -> Notice | None:
        """The latest absence; None where a person has written since."""
        found = self._latest(NoticeKind.OUT_OF_OFFICE)
        if found is None or (self.wrote_at is not None and self.wrote_at > found.at):
            return None
        return found

    def _is_last(self, one: Notice) -> bool:
        heard = self.heard_at is not None and one.at <= self.heard_at
        return not heard and self._is_believed(one)

    def _is_believed(self, one: Notice) -> bool:
        return self.trusted_at is None or one.at > self.trusted_at

    def _latest(self, kind: NoticeKind) -> Notice | None:
        found = (one for one in self.notices if one.kind is kind)
        return max(found, key=lambda one: one.at, default=None)


NOTHING_TOLD = Correspondence()
