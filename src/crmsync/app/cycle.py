"""One cycle. ``plan`` is the same cycle with the last arrow removed, not a second one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING

from crmsync.app.basis import basis_of
from crmsync.app.deciding import Decided, decide, world_of
from crmsync.app.delivering import find_out, hand_over
from crmsync.app.opting_out import write_opt_outs
from crmsync.app.remembering import Remembered, remember, remembered
from crmsync.app.results.cycle import DeliveryCount, PlanResult, RunResult
from crmsync.app.syncing import skipped, sync_all, sync_or_skip
from crmsync.clock import NeverBefore, SystemClock, readable
from crmsync.delivery.commit import commit_plan
from crmsync.errors import CrmsyncError, StoppedError, TimeWentBackError
from crmsync.ledger.states import State
from crmsync.observe import logger
from crmsync.observe.failpoints import passing
from crmsync.rules.incremental.standing import evaluated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from crmsync.app.premises import Premises
    from crmsync.app.results.sync import SyncResult
    from crmsync.app.workspace import Workspace
    from crmsync.delivery.tally import DeliveryReport
    from crmsync.warehouse.reader import Records
    from crmsync.warehouse.store import Stamp

# How often a run evaluates everybody, to hold the shorter way against it.
_AUDITED_EACH = timedelta(days=1)
# How long what the gates have let pass may go out: hours end, and people answer.
_GOOD_FOR = timedelta(minutes=5)
# By less than this the clocks of two machines may differ.
_CLOCKS_DIFFER = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What the daemon has to say in a cycle.

    Attributes:
        resting: as of `Premises`.
        stop: asked before each part of the cycle and each batch; once it says yes, the cycle ends
            there, and what is left stays for a later one.
    """

    resting: Mapping[str, datetime | None] = field(default_factory=dict)
    stop: Callable[[], bool] = lambda: False

    def go_on(self) -> None:
        """Between two parts.

        Raises:
            StoppedError: it is to stop.
        """
        if self.stop():
            raise StoppedError("the run was asked to stop before it had decided anything")


_FREELY = Pace()


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
    plan = _decide(workspace, sync, only=only, advance=advance).plan
    return replace(
        plan, calls_to_come=_calls_to_come(workspace, plan), reminders=workspace.reminders
    )


def _calls_to_come(workspace: Workspace, plan: PlanResult) -> dict[str, int]:
    """For each connection that counts its calls, in how many what is ready can be written."""
    ready = Counter(one.connection for one in plan.actions if one.state == State.READY)
    return {
        name: ceil(ready[name] / workspace.spec(name).batch_size)
        for name in plan.sync.calls
        if ready[name]
    }


def run_cycle(
    workspace: Workspace,
    *,
    advance: Callable[[str, int], None],
    sync_first: bool = True,
    full: bool = False,
    was_ahead: bool = False,
    pace: Pace = _FREELY,
) -> RunResult:
    """Sync, decide, record, deliver.

    Args:
        full: evaluate everybody, whatever is remembered of the last run.
        was_ahead: go on where the last run took a later time for the present.
        pace: when the daemon runs it.

    Raises:
        TimeWentBackError: the last run took a later time for the present.
        StoppedError: the pace said so before anything was decided.
        InvalidInputError: rules or templates hold mistakes.
        StoreBusyError: another process is in the middle of a run.
    """
    workspace.rules  # noqa: B018  mistakes are told before anything is read
    since = SystemClock().now().astimezone(workspace.zone)
    with workspace.ledger.evaluating(since=since):
        if not was_ahead:
            workspace = _going_on(workspace)
        return _run(workspace, advance=advance, sync_first=sync_first, full=full, pace=pace)


def _going_on(workspace: Workspace) -> Workspace:
    """Whoever does not match at an earlier time would leave the rule, and enter it anew later.

    Clocks of two machines differ by seconds; then the last run's present is this one's, too.
    """
    for last in workspace.ledger.last_runs(1, kind="run"):
        behind = last.at - workspace.clock.now()
        if timedelta() < behind < _CLOCKS_DIFFER:
            return workspace.at_clock(NeverBefore(clock=workspace.clock, earliest=last.at))
        if behind > timedelta():
            raise TimeWentBackError(
                f"it is {readable(workspace.clock.now(), workspace.zone)}, and the last run took "
                f"{readable(last.at, workspace.zone)} for the present; going back could contact "
                "customers again, so nothing was done: set the clock or --at right, or, if it was "
                "that run whose time was wrong, say so once with --clock-was-ahead"
            )
    return workspace


def _run(
    workspace: Workspace,
    *,
    advance: Callable[[str, int], None],
    sync_first: bool,
    full: bool,
    pace: Pace,
) -> RunResult:
    if sync_first:
        sync = sync_all(workspace, advance=advance)
    else:
        sync = skipped(workspace, "Taking what was last read.")
    passing("run.synced")
    run = _Run.started(workspace)
    passing("run.started")
    try:
        found = find_out(workspace, run.id, advance=advance, stop=pace.stop)
        passing("run.found_out")
        if write_opt_outs(workspace, run.id):
            written = hand_over(workspace, run.id, advance=advance, stop=pace.stop)
            found = _together(found, written)
        decided, delivered = _act(workspace, run.id, sync, full=full, advance=advance, pace=pace)
        report = found if delivered is None else _together(found, delivered)
        passing("run.delivered")
        run.finished(decided, report)
    except CrmsyncError as error:
        run.failed(error)
        raise
    return RunResult(
        plan=replace(decided.plan, reminders=workspace.reminders),
        delivery=DeliveryCount(
            done=report.done - report.already,
            logged=report.logged,
            opt_outs=report.opt_outs,
            already=report.already,
            waiting=report.waiting,
            rejected=report.rejected,
            uncertain=report.uncertain,
            problems=report.problems,
        ),
    )


def _act(
    workspace: Workspace,
    run_id: int,
    sync: SyncResult,
    *,
    full: bool,
    advance: Callable[[str, int], None],
    pace: Pace,
) -> tuple[Decided, DeliveryReport | None]:
    """Decide and deliver; where that takes long, decide anew about what is left.

    Returns:
        What was decided at first, and what became of all of it; None where the breaker stopped it.
    """
    premises = replace(workspace.premises, resting=pace.resting)
    first: Decided | None = None
    report: DeliveryReport | None = None
    while True:
        pace.go_on()
        stamp = workspace.warehouse.stamp()
        decided = _decide_and_remember(workspace, premises, sync, full=full, advance=advance)
        passing("run.decided")
        first = first or decided
        if decided.plan.stopped is not None:
            return replace(first, plan=replace(first.plan, stopped=decided.plan.stopped)), report
        commit_plan(
            workspace.ledger,
            run_id,
            decided.transitions,
            decided.effects,
            decided.decisions,
            withheld=decided.withheld,
            stops=decided.stops,
        )
        passing("plan.recorded")
        until = workspace.clock.now() + _GOOD_FOR
        validity = _Validity(
            workspace=workspace,
            until=until if decided.good_until is None else min(until, decided.good_until),
            stamp=stamp,
            pace=pace,
        )
        delivered = hand_over(workspace, run_id, advance=advance, stop=validity.is_over)
        report = delivered if report is None else _together(report, delivered)
        if pace.stop() or not validity.ended or not report.waiting:
            return first, report


@dataclass(kw_only=True)
class _Validity:
    """How long what the gates have let pass may go out without their being asked again.

    What people say meanwhile (mute, suppress, reject) takes it back by itself.

    Attributes:
        stamp: of the warehouse, taken before it was decided.
        ended: it was asked after its end.
    """

    workspace: Workspace
    until: datetime
    stamp: Stamp
    pace: Pace
    asked: int = 0
    ended: bool = False

    def is_over(self) -> bool:
        """Asked before each call. The first is made, so that there is an end to deciding anew."""
        is_first, self.asked = not self.asked, self.asked + 1
        changed = not is_first and self.workspace.warehouse.stamp() != self.stamp
        self.ended = changed or self.workspace.clock.now() >= self.until
        return self.ended or self.pace.stop()


def _decide(
    workspace: Workspace,
    sync: SyncResult,
    *,
    advance: Callable[[str, int], None],
    only: Sequence[str] | None = None,
) -> Decided:
    """Decide from what is remembered of the last run and what has changed since."""
    with workspace.warehouse.reading() as records:
        return decide_from_remembered(workspace, records, sync, only=only, advance=advance)


def decide_from_remembered(
    workspace: Workspace,
    records: Records,
    sync: SyncResult,
    *,
    advance: Callable[[str, int], None],
    only: Sequence[str] | None = None,
) -> Decided:
    """Decide as a run would, without what it records."""
    kept = remembered(_standing_file(workspace))
    return _from_kept(workspace.premises, records, sync, kept, only=only, advance=advance)


def _decide_and_remember(
    workspace: Workspace,
    premises: Premises,
    sync: SyncResult,
    *,
    full: bool,
    advance: Callable[[str, int], None],
) -> Decided:
    """The same, and it is remembered for the next time.

    Once a day, or where a person asks for it, everybody is evaluated, and the answer is held
    against what the shorter way answers.
    """
    path = _standing_file(workspace)
    kept = remembered(path)
    now = workspace.clock.now()
    full |= kept is None or not timedelta() <= now - kept.full_at < _AUDITED_EACH
    with workspace.warehouse.reading() as records:
        mark = records.mark()
        before = None if full else kept
        decided = _from_kept(premises, records, sync, before, advance=advance)
        if full and kept is not None:
            decided = _audited(premises, records, decided, kept)
    if mark is not None:
        full_at = now if full or kept is None else kept.full_at
        remember(path, Remembered(standing=decided.standing, mark=mark, full_at=full_at))
    return decided


def _from_kept(
    premises: Premises,
    records: Records,
    sync: SyncResult,
    kept: Remembered | None,
    *,
    advance: Callable[[str, int], None],
    only: Sequence[str] | None = None,
) -> Decided:
    if kept is None:
        return decide(premises, records, sync, only=only, advance=advance)
    return decide(
        premises,
        records,
        sync,
        only=only,
        before=kept.standing,
        changed=lambda world: kept.changed(records, world),
        advance=advance,
    )


def _audited(premises: Premises, records: Records, decided: Decided, kept: Remembered) -> Decided:
    """What was decided, with a finding where the shorter way would have answered otherwise."""
    world = world_of(premises, records)
    changed = kept.changed(records, world)
    if changed is None or kept.standing.at > world.now:
        return decided
    basis = basis_of(premises, premises.rules)
    shorter = evaluated(premises.rules, world, basis, kept.standing, changed).standing.verdicts
    wrong = [name for name, said in decided.standing.verdicts.items() if shorter[name] != said]
    logger().info("evaluation_audited", rules=len(shorter), differing=wrong)
    if not wrong:
        return decided
    sentence = (
        f"evaluating only what changed would have answered otherwise for {', '.join(wrong)}; "
        "this run has evaluated everybody, so its answer is right. Please report this mistake "
        "in crmsync, and give --full-evaluation until it is mended"
    )
    return replace(decided, plan=replace(decided.plan, audit=sentence))


def _standing_file(workspace: Workspace) -> Path:
    return workspace.state / "standing.parquet"


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


def _together(first: DeliveryReport, second: DeliveryReport) -> DeliveryReport:
    return replace(
        second,
        done=first.done + second.done,
        logged=first.logged + second.logged,
        opt_outs=first.opt_outs + second.opt_outs,
        already=first.already + second.already,
        rejected=first.rejected + second.rejected,
        problems=tuple(dict.fromkeys((*first.problems, *second.problems))),
    )
