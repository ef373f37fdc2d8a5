"""A person's word that somebody is to be left alone: said, and taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.app.correspondence import correspondence_of
from crmsync.app.finding import find_record
from crmsync.app.results.stopping import StopResult, StopShown
from crmsync.clock import readable
from crmsync.delivery.handing import concerns, why_stopped
from crmsync.errors import StoreBusyError, StoreError, UsageError
from crmsync.journeys.people import record_name
from crmsync.ledger.effects import read_effects
from crmsync.ledger.outbox import withhold
from crmsync.ledger.states import State
from crmsync.ledger.stops import (
    MAIL_SYSTEM,
    StopKind,
    is_stopped,
    lift_stop,
    say_stop,
    was_lifted_since,
)
from crmsync.ledger.values.effects import Withheld
from crmsync.model.addresses import bare_address
from crmsync.model.notices import NoticeKind
from crmsync.policy.addresses import address_problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    import sqlalchemy as sa

    from crmsync.app.workspace import Workspace
    from crmsync.ledger.stops import Stop

# Who has said so, where it was the owner of the address.
UNSUBSCRIBE_LINK = "unsubscribe link"
UNSUBSCRIBE_MAIL = "unsubscribe mail"


def suppress(workspace: Workspace, address: str, *, by: str, reason: str) -> StopResult:
    """Send no mail to an address any more, of whatever class.

    Raises:
        UsageError: it is not one address.
    """
    target = _address(address)
    result = _say(workspace, StopKind.ADDRESS, target, target, by=by, reason=reason, until=None)
    if _is_known(workspace, target):
        return result
    return replace(result, doubt=f"nobody who was read has the address {target}; is it right?")


def mute(
    workspace: Workspace, account: str, *, by: str, reason: str, until: datetime | None
) -> StopResult:
    """Do nothing for an account, until an instant or until that is lifted.

    Raises:
        UsageError: there is no such account, or several; or the instant is not to come.
    """
    now = workspace.clock.now()
    if until is not None and until <= now:
        told = f"--until is {readable(until, workspace.zone)}"
        raise UsageError(f"{told}, and it is {readable(now, workspace.zone)} already")
    target, name = _account(workspace, account)
    return _say(workspace, StopKind.ACCOUNT, target, name, by=by, reason=reason, until=until)


def lift_suppression(workspace: Workspace, address: str, *, by: str) -> StopResult:
    """Let mails go to an address again, also where one came back or was called spam by now.

    Raises:
        UsageError: it is not one address, or nothing is held against it.
    """
    target = _address(address)
    lifted = (
        *_trust(workspace, target, by=by),
        *_lift(workspace, StopKind.ADDRESS, [target], by=by),
        *_lift(workspace, StopKind.UNSUBSCRIBED, [target], by=by),
        *_lift(workspace, StopKind.NOBODY_THERE, [target], by=by),
    )
    if not lifted:
        raise UsageError(f"{target} is not suppressed; “crmsync status” lists what is")
    return StopResult(lifted=tuple(_shown(workspace, one, target) for one in lifted))


def _trust(workspace: Workspace, address: str, *, by: str) -> tuple[Stop, ...]:
    """Take back what mail has told of an address; answers with what that was."""
    now = workspace.clock.now()
    words = [
        stop.said_at
        for stop in workspace.ledger.stops(now=now)
        if (stop.kind, stop.target) == (StopKind.TRUSTED, address)
    ]
    with workspace.warehouse.reading() as records:
        told = correspondence_of(records, address, now=now, trusted_at=max(words, default=None))
    found = [one for one in (told.complaint, told.bounce) if one is not None]
    if not found:
        return ()
    reasons = [_TOLD[one.kind] + (f": {one.reason}" if one.reason else "") for one in found]

    def record(connection: sa.Connection) -> Stop:
        why = "; ".join(reasons)
        return say_stop(connection, StopKind.TRUSTED, address, by=by, at=now, reason=why)

    said = workspace.ledger.write(record)
    return tuple(
        replace(said, reason=reason, said_by=MAIL_SYSTEM, said_at=one.at,
                lifted_by=said.said_by, lifted_at=now)
        for one, reason in zip(found, reasons, strict=True)
    )  # fmt: skip


_TOLD = {
    NoticeKind.COMPLAINT: "a mail of ours was called spam",
    NoticeKind.HARD_BOUNCE: "a mail came back",
    NoticeKind.SOFT_BOUNCE: "mails came back",
}


def unmute(workspace: Workspace, account: str, *, by: str) -> StopResult:
    """Go on with an account.

    Raises:
        UsageError: there is no such account, or several; or it is not muted.
    """
    target, name = _account(workspace, account)
    with workspace.warehouse.reading() as records:
        merged = records.aliases().get("account", {})
    targets = [target, *(old for old, now in merged.items() if now == target)]
    lifted = _lift(workspace, StopKind.ACCOUNT, targets, by=by)
    if not lifted:
        raise UsageError(f"{name} ({target}) is not muted; “crmsync status” lists who is")
    return StopResult(lifted=tuple(_shown(workspace, one, name) for one in lifted))


def stops_in_force(workspace: Workspace) -> tuple[StopShown, ...]:
    """Whom people have said to leave alone."""
    stops = workspace.ledger.stops(now=workspace.clock.now())
    accounts = [stop.target for stop in stops if stop.kind is StopKind.ACCOUNT]
    names: dict[str, str] = {}
    if accounts:
        with workspace.warehouse.reading() as records:
            rows = records.rows("account", accounts)
        names = {account: record_name(row) for account, row in rows.items()}
    return tuple(
        _shown(workspace, stop, names.get(stop.target, stop.target))
        for stop in stops
        if stop.kind is not StopKind.TRUSTED  # by which nobody is left alone
    )


def _address(text: str) -> str:
    problem = address_problem(text)
    if problem is not None:
        raise UsageError(problem)
    return bare_address(text)


def _is_known(workspace: Workspace, address: str) -> bool:
    """Whether a contact or a colleague has it; what cannot be looked up now is not doubted."""
    try:
        with workspace.warehouse.reading(wait=timedelta()) as records:
            for table in ("contact", "user"):
                emails = records.table(table).select("email").distinct()
                sought = emails.filter(emails.email.lower().contains(address))
                found = records.query(sought).column("email").to_pylist()
                if any(bare_address(email) == address for email in found):
                    return True
    except (StoreBusyError, StoreError):
        return True
    return False


def _account(workspace: Workspace, wanted: str) -> tuple[str, str]:
    with workspace.warehouse.reading() as records:
        _, account, name = find_record(records, ("account",), wanted)
    return account, name


def _say(
    workspace: Workspace,
    kind: StopKind,
    target: str,
    name: str,
    *,
    by: str,
    reason: str,
    until: datetime | None,
) -> StopResult:
    now = workspace.clock.now()

    def record(connection: sa.Connection) -> tuple[tuple[Stop, ...], Stop, list[Withheld]]:
        lifted = lift_stop(connection, kind, target, by=by, at=now)
        said = say_stop(connection, kind, target, by=by, at=now, reason=reason, until=until)
        return lifted, said, _take_back(connection, said, workspace.zone)

    lifted, said, held = workspace.ledger.write(record)
    return StopResult(
        said=_shown(workspace, said, name),
        lifted=tuple(_shown(workspace, one, name) for one in lifted),
        taken_back=len(held),
    )


def unsubscribe(
    workspace: Workspace,
    address: str,
    *,
    by: str = UNSUBSCRIBE_LINK,
    asked_at: datetime | None = None,
) -> bool:
    """Send no commercial mail to an address any more: its owner has said so.

    What is recorded already is so once; answers whether this was news.

    Args:
        asked_at: when it was said, where that is not now: what was taken back since stays so.

    Raises:
        StoreError: the ledger cannot be written.
    """
    target, now = bare_address(address), workspace.clock.now()

    def is_known(connection: sa.Connection) -> bool:
        kind = StopKind.UNSUBSCRIBED
        return is_stopped(connection, kind, target, now=now) or (
            asked_at is not None and was_lifted_since(connection, kind, target, since=asked_at)
        )

    def record(connection: sa.Connection) -> bool:
        # Another request may have recorded it since the look.
        if is_known(connection):
            return False
        said = say_stop(connection, StopKind.UNSUBSCRIBED, target, by=by, at=now)
        _take_back(connection, said, workspace.zone)
        return True

    with workspace.ledger.reading() as connection:
        if is_known(connection):
            return False
    return workspace.ledger.write(record)


def _take_back(connection: sa.Connection, said: Stop, zone: tzinfo) -> list[Withheld]:
    """A run that is delivering now takes nothing up any more that is no longer ready."""
    sentence = why_stopped(said, zone)
    ready = read_effects(connection, states=[State.READY])
    held = [Withheld(key=one.key, reason=sentence) for one in ready if concerns(said, one)]
    withhold(connection, held, at=said.said_at, actor=said.said_by)
    return held


def _lift(
    workspace: Workspace, kind: StopKind, targets: Sequence[str], *, by: str
) -> tuple[Stop, ...]:
    now = workspace.clock.now()

    def lift(connection: sa.Connection) -> tuple[Stop, ...]:
        found = (lift_stop(connection, kind, target, by=by, at=now) for target in targets)
        return tuple(stop for stops in found for stop in stops)

    return workspace.ledger.write(lift)


def _shown(workspace: Workspace, stop: Stop, name: str) -> StopShown:
    zone = workspace.zone
    return StopShown(
        kind=stop.kind,
        target=stop.target,
        name=name,
        reason=stop.reason,
        said_by=stop.said_by,
        said_at=stop.said_at.astimezone(zone),
        until=stop.until and stop.until.astimezone(zone),
        lifted_by=stop.lifted_by,
        lifted_at=stop.lifted_at and stop.lifted_at.astimezone(zone),
    )
