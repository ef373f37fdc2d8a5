"""Which runs there were, and what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.results.undoing import RunShown, RunsResult
from crmsync.clock import readable
from crmsync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.app.workspace import Workspace
    from crmsync.ledger.values.runs import RunRecord

UNDO = "undo"
# A run in which somebody only stays where they are has done nothing.
_IDLE = {"held back", "actions"}
_MOST = 10_000


def list_runs(workspace: Workspace, *, limit: int, every: bool) -> RunsResult:
    """The latest runs.

    Args:
        every: also those that did nothing.

    Raises:
        UsageError: the limit is not a positive number.
    """
    if limit < 1:
        raise UsageError("--limit: at least 1")
    runs = workspace.ledger.last_runs(_MOST)
    chosen = [run for run in runs if every or _did_something(run)]
    last = chosen[:limit]
    oldest = last[-1].id if len(chosen) > limit else 0
    return RunsResult(
        runs=shown_runs(workspace, last),
        left_out=sum(run.id >= oldest for run in runs) - len(last),
        more=len(chosen) > limit,
    )


def find_run(workspace: Workspace, number: int) -> RunRecord:
    """The run of that number.

    Raises:
        UsageError: there is none; the sentence names the last one.
    """
    found = workspace.ledger.run(number)
    if found is None:
        last = workspace.ledger.last_runs(1)
        known = f"the last one is {last[0].id}" if last else "there was none yet"
        raise UsageError(f"there is no run {number}; {known}; “crmsync runs” lists them")
    return found


def shown_runs(workspace: Workspace, runs: Sequence[RunRecord]) -> tuple[RunShown, ...]:
    """Runs as people see them."""
    undoing = workspace.ledger.undone()
    return tuple(
        RunShown(
            number=run.id,
            at=run.at.astimezone(workspace.zone),
            told=told(run),
            # The same said twice, because the first broke off, is one word.
            undone=tuple(
                dict.fromkeys(
                    f"by {undo.said_by} on {readable(undo.at, workspace.zone)}"
                    + (f": {undo.reason}" if undo.reason else "")
                    for undo in undoing.get(run.id, ())
                )
            ),
        )
        for run in runs
    )


def told(run: RunRecord) -> str:
    """What a run did, or why it ended."""
    what = f"undid run {run.undoes}: " if run.undoes is not None else ""
    if run.error is not None:
        return f"{what}ended with: {run.error}"
    if run.finished_at is None:
        return f"{what}not finished: it is still going on, or its process ended"
    done = ", ".join(f"{number:,} {name}" for name, number in run.counts.items() if number)
    return what + (done or "nothing was due")


def _did_something(run: RunRecord) -> bool:
    if run.error is not None or run.finished_at is None:
        return True
    return any(number for name, number in run.counts.items() if name not in _IDLE)
