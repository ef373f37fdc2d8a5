"""Whom people have said to leave alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class StopShown:
    """A person's word that an account or an address is to be left alone.

    Attributes:
        kind: ``account``, ``address``, or ``unsubscribed``: an address and commercial mail alone;
            by mail systems, ``nobody there``, ``bounced`` or ``complained``; of what is lifted,
            ``trusted``: what mail had told of an address.
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
        doubt: what may be a mistake; only a person can tell.
    """

    said: StopShown | None = None
    lifted: tuple[StopShown, ...] = ()
    taken_back: int = 0
    doubt: str | None = None
