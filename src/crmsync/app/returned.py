"""Who gets no mail because of what came back, for a person who asks how things stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.correspondence import by_address, instants
from crmsync.app.results.stopping import StopShown
from crmsync.ledger.stops import MAIL_SYSTEM, StopKind
from crmsync.model.notices import NoticeKind
from crmsync.model.records import Given
from crmsync.policy.correspondence import Correspondence
from crmsync.rules.evaluation.asked import PRESENT
from crmsync.warehouse.addresses import mails_from, notices_in
from crmsync.warehouse.types import INSTANT
from crmsync.warehouse.variables import variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ibis.expr.types as ir

    from crmsync.app.workspace import Workspace
    from crmsync.model.records import LiveRecords

_KINDS = {NoticeKind.COMPLAINT: "complained"}


def stops_by_mail(workspace: Workspace) -> Iterator[StopShown]:
    """The addresses of contacts that bounces and complaints keep mail from, as the gates see it.

    Not those that a mail server has refused while we sent: they are among the words of people.
    """
    now, zone = workspace.clock.now(), workspace.zone
    stops = workspace.ledger.stops(now=now)
    refused = {stop.target for stop in stops if stop.kind is StopKind.NOBODY_THERE}
    trusted = {stop.target: stop.said_at for stop in stops if stop.kind is StopKind.TRUSTED}
    with workspace.warehouse.reading() as records:
        told = records.query(records.compiled("returned", lambda: _told(records)))
        heard = records.query(
            records.compiled("heard since", lambda: _heard(records)), Given(values={PRESENT: now})
        )
    heard_at = dict(zip(heard["address"].to_pylist(), instants(heard["heard"]), strict=True))
    for address, notices in by_address(told).items():
        found = Correspondence(
            notices=[one for one in notices if one.at <= now],
            heard_at=heard_at.get(address),
            trusted_at=trusted.get(address),
        )
        notice = found.complaint or found.bounce
        if notice is not None and address not in refused:
            yield StopShown(
                kind=_KINDS.get(notice.kind, "bounced"),
                target=address,
                name=address,
                reason=notice.reason,
                said_by=MAIL_SYSTEM,
                said_at=notice.at.astimezone(zone),
            )


def _told(records: LiveRecords) -> ir.Table:
    contacts = records.table("contact")
    addresses = contacts.select(address=contacts.email.strip().lower())
    told = notices_in(records.table("activity")).semi_join(addresses, "address")
    return told.filter(told.notice != NoticeKind.OUT_OF_OFFICE.value)


def _heard(records: LiveRecords) -> ir.Table:
    activity = records.table("activity")
    present = variable(PRESENT, INSTANT).cast(activity["at"].type())
    mails = mails_from(activity.filter(activity["at"] <= present))
    mails = mails.semi_join(_told(records), "address")
    return mails.group_by("address").aggregate(heard=mails["at"].max())
