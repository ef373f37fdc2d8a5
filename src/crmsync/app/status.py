"""How an installation stands: data, quarantine, outbox."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.app.outbox import shown
from crmsync.app.results.status import (
    DaemonStatus,
    DueStatus,
    StatusResult,
    StreamStatus,
    WaitingStatus,
)
from crmsync.app.returned import stops_by_mail
from crmsync.app.runs import told
from crmsync.app.settling import undone_run
from crmsync.app.spending import calls_spent
from crmsync.app.stopping import stops_in_force
from crmsync.app.syncing import quarantined
from crmsync.clock import SystemClock, readable
from crmsync.ledger.coming import (
    REFUSED_NOTE,
    WAKE_NOTE,
    counts_by_kind,
    due_between,
    held_because,
    read_notes,
    steps_due_between,
    waiting_because,
)
from crmsync.ledger.states import State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.ledger.values.runs import Answer
from crmsync.model.actions import ActionKind, KeyHandling

if TYPE_CHECKING:
    from crmsync.app.results.outbox import EffectShown
    from crmsync.app.workspace import Workspace
    from crmsync.ledger.values.effects import Effect
    from crmsync.model.records import StreamState

_NEED_A_PERSON = (State.REJECTED, State.UNCERTAIN)
_MOST_NAMED = 20
_AHEAD = timedelta(days=1)


def read_status(workspace: Workspace, *, full: bool = False) -> StatusResult:
    """The state of the workspace at its now.

    Args:
        full: name all actions that need a person, not the first alone.
    """
    with workspace.warehouse.reading() as records:
        counts = records.counts()
        number, sentences = quarantined(workspace, records)
        doubts = records.twin_state().doubts
        streams = tuple(
            StreamStatus(
                connection=state.connection,
                stream=state.stream,
                table=state.table,
                records=counts.get((state.connection, state.stream), 0),
                read_at=state.read_at and state.read_at.astimezone(workspace.zone),
                written_at=state.written_at and state.written_at.astimezone(workspace.zone),
                stale=_is_stale(workspace, state),
                error=state.error,
                rows=state.rows,
                missing=state.missing,
            )
            for state in (s.seen_from(workspace.clock.now()) for s in records.stream_states())
        )
    ledger = workspace.ledger
    kinds = _kinds(workspace)
    effects = ledger.effects(states=_NEED_A_PERSON, limit=None if full else _MOST_NAMED)
    unsettled = shown(workspace, effects)
    attention = [
        _sentence(one, _undo(workspace, effect), _looked_for(workspace, effect))
        for one, effect in zip(unsettled, effects, strict=True)
    ]
    more = sum(sum(kinds.get(state, {}).values()) for state in _NEED_A_PERSON) - len(unsettled)
    if more:
        attention.append(
            f"… and {more:,} more that were rejected or are uncertain; --full names all"
        )
    attention += doubts[:_MOST_NAMED]
    if len(doubts) > _MOST_NAMED:
        attention.append(f"… and {len(doubts) - _MOST_NAMED} more that may be the same customer")
    attention += [
        f"{name} is left alone until {readable(until, workspace.zone)}: {reason}"
        for name, (until, reason) in ledger.pauses(at=workspace.clock.now()).items()
    ]
    return StatusResult(
        at=workspace.now,
        streams=streams,
        quarantined=number,
        quarantine=sentences,
        effects={state: sum(by_kind.values()) for state, by_kind in kinds.items()},
        kinds=kinds,
        attention=tuple(attention),
        unsettled=unsettled,
        stops=(*stops_in_force(workspace), *stops_by_mail(workspace)),
        last_run=_last_run(workspace),
        daemon=_daemon(workspace),
        due=_due(workspace),
        waiting=_waiting(workspace),
        calls=calls_spent(workspace),
        reminders=workspace.reminders,
        previewed=len(ledger.enrolments(statuses=[EnrolmentStatus.PREVIEWED])),
    )


def _daemon(workspace: Workspace) -> DaemonStatus:
    process = workspace.ledger.daemon(now=workspace.now)
    if process is None:
        return DaemonStatus(process=None)
    with workspace.ledger.reading() as connection:
        notes = read_notes(connection)
    wake, refused = notes.get(WAKE_NOTE), notes.get(REFUSED_NOTE)
    return DaemonStatus(
        process=process,
        wakes=None if wake is None else wake.at.astimezone(workspace.zone),
        for_what="" if wake is None else wake.text,
        refused=() if refused is None else tuple(refused.text.splitlines()),
    )


def _due(workspace: Workspace) -> tuple[DueStatus, ...]:
    now = workspace.clock.now()
    with workspace.ledger.reading() as connection:
        effects = due_between(connection, after=now, until=now + _AHEAD)
        steps = steps_due_between(connection, after=now, until=now + _AHEAD)
    return tuple(
        DueStatus(
            hour=hour.astimezone(workspace.zone),
            effects=effects.get(hour, 0),
            steps=steps.get(hour, 0),
        )
        for hour in sorted(effects.keys() | steps.keys())
    )


def _waiting(workspace: Workspace) -> tuple[WaitingStatus, ...]:
    with workspace.ledger.reading() as connection:
        found = (*waiting_because(connection), *held_because(connection))
    return tuple(
        WaitingStatus(state="held" if state == Answer.HOLD else state, reason=reason, actions=count)
        for state, reason, count in found
    )


def _undo(workspace: Workspace, effect: Effect) -> str:
    """The command by which a person goes on where a task could not be taken back."""
    if effect.action.kind is not ActionKind.WITHDRAWAL:
        return ""
    return f"crmsync undo {undone_run(workspace, effect)}"


def _looked_for(workspace: Workspace, effect: Effect) -> str:
    """When a run finds out by itself what has landed; empty where it cannot, or need not."""
    known = effect.connection in workspace.installation.settings.connections
    if effect.state is not State.UNCERTAIN or not known:
        return ""
    spec = workspace.spec(effect.connection)
    if spec.actions.get(effect.action.kind) not in {KeyHandling.NATIVE, KeyHandling.LOOKUP}:
        return ""
    at = (effect.lease_until or effect.updated_at) + spec.lands_within
    if at <= SystemClock().now():
        return "the next run looks for it there"
    return f"a run looks for it there from {readable(at, workspace.zone)} on; leave it until then"


def _sentence(effect: EffectShown, undo: str, looked_for: str) -> str:
    """What needs a person, the remote's words about it, and what to do."""
    what = (
        f"{effect.state}: {effect.kind} of the rule {effect.rule} for {effect.subject_name} "
        f"({effect.subject}): {effect.error or 'no reason is known'}"
    )
    if undo:
        todo = f"{undo} (or drop {effect.key})"
    elif looked_for:
        todo = looked_for
    elif effect.state == State.REJECTED:
        todo = f"crmsync retry {effect.key} (or drop)"
    else:
        todo = f"crmsync landed {effect.key} (or retry --did-not-land, or drop)"
    return f"{what} → {todo}"


def _is_stale(workspace: Workspace, state: StreamState) -> bool:
    bound: timedelta = workspace.installation.settings.freshness.bound(state.table).length
    return state.known_at is not None and workspace.clock.now() - state.known_at > bound


def _kinds(workspace: Workspace) -> dict[str, dict[str, int]]:
    """How many effects of each kind there are, by state."""
    found: dict[str, dict[str, int]] = {}
    with workspace.ledger.reading() as connection:
        for (state, kind), number in sorted(counts_by_kind(connection).items()):
            found.setdefault(str(state), {})[str(kind)] = number
    return found


def _last_run(workspace: Workspace) -> str | None:
    for run in workspace.ledger.last_runs(1):
        return f"number {run.id}, {readable(run.at, workspace.zone)}, {told(run)}"
    return None
