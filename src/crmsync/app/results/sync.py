"""What a sync did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from crmsync.plugins.contract import CallCount
    from crmsync.sync.reports import StreamReport


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What a sync did.

    Attributes:
        problems: sentences about whole connections: not reachable, not configured well.
        doubts: what may be a mistake in a mapping; only a person can tell.
        quarantined: how many rows cannot be read as things stand, also from earlier syncs.
        quarantine: the sentences of the newest of them.
        calls: how often the remotes were called, by connection; only of those that count.
        skipped: why nothing was read at all; None where it was.
    """

    at: datetime
    streams: tuple[StreamReport, ...] = ()
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    quarantined: int = 0
    quarantine: tuple[str, ...] = ()
    calls: Mapping[str, CallCount] = field(default_factory=dict)
    skipped: str | None = None

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        return bool(self.problems or self.quarantined) or any(
            stream.error or stream.warning for stream in self.streams
        )

    @property
    def failed(self) -> bool:
        """Whether something could not be read to its end."""
        return bool(self.problems) or any(stream.error for stream in self.streams)
