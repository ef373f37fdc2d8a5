"""A process that gives birth to others, each of which works on an installation until it is killed.

All that takes long to import is imported once; each life is a process of its own all the same.
Reads a JSON list of jobs a line, lets them live at once, and answers with the number of each; told
so by another line, it waits for them, and answers with how each ended.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import crmsync.app.cycle
import crmsync.delivery.deliver
import crmsync.delivery.reconcile
import crmsync.warehouse.store
from crmsync.cli.console import opened
from crmsync.delivery.deliver import Target, deliver
from crmsync.errors import StoreBusyError
from crmsync.observe import configure_logs
from crmsync.observe.failpoints import die_at
from crmsync.plugins.contract import Writes
from crmsync.plugins.manager import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.app.workspace import Workspace

BUSY = 75  # a life that has found another at its work, and said so

# Recovery, switched off in one way or another.
MUTANTS: dict[str, Callable[[], Any]] = {
    "nobody looks": lambda: patch.object(
        crmsync.delivery.reconcile,
        "_look_up",
        lambda _find, keys, _size: (dict.fromkeys(keys), None),
    ),
    "nobody takes over": lambda: patch.object(
        crmsync.delivery.deliver, "expire_leases", lambda *_, **__: {}
    ),
}


def _run(workspace: Workspace) -> None:
    crmsync.app.cycle.run_cycle(workspace, advance=lambda _label, _done: None)


def _plan(workspace: Workspace, answer: Path) -> None:
    """Whom the rules want something of, told to whoever asks."""
    found = crmsync.app.cycle.plan_cycle(workspace, advance=lambda _label, _done: None)
    broken = [stream for stream in found.sync.streams if stream.error is not None]
    assert (broken, found.sync.problems) == ([], ())
    wanted = {(action.rule, action.subject) for action in found.actions}
    wanted |= {(held.rule, held.subject) for held in found.held if held.step is not None}
    answer.write_text(json.dumps(sorted(wanted)), encoding="utf-8")


def _deliver(workspace: Workspace, seconds: float) -> None:
    """As a second worker does, beside the one that decides."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with ExitStack() as stack:
            targets = {}
            for name in workspace.ledger.connections_with_work():
                connector = stack.enter_context(workspace.connected(name))
                assert isinstance(connector, Writes)
                targets[name] = Target(writes=connector, spec=workspace.spec(name))
            loggers = workspace.loggers
            deliver(workspace.ledger, targets, clock=workspace.clock, loggers=loggers)
        time.sleep(0.02)


def live(job: dict[str, Any]) -> None:
    with ExitStack() as stack:
        if job.get("mutant"):
            stack.enter_context(MUTANTS[job["mutant"]]())
        if job.get("die_at"):
            die_at(job["die_at"])
        workspace = opened(Path(job["config"]), job["at"])
        match job["role"]:
            case "run":
                _run(workspace)
            case "deliver":
                _deliver(workspace, job["seconds"])
            case "plan":
                _plan(workspace, Path(job["answer"]))


def _born(job: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.environ.update(job["environment"])
        live(job)
        Path(job["modules"]).write_text(json.dumps(sorted(sys.modules)), encoding="utf-8")
        status = 0
    except StoreBusyError:
        status = BUSY
    except BaseException:  # noqa: BLE001  it is told in the log
        with Path(job["log"]).open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
    finally:
        os._exit(status)


def _learn(modules: Path) -> None:
    """Import what a whole life needed, so that the next need not."""
    if modules.exists():
        for name in json.loads(modules.read_text(encoding="utf-8")):
            with suppress(ImportError):
                importlib.import_module(name)
        modules.unlink()


def main() -> None:
    configure_logs(level="error")
    Plugins()  # imports them
    _say({"ready": True})
    for line in sys.stdin:
        jobs = json.loads(line)
        began = time.monotonic()
        children = [_born(job) for job in jobs]
        _say({"born": children})
        # Nobody is collected before whoever kills them has done with it: a process's number
        # could be another's then.
        sys.stdin.readline()
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        _learn(Path(jobs[0]["modules"]))
        _say({"ends": ends, "seconds": time.monotonic() - began})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201  to whoever waits for it


if __name__ == "__main__":
    main()
