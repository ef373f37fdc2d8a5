"""What a sync did, stream by stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StreamReport:
    """What was done with one stream.

    Attributes:
        read: rows that the connector gave.
        changed: records that are new or differ from before.
        deleted: records that became tombstones.
        quarantined: rows that could not be used.
        error: why it was not read to its end, as one sentence; what was read before stays.
        warning: what was withheld, and how to let it through.
    """

    connection: str
    stream: str
    table: str
    read: int = 0
    changed: int = 0
    deleted: int = 0
    quarantined: int = 0
    error: str | None = None
    warning: str | None = None
