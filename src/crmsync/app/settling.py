"""What a person decides about actions that were rejected, may have landed, or still wait."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.app.outbox import find_effects, shown
from crmsync.app.proven import settle_proven
from crmsync.app.results.outbox import SettledResult
from crmsync.clock import SystemClock
from crmsync.delivery.worker import may_take_over
from crmsync.errors import UsageError
from crmsync.ledger.decided import decide_effects
from crmsync.ledger.opt_outs import OPT_OUT
from crmsync.ledger.states import WAITING, State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.actions import ActionKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.app.workspace import Workspace
    from crmsync.ledger.values.effects import Effect


def retry(
    workspace: Workspace,
    keys: Sequence[str],
    *,
    by: str,
    reason: str,
    rule: str | None = None,
    every: bool = False,
    did_not_land: bool = False,
) -> SettledResult:
    """Let the next run compose actions anew, ask the gates about them, and deliver them.

    Args:
        did_not_land: the person has looked, and the remote does not have them.

    Raises:
        UsageError: nothing is named, or something that cannot be tried again.
        StoreBusyError: another process has moved one of them meanwhile.
    """
    if did_not_land:
        settle_proven(workspace)  # what was read since knows better
    effects = _chosen(workspace, keys, rule=rule, every=every)
    may = (State.REJECTED, State.UNCERTAIN) if did_not_land else (State.REJECTED,)
    for effect in effects:
        if effect.state is State.UNCERTAIN and not did_not_land:
            raise UsageError(
                f"{effect.key} may have landed: look for it at “{effect.connection}”; if it is "
                f"there, “crmsync landed {effect.key}”; if not, “crmsync retry {effect.key} "
                "--did-not-land”"
            )
    _check(effects, may, "tried again")
    active = {one.ref for one in workspace.ledger.enrolments(statuses=[EnrolmentStatus.ACTIVE])}

    def goes_on(effect: Effect) -> bool:
        # A mail that was sent is logged, whatever has become of its customer.
        return effect.enrolment in active or effect.step == OPT_OUT or _is_log(effect)

    inside = [effect for effect in effects if goes_on(effect)]
    left = [_why_left(workspace, effect) for effect in effects if not goes_on(effect)]
    said = "a person had it tried again"
    result = _decide(workspace, inside, State.PLANNED, by=by, reason=reason, said=said)
    return replace(result, left=tuple(left))


def drop(
    workspace: Workspace,
    keys: Sequence[str],
    *,
    by: str,
    reason: str,
    rule: str | None = None,
    every: bool = False,
) -> SettledResult:
    """Never do actions.

    Raises:
        UsageError: nothing is named, or something that is done or dropped already.
        StoreBusyError: another process has moved one of them meanwhile.
    """
    effects = _chosen(workspace, keys, rule=rule, every=every)
    _check(effects, (State.REJECTED, State.UNCERTAIN, *WAITING), "dropped")
    said = "a person dropped it"
    return _decide(workspace, effects, State.DROPPED, by=by, reason=reason, said=said)


def landed(workspace: Workspace, keys: Sequence[str], *, by: str, reason: str) -> SettledResult:
    """Take actions for done: the person has seen them at the remote.

    Raises:
        UsageError: nothing is named, or something that is not uncertain.
        StoreBusyError: another process has moved one of them meanwhile.
    """
    effects = _chosen(workspace, keys)
    _check(effects, (State.UNCERTAIN,), "said to have landed")
    said = "a person found it at the remote"
    return _decide(workspace, effects, State.DONE, by=by, reason=reason, said=said)


def _is_log(effect: Effect) -> bool:
    return effect.action.kind is ActionKind.LOG


def _why_left(workspace: Workspace, effect: Effect) -> str:
    if effect.action.kind is ActionKind.WITHDRAWAL:
        run = undone_run(workspace, effect)
        return f"{effect.key} takes a task back: “crmsync undo {run}” tries that again"
    rule = effect.enrolment.rule
    return (
        f"{effect.key} is not tried again: its customer has left the rule “{rule}” since; "
        f"“crmsync drop {effect.key}” settles it"
    )


def undone_run(workspace: Workspace, withdrawal: Effect) -> int:
    """The run that wrote the task which is taken back."""
    undo = workspace.ledger.run(withdrawal.run_id)
    assert undo is not None  # noqa: S101  the ledger holds the two together
    assert undo.undoes is not None  # noqa: S101  nothing else takes tasks back
    return undo.undoes


def _chosen(
    workspace: Workspace, keys: Sequence[str], *, rule: str | None = None, every: bool = False
) -> tuple[Effect, ...]:
    if sum((bool(keys), rule is not None, every)) != 1:
        raise UsageError("name either keys, or --rule, or --all; “crmsync status” lists keys")
    if keys:
        return find_effects(workspace, keys)
    dead = workspace.ledger.effects(states=[State.REJECTED])
    found = tuple(effect for effect in dead if every or effect.enrolment.rule == rule)
    if not found:
        raise UsageError("nothing was rejected" if every else f"nothing of “{rule}” was rejected")
    return found


def _check(effects: Sequence[Effect], may: Sequence[State], what: str) -> None:
    for effect in effects:
        if effect.state not in may:
            allowed = " or ".join(state for state in State if state in may)
            raise UsageError(
                f"{effect.key} is {effect.state}; only what is {allowed} can be {what}; "
                "nothing was changed"
            )


def _decide(
    workspace: Workspace,
    effects: Sequence[Effect],
    after: State,
    *,
    by: str,
    reason: str,
    said: str,
) -> SettledResult:
    at, wall_clock = workspace.clock.now(), SystemClock().now()
    kept = f"{said}: {reason}" if reason else said
    workspace.ledger.write(
        lambda connection: decide_effects(
            connection,
            effects,
            after,
            by=by,
            at=at,
            reason=kept,
            is_free=lambda holder, until: may_take_over(holder, until, wall_clock),
            loggers=workspace.loggers,
        )
    )
    return SettledResult(now=after, by=by, reason=reason, effects=shown(workspace, effects))
