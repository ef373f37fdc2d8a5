"""One cycle. ``plan`` is the same cycle with the last arrow removed, not a second one."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crmsync.app.deciding import Decided, decide
from crmsync.app.results import DeliveryCount, PlanResult, RunResult
from crmsync.app.syncing import skipped, sync_all, sync_or_skip
from crmsync.clock import SystemClock
from crmsync.delivery.commit import commit_plan
from crmsync.delivery.deliver import DeliveryReport, Target, deliver
from crmsync.errors import ConnectorError, CrmsyncError, InvalidInputError
from crmsync.ledger.states import State
from crmsync.plugins.contract import Writes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crmsync.app.results import SyncResult
    from crmsync.app.workspace import Workspace


def plan_cycle(
    workspace: Workspace,
    *,
    advance: Callable[[str, int], None],
    sync_first: bool = True,
    only: Sequence[str] | None = None,
) -> PlanResult:
    """What a run would do now. Nothing is recorded or sent.

    Raises:
        UsageError: there is no rule of a name in ``only``.
        InvalidInputError: rules or templates hold mistakes.
    """
    workspace.rules  # noqa: B018  mistakes are told before anything is read
    if sync_first:
        sync = sync_or_skip(workspace, advance=advance)
    else:
        sync = skipped(workspace, "Taking what was last read.")
    return _decide(workspace, sync, only=only, advance=advance).plan


def run_cycle(
    workspace: Workspace, *, advance: Callable[[str, int], None], sync_first: bool = True
) -> RunResult:
    """Sync, decide, record, deliver.

    Raises:
        InvalidInputError: rules or templates hold mistakes.
        StoreBusyError: another process is in the middle of a run.
    """
    workspace.rules  # noqa: B018  mistakes are told before anything is read
    since = SystemClock().now().astimezone(workspace.zone)
    with workspace.ledger.evaluating(since=since):
        return _run(workspace, advance=advance, sync_first=sync_first)


def _run(
    workspace: Workspace, *, advance: Callable[[str, int], None], sync_first: bool
) -> RunResult:
    if sync_first:
        sync = sync_all(workspace, advance=advance)
    else:
        sync = skipped(workspace, "Taking what was last read.")
    run = _Run.started(workspace)
    try:
        found = _find_out(workspace, run.id, advance=advance)
        decided = _decide(workspace, sync, advance=advance)
        if decided.plan.stopped is None:
            commit_plan(
                workspace.ledger,
                run.id,
                decided.transitions,
                decided.effects,
                decided.decisions,
                withheld=decided.withheld,
            )
            report = _together(found, _deliver(workspace, run.id, advance=advance))
        else:
            report = found
        run.finished(decided, report)
    except CrmsyncError as error:
        run.failed(error)
        raise
    return RunResult(
        plan=decided.plan,
        delivery=DeliveryCount(
            done=report.done - report.already,
            already=report.already,
            waiting=report.waiting,
            rejected=report.rejected,
            uncertain=report.uncertain,
            problems=report.problems,
        ),
    )


def _decide(
    workspace: Workspace,
    sync: SyncResult,
    *,
    advance: Callable[[str, int], None],
    only: Sequence[str] | None = None,
) -> Decided:
    with workspace.warehouse.reading() as records:
        return decide(workspace.premises, records, sync, only=only, advance=advance)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """The ledger's record of a run."""

    workspace: Workspace
    id: int

    @classmethod
    def started(cls, workspace: Workspace) -> _Run:
        # When it really ran; ``at`` is what it took for the present.
        started_at = SystemClock().now()
        number = workspace.ledger.start_run("run", at=workspace.clock.now(), started_at=started_at)
        return cls(workspace=workspace, id=number)

    def finished(self, decided: Decided, report: DeliveryReport) -> None:
        self._finish(
            {
                "entering": len(decided.transitions.enrol),
                "leaving": len(decided.transitions.end),
                "actions": len(decided.effects),
                "held back": len(decided.plan.held),
                "delivered": report.done,
                "refused": report.rejected,
                "uncertain": report.uncertain,
            },
            decided.plan.stopped,
        )

    def failed(self, error: CrmsyncError) -> None:
        self._finish({}, str(error))

    def _finish(self, counts: dict[str, int], error: str | None) -> None:
        self.workspace.ledger.finish_run(
            self.id, finished_at=SystemClock().now(), counts=counts, error=error
        )


def _find_out(
    workspace: Workspace, run_id: int, *, advance: Callable[[str, int], None]
) -> DeliveryReport:
    """What became of that which an earlier run may have sent.

    Before anything is decided: what has not landed is composed anew and asked about in this run.
    """
    unsettled = {State.SENDING, State.UNCERTAIN} & workspace.ledger.effect_counts().keys()
    return _deliver(workspace, run_id, advance=advance) if unsettled else DeliveryReport()


def _together(first: DeliveryReport, second: DeliveryReport) -> DeliveryReport:
    return replace(
        second,
        done=first.done + second.done,
        already=first.already + second.already,
        rejected=first.rejected + second.rejected,
        problems=tuple(dict.fromkeys((*first.problems, *second.problems))),
    )


def _deliver(
    workspace: Workspace, run_id: int, *, advance: Callable[[str, int], None]
) -> DeliveryReport:
    """What this run's gates have let pass; and what kept a connection from being opened."""
    names = workspace.ledger.connections_with_work()
    targets: dict[str, Target] = {}
    problems: list[str] = []
    done = 0

    def progress(settled: int, _total: int) -> None:
        nonlocal done
        advance("delivering", settled - done)
        done = settled

    with ExitStack() as stack:
        for name in sorted(names & workspace.installation.settings.connections.keys()):
            try:
                connector = stack.enter_context(workspace.connected(name))
            except (ConnectorError, InvalidInputError) as error:
                problems.append(f"{name}: {error}")
                continue
            if isinstance(connector, Writes):
                targets[name] = Target(writes=connector, spec=workspace.spec(name))
        report = deliver(
            workspace.ledger, targets, clock=workspace.clock, run_id=run_id, progress=progress
        )
    return replace(report, problems=(*problems, *report.problems))
