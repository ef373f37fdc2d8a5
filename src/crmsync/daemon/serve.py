"""Wires the daemon: files, ledger, watchers, signals, loop."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.app.reloading import fingerprint, put_in_force
from crmsync.daemon.board import Board
from crmsync.daemon.hints import Hints
from crmsync.daemon.loop import Daemon
from crmsync.daemon.public.installed import InstalledOutside
from crmsync.daemon.public.server import open_to_public
from crmsync.daemon.public.site import PublicSite
from crmsync.daemon.server import serving
from crmsync.daemon.signals import stopping
from crmsync.daemon.work import InstalledWork
from crmsync.observe import logger

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.clock import Clock

# Beside the time-out of reading: what a cycle may take before the daemon counts as stuck.
_PATIENCE = timedelta(minutes=30)

_log = logger()


def serve(config: Path, clock: Clock, *, listen: str | None = None) -> None:
    """Work until a signal comes; then finish what is in hand.

    Args:
        listen: in place of the config's.

    Raises:
        UsageError: there is no config file, or nobody can listen there.
        InvalidInputError: config, rules or templates hold mistakes.
        StoreBusyError: the ledger has a daemon already.
        StoreError: a store cannot be opened.
    """
    seen = fingerprint(config)
    in_force = put_in_force(config, clock)
    workspace = in_force.workspace
    settings = workspace.installation.settings.daemon
    with ExitStack() as stack:
        ledger = workspace.ledger
        keep = stack.enter_context(ledger.serving(since=workspace.now))
        stop = stack.enter_context(stopping())
        stop.cut_off_after(settings.shutdown_grace.length)
        board = Board(clock, settings.time_out.length + _PATIENCE)
        work = InstalledWork(
            config, in_force, seen, ledger=ledger, clock=clock, board=board, stop=stop
        )
        stack.callback(work.close)
        address = listen or settings.listen
        if address is not None:
            address = stack.enter_context(serving(board, address))
        hints = Hints(stop.wake)
        public = workspace.installation.settings.public
        outside = None
        if public is not None:
            site = PublicSite(outside=InstalledOutside(lambda: work.workspace, clock, hints, board))
            outside = stack.enter_context(open_to_public(site, public.listen))
        _log.info(
            "daemon.started",
            process=os.getpid(),
            connections=len(work.connections),
            rules=len(workspace.rules.rules),
            watchers=address or "nowhere",
            public=outside or "nowhere",
        )
        loop = Daemon(
            work=work,
            clock=clock,
            sleep=stop.sleep,
            stop=stop,
            board=board,
            hints=hints,
            keep=keep,
        )
        loop.run()
        _log.info("daemon.stopped", by=None if stop.by is None else stop.by.name)
    if work.reader.hanging:
        # Python waits at its end for threads that libraries began; one that hangs never ends.
        sys.stderr.flush()
        os._exit(0)
