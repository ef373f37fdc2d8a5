"""Bounces: which address of a mail could not be reached, and whether it is dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync_email.incoming.reasons import (
    Reason,
    is_passing,
    is_sure,
    reason_of,
    says_nothing,
    status_in,
)

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
    return tuple(
        _bounce(one, standard=notice.standard)
        for one in notice.failures
        if one.action not in _ARRIVED
    )


def _bounce(failure: Failure, *, standard: bool) -> Bounce:
    words = (failure.told, failure.around)
    status = status_in(failure.told) or _telling(failure.status) or status_in(failure.around)
    reason = reason_of(*words, status=status)
    return Bounce(
        address=failure.address,
        hard=reason.is_dead
        and not _is_passing(failure, status)
        and (
            reason is not Reason.NO_SUCH_ADDRESS
            or is_sure(*words, status=status or failure.status, standard=standard)
        ),
        reason=reason,
        status=status or failure.status,
        words=" ".join((failure.told or failure.around).split())[:500],
    )


def _is_passing(failure: Failure, status: str) -> bool:
    return (
        failure.action == "delayed"
        or failure.status.startswith("4.")
        or is_passing(failure.told, failure.around, status=status)
    )


def _telling(status: str) -> str:
    """The status, if it says more than that something went wrong."""
    return "" if says_nothing(status) else status
