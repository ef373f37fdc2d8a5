"""What a sync did, stream by stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class StreamReport:
    """What was done with one stream.

    Attributes:
        read: rows that the connector gave.
        changed: records that are new or differ from before.
        deleted: records that became tombstones.
        quarantined: rows that could not be used.
        seconds: how long it took.
        error: why it was not read to its end, as one sentence; what was read before stays.
        warning: one sentence where something was withheld.
    """

    stream: str
    table: str
    read: int = 0
    changed: int = 0
    deleted: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    error: str | None = None
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """What was done with one connection."""

    connection: str
    streams: tuple[StreamReport, ...]

    @property
    def ended_well(self) -> bool:
        """Whether each stream was read to its end."""
        return all(report.error is None for report in self.streams)


class Progress(Protocol):
    """Is told how a sync goes on; called from the thread that syncs."""

    def begin(self, connection: str, stream: str) -> None:
        """Called before a stream is read."""
        ...

    def advance(self, connection: str, stream: str, rows: int) -> None:
        """Called with each page: so many more rows were read."""
        ...

    def end(self, connection: str, report: StreamReport) -> None:
        """Called when a stream is done, well or not."""
        ...


class NoProgress:
    """Tells nobody."""

    def begin(self, connection: str, stream: str) -> None:
        """Nothing."""

    def advance(self, connection: str, stream: str, rows: int) -> None:
        """Nothing."""

    def end(self, connection: str, report: StreamReport) -> None:
        """Nothing."""
