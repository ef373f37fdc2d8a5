"""Bounces: which address of a mail could not be reached, and whether it is dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync_email.incoming.reasons import Reason, reason_of, status_in

if TYPE_CHECKING:
    from crmsync_email.incoming.notices import Failure, Notice

_ARRIVED = {"delivered", "relayed", "expanded"}


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """What a mail system says of one recipient of a mail.

    Attributes:
        address: in lower case; empty where the notice does not say.
        hard: the address is dead, so that nothing more is to be sent to it.
        reason: why.
        status: the enhanced status code (RFC 3463), or empty.
        words: the mail system's, for a person to read.
    """

    address: str
    hard: bool
    reason: Reason
    status: str
    words: str


def bounces_in(notice: Notice) -> tuple[Bounce, ...]:
    """One for each recipient who was not reached; a delay is soft, a delivery is none."""
    return tuple(_bounce(one) for one in notice.failures if one.action not in _ARRIVED)


def _bounce(failure: Failure) -> Bounce:
    status = status_in(failure.told) or _telling(failure.status) or status_in(failure.around)
    reason = reason_of(failure.told, failure.around, status=status)
    return Bounce(
        address=failure.address,
        hard=reason.is_dead and failure.action != "delayed",
        reason=reason,
        status=status or failure.status,
        words=" ".join((failure.told or failure.around).split())[:500],
    )


def _telling(status: str) -> str:
    """The status, if it says more than that something went wrong."""
    return "" if status.endswith(".0.0") else status
