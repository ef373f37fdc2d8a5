"""Whether a contact's address takes mail: from what mail systems have told of it.

The same is asked before each mail to a customer (`crmsync.policy.correspondence`), there by the
address alone; here of a contact, so that a rule can tell somebody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.facts.build import declared, named
from crmsync.model.notices import NO_SUCH_ADDRESS, NoticeKind
from crmsync.model.tables import FieldType
from crmsync.warehouse.addresses import mails_from, notices_in
from crmsync.warehouse.associations import reached_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from crmsync.plugins.contract import Fact, FactTables

_SUBJECT = "contact"
_RESTS_ON = ("activity",)
_DAYS = 2  # as `Correspondence.bounce` says


def _spelt(tables: FactTables) -> ir.Table:
    """``record`` and ``email`` of contacts that have one, in one spelling."""
    contacts = tables.table(_SUBJECT)
    spelt = contacts.select(record="id", email=contacts.email.strip().lower())
    return spelt.filter(spelt.email != "")


def _bounces(tables: FactTables) -> ir.Table:
    """Bounces about a contact's present address: ``id``, ``record``, ``at``, ``reason``, ``hard``.

    Of soft ones, those alone that say that there is no such address.
    """
    activity = tables.table("activity")
    told = notices_in(activity)
    hard = told.notice == NoticeKind.HARD_BOUNCE.value
    soft = told.notice == NoticeKind.SOFT_BOUNCE.value
    soft &= told.reason.strip().lower() == NO_SUCH_ADDRESS
    told = told.mutate(hard=hard).filter(hard | soft).drop("notice", "until")
    reached = reached_by(_SUBJECT, activity.filter(activity.notice.notnull()), tables.table, ["at"])
    about = told.join(reached.select("id", "record").distinct(), "id")
    found = about.join(_spelt(tables), "record")
    return found.filter(found.address == found.email).distinct()


def _past(tables: FactTables) -> ir.Table:
    bounces = _bounces(tables)
    return bounces.filter(bounces["at"] <= tables.now)


def _heard(tables: FactTables, records: ir.Table) -> ir.Table:
    """Of these contacts, when mail last came from their address: ``contact``, ``heard``."""
    activity = tables.table("activity")
    mails = mails_from(activity.filter(activity["at"] <= tables.now))
    asked = _spelt(tables).semi_join(records, "record")
    came = mails.join(asked, [("address", "email")])
    return came.group_by(contact=came.record).aggregate(heard=came["at"].max())


def _that_count(tables: FactTables) -> ir.Table:
    """The bounces after which no mail has come from the address, where they say that it is dead."""
    bounces = _past(tables)
    heard = _heard(tables, bounces)
    later = bounces.left_join(heard, [("record", "contact")])
    later = later.filter(later.heard.isnull() | (later["at"] > later.heard))
    day = later["at"].cast("timestamp").truncate("D")
    days = later.mutate(day=day).group_by(contact="record")
    spread = days.aggregate(days=lambda t: t.day.nunique(where=~t.hard))
    known = later.join(spread, [("record", "contact")])
    return known.filter(known.hard | (known.days >= _DAYS)).select("id", "record", "at", "reason")


def _bounced_at(tables: FactTables) -> ir.Table:
    found = _that_count(tables)
    return found.group_by(id=found.record).aggregate(value=found["at"].max())


def _bounce_reason(tables: FactTables) -> ir.Table:
    found = _that_count(tables)
    order = ibis.window(
        group_by=found.record, order_by=[ibis.desc(found["at"]), ibis.desc(found.id)]
    )
    found = found.mutate(place=ibis.row_number().over(order))
    last = found.filter(found.place == 0, found.reason.notnull())
    return last.select(id="record", value="reason")


def _turns(tables: FactTables) -> Sequence[ir.Table]:
    """It may change when a bounce, or a mail of theirs, has come."""
    activity = tables.table("activity")
    came = activity.notice.notnull() | (
        (activity.kind == "email") & (activity.direction == "inbound")
    )
    found = reached_by(
        _SUBJECT, activity.filter(came, activity["at"].notnull()), tables.table, ["at"]
    )
    return [found.select(id="record", at="at")]


def _values(tables: FactTables) -> ir.Table:
    return _bounces(tables).select(id="record", value="at")


def _evidence(tables: FactTables) -> ir.Table:
    found = _that_count(tables)
    return named("activity", found, "record", "at")


def mail_facts() -> tuple[Fact, ...]:
    """``bounced_at`` and ``bounce_reason`` of contacts."""
    return (
        declared(
            _SUBJECT,
            "bounced_at",
            FieldType.INSTANT,
            "When mail to the present address last came back for good; empty while it takes mail.",
            _bounced_at,
            rests_on=_RESTS_ON,
            is_state=True,
            turns=_turns,
            values=_values,
            evidence=_evidence,
        ),
        declared(
            _SUBJECT,
            "bounce_reason",
            FieldType.TEXT,
            "Why it came back, in the words of whoever read the mailbox.",
            _bounce_reason,
            rests_on=_RESTS_ON,
            turns=_turns,
            evidence=_evidence,
        ),
    )
