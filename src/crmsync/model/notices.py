"""What a mail that a machine wrote can tell of an address."""

from __future__ import annotations

from enum import StrEnum


class NoticeKind(StrEnum):
    """The words of ``activity.notice``."""

    HARD_BOUNCE = "hard_bounce"  # the address is dead
    SOFT_BOUNCE = "soft_bounce"  # that mail did not arrive, another may
    COMPLAINT = "complaint"  # they called it spam
    OUT_OF_OFFICE = "out_of_office"  # somebody is away


# Of a soft bounce, the reason that counts when it is said again on another day.
NO_SUCH_ADDRESS = "no such address"
