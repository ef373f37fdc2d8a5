"""The daemon's work on an installation: the very code that ``sync`` and ``run`` call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from crmsync.app.cycle import Pace, run_cycle
from crmsync.app.reloading import fingerprint, put_in_force
from crmsync.app.waking import next_due
from crmsync.daemon.reading import Reader
from crmsync.errors import CrmsyncError, InvalidInputError
from crmsync.ledger.coming import REFUSED_NOTE, Note, counts_by_kind, read_notes, write_notes
from crmsync.observe import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from crmsync.app.reloading import InForce
    from crmsync.app.results.cycle import RunResult
    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock
    from crmsync.daemon.board import Board
    from crmsync.ledger.store import Ledger
    from crmsync.model.schedules import Schedule

_log = logger()


class InstalledWork:
    """An installation whose last good files are in force.

    Args:
        in_force: what the daemon begins with, put in force after ``seen`` was taken.
        seen: the fingerprint of its files.
        ledger: the one that the daemon serves; it stays, whatever the files say later.
    """

    def __init__(
        self,
        config: Path,
        in_force: InForce,
        seen: str,
        *,
        ledger: Ledger,
        clock: Clock,
        board: Board,
        stop: Callable[[], bool],
    ) -> None:
        self._config = config
        self._in_force = in_force
        self._seen = seen
        self._ledger = ledger
        self._clock = clock
        self._board = board
        self._stop = stop
        self.reader = Reader(board, stop)

    @property
    def workspace(self) -> Workspace:
        """What is in force."""
        return self._in_force.workspace

    @property
    def company_zone(self) -> str:
        """Whose clock on the wall schedules follow that name no zone."""
        return self.workspace.installation.settings.company.time_zone

    @property
    def connections(self) -> Mapping[str, Schedule]:
        """Every connection's schedule."""
        settings = self.workspace.installation.settings
        return {
            name: connection.schedule or settings.daemon.schedule
            for name, connection in settings.connections.items()
        }

    @property
    def rules(self) -> Mapping[str, Schedule]:
        """The schedules of the rules that have one."""
        rules = self.workspace.rules.rules
        return {rule.name: rule.schedule for rule in rules if rule.schedule is not None}

    def reload(self) -> bool:
        """Put the files in force if they have changed and hold no mistake."""
        now = fingerprint(self._config, self.workspace)
        if now == self._seen:
            return False
        self._seen = now
        try:
            new = put_in_force(self._config, self._clock)
            self._require_same_stores(new.workspace)
        except CrmsyncError as error:
            problems = error.problems if isinstance(error, InvalidInputError) else (str(error),)
            self._refuse(problems)
            return False
        except OSError as error:  # a file vanished while it was read: the next look will tell
            self._seen = ""
            self._refuse((str(error),))
            return False
        self.close()
        self._in_force = new
        self._board.refused(())
        self._board.keep_connections(self.connections)
        self.note({REFUSED_NOTE: None})
        _log.info("daemon.files_in_force", rules=len(new.workspace.rules.rules))
        return True

    def _refuse(self, problems: Sequence[str]) -> None:
        for problem in problems:
            _log.error("daemon.file_refused", problem=problem)
        _log.warning("daemon.last_good_files_stay_in_force", mistakes=len(problems))
        self._board.refused(problems)
        self.note({REFUSED_NOTE: Note(at=self._clock.now(), text="\n".join(problems))})

    def _require_same_stores(self, new: Workspace) -> None:
        old, now = self.workspace.installation, new.installation
        for key in ("state", "ledger"):
            if getattr(old.settings, key) != getattr(now.settings, key):
                place = now.document.place((key,))
                raise InvalidInputError(
                    [f"{place}: “{key}” cannot change while the daemon runs; restart it"]
                )

    def sync(self, names: Sequence[str]) -> Mapping[str, str | None]:
        """Read these connections; by name, why one could not be read to its end, or None."""
        time_out = self.workspace.installation.settings.daemon.time_out.length
        outcome = self.reader.read(self.workspace, names, time_out)
        with self.workspace.warehouse.reading() as records:
            unreadable = records.quarantine(newest=0).counts
            self._board.streams(records.stream_states(), unreadable)
        return outcome

    def act(self, resting: Mapping[str, datetime | None], until: datetime) -> datetime | None:
        """Decide and deliver; answers when something comes due before ``until``, if it does."""
        begun = time.monotonic()
        pace = Pace(resting=resting, stop=self._stop)
        result = run_cycle(
            self.workspace, advance=lambda _label, _done: None, sync_first=False, pace=pace
        )
        self._tell(result, time.monotonic() - begun)
        return next_due(self.workspace, result, until)

    def _tell(self, result: RunResult, seconds: float) -> None:
        plan, delivery = result.plan, result.delivery
        self._board.acted(seconds, held=len(plan.held), stopped=plan.stopped)
        with self._ledger.reading() as connection:
            self._board.effects(counts_by_kind(connection))
        _log.info(
            "daemon.cycle",
            entering=sum(count.entering for count in plan.rules),
            actions=len(plan.actions),
            held=len(plan.held),
            delivered=delivery.done,
            waiting=delivery.waiting,
            rejected=delivery.rejected,
            uncertain=delivery.uncertain,
            seconds=round(seconds, 2),
        )
        for problem in (plan.stopped, *delivery.problems):
            if problem is not None:
                _log.warning("daemon.needs_a_person", problem=problem)

    def recall(self) -> Mapping[str, Note]:
        """What was noted, also by an earlier process."""
        with self._ledger.reading() as connection:
            return read_notes(connection)

    def note(self, notes: Mapping[str, Note | None]) -> None:
        """Replace notes; None forgets one."""
        self._ledger.write(lambda connection: write_notes(connection, notes))

    def close(self) -> None:
        """Let go of what is in force."""
        self._in_force.kept.cleanup()
