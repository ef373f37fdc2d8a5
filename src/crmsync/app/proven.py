"""Mails that may have gone out, and of which something was read since: so they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.clock import SystemClock
from crmsync.delivery.worker import may_take_over
from crmsync.errors import StoreBusyError
from crmsync.ledger.decided import decide_effects
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind, SendEmail
from crmsync.model.own_mail import OF_THE_LEDGER

if TYPE_CHECKING:
    from collections.abc import Collection

    import ibis.expr.types as ir

    from crmsync.app.workspace import Workspace
    from crmsync.ledger.values.effects import Effect
    from crmsync.model.records import RecordSource

_BY, _WHY = "crmsync", "a copy of it was read, or an answer to it"


def settle_proven(workspace: Workspace) -> int:
    """Settle as done what the warehouse proves; answers with how many.

    A copy that was read proves that a mail was sent, whatever has become of the copy since; so does
    an answer, or a notice that it came back.

    Raises:
        StoreError: the ledger or the warehouse cannot be read or written.
    """
    effects = workspace.ledger.effects(states=[State.UNCERTAIN], kinds=[ActionKind.EMAIL])
    ids = {
        effect.action.message_id.lower(): effect
        for effect in effects
        if isinstance(effect.action, SendEmail)
    }
    if not ids:
        return 0
    with workspace.warehouse.reading() as records:
        seen = records.query(_seen(records, ids.keys()))
    proven = sorted(set(seen["message_id"].to_pylist()))
    return sum(_settled(workspace, ids[message_id]) for message_id in proven)


def _settled(workspace: Workspace, effect: Effect) -> bool:
    at, wall_clock = workspace.clock.now(), SystemClock().now()
    try:
        workspace.ledger.write(
            lambda connection: decide_effects(
                connection,
                [effect],
                State.DONE,
                by=_BY,
                at=at,
                reason=_WHY,
                is_free=lambda holder, until: may_take_over(holder, until, wall_clock),
                loggers=workspace.loggers,
            )
        )
    except StoreBusyError:  # a process is busy with it, and finds out itself
        return False
    return True


def _seen(records: RecordSource, message_ids: Collection[str]) -> ir.Table:
    """Column ``message_id``: those that a mail has which was read, or names."""
    activity = records.table("activity")
    # What the ledger has told itself proves nothing.
    read = activity.filter(activity.connection != OF_THE_LEDGER)
    copies = read.filter(read.direction == "outbound").select(message_id=read.message_id.lower())
    named = read.filter(read.answers.notnull())
    named = named.select(message_id=named.answers.lower().split(" ").unnest())
    both = copies.union(named)
    return both.filter(both.message_id.isin(list(message_ids))).distinct()
