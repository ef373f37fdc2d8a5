"""The mail by which a conversation with somebody is taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.facts.contact import conversations
from crmsync.warehouse.associations import reached_by

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.plugins.contract import FactTables

_COLUMNS = ("at", "message_id", "answers", "subject")


def last_mails(tables: FactTables) -> ir.Table:
    """The latest mail between people for each contact, in either direction.

    Columns ``id`` (of the contact), ``message_id``, ``answers`` and ``subject``, as the activity
    has them; without contacts with whom there was no mail, or none whose Message-ID is known.
    """
    mails = conversations(tables)
    mails = mails.filter(mails.kind == "email", mails.message_id.notnull())
    found = reached_by("contact", mails, tables.table, _COLUMNS)
    order = ibis.window(
        group_by=found.record, order_by=[ibis.desc(found["at"]), ibis.desc(found.id)]
    )
    found = found.mutate(place=ibis.row_number().over(order))
    found = found.filter(found.place == 0)
    return found.select("message_id", "answers", "subject", id="record")
