"""The state of an installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.app.results.outbox import EffectShown
    from crmsync.app.results.stopping import StopShown


@dataclass(frozen=True, kw_only=True)
class StreamStatus:
    """How far a stream has been read.

    Attributes:
        records: how many live ones it has brought.
        written_at: when what was read was written, where that was before it was read.
        rows: how many records it would have, could all its rows be used; 0 where nearly all can.
        missing: of how many of them nothing is there.
    """

    connection: str
    stream: str
    table: str
    records: int
    read_at: datetime | None
    stale: bool
    error: str | None
    rows: int = 0
    missing: int = 0
    written_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class DaemonStatus:
    """What is known of the daemon.

    Attributes:
        process: which process it is, and since when; None where none runs.
        wakes: when something is due next for it; None where that is not known.
        refused: mistakes in files that are not in force, as ``file:line:column: sentence``.
    """

    process: str | None
    wakes: datetime | None = None
    for_what: str = ""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DueStatus:
    """What comes due in the hour that begins then: actions that wait, and steps of journeys."""

    hour: datetime
    effects: int
    steps: int = 0


@dataclass(frozen=True, kw_only=True)
class WaitingStatus:
    """How many actions wait for the same reason; ``held`` ones have no place in the outbox yet."""

    state: str
    reason: str
    actions: int


@dataclass(frozen=True, kw_only=True)
class CallsStatus:
    """How often a remote was called.

    Attributes:
        made: by crmsync, within the last 24 hours.
        used: of the remote's allowance, by whomever; None where the remote does not tell.
        allowed: the whole of that allowance.
        told_at: when that was so.
    """

    connection: str
    made: int
    used: int | None
    allowed: int | None
    told_at: datetime


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """The state of an installation.

    Attributes:
        quarantine: the newest sentences about rows that could not be read.
        effects: how many there are in each state.
        kinds: how many of each kind they are, by state.
        attention: sentences about what needs a person.
        unsettled: the actions that need a person, rejected or uncertain; all, or the first.
        stops: whom people have said to leave alone.
        last_run: when it was, and how it ended.
        due: what waits and comes due within a day.
        waiting: what waits or is held, and why; the most first.
        previewed: how many records matched a rule when it was new or changed, or may have, and
            wait for a person's word.
        calls: of the connections whose remotes allow so many, and no more.
        reminders: what nobody may forget of the connections, such as that mail is redirected.
    """

    at: datetime
    streams: tuple[StreamStatus, ...]
    quarantined: int
    quarantine: tuple[str, ...]
    effects: dict[str, int]
    kinds: dict[str, dict[str, int]]
    attention: tuple[str, ...]
    unsettled: tuple[EffectShown, ...]
    stops: tuple[StopShown, ...]
    last_run: str | None
    daemon: DaemonStatus
    due: tuple[DueStatus, ...] = ()
    waiting: tuple[WaitingStatus, ...] = ()
    previewed: int = 0
    calls: tuple[CallsStatus, ...] = ()
    reminders: tuple[str, ...] = ()

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        mistakes = self.quarantined or self.attention or self.daemon.refused
        return bool(mistakes) or any(s.error for s in self.streams)
