"""Whose mail it is: activities that came with addresses find their contacts and accounts.

A mailbox knows addresses, no records. After a sync each such activity is linked with the records
of the mail that it answers, with every contact that has one of its addresses, and, where there is
none, with the one account that has the address's domain. Never a guess: domains that several
accounts share, or everybody has, link nothing.

The links are records of ``activity_link`` like those that a CRM gives, of a connection of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from crmsync.model.pages import DELETED
from crmsync.sync.own_records import own_rows
from crmsync.sync.public_domains import PUBLIC_DOMAINS
from crmsync.warehouse.batch import Batch

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.clock import Clock
    from crmsync.model.records import RecordSource
    from crmsync.warehouse.store import Warehouse

MATCHES = "~matches"  # no name that a connection can have
_LINK = "activity_link"
_FOUND = ("contact", "account", "deal")


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What matching did.

    Attributes:
        linked: new links.
        unlinked: links that no longer hold.
        shared: domains that several accounts have, so that mail of theirs is nobody's.
    """

    linked: int = 0
    unlinked: int = 0
    shared: tuple[str, ...] = ()


def match_activities(warehouse: Warehouse, clock: Clock) -> Matched:
    """Bring the links up to date with what the warehouse knows now.

    Raises:
        StoreBusyError: another process held the warehouse for too long.
        StoreError: the warehouse cannot be read or written.
    """
    with warehouse.reading() as records:
        wanted = records.query(records.compiled("matches", lambda: wanted_links(records)))
        stored = records.query(records.compiled("matched", lambda: _stored(records)))
        shared = records.query(records.compiled("shared domains", lambda: _shared(records)))
    wanted = wanted.append_column("id", _ids(wanted))
    fresh = wanted.filter(pc.invert(_is_in(wanted["id"], stored["id"])))
    gone = stored.filter(pc.invert(_is_in(stored["id"], wanted["id"])))
    links = pa.concat_tables([_marked(fresh, deleted=False), _marked(gone, deleted=True)])
    if links.num_rows:
        given = dict(zip(links.column_names, links.columns, strict=True))
        rows = own_rows(warehouse.tables[_LINK], MATCHES, given)
        batch = Batch(connection=MATCHES, stream=_LINK, table=_LINK, rows=rows, cursor="")
        with warehouse.writing() as writer:
            writer.merge(batch, now=clock.now())
    return Matched(
        linked=fresh.num_rows,
        unlinked=gone.num_rows,
        shared=tuple(sorted(shared["domain"].to_pylist())),
    )


def wanted_links(records: RecordSource) -> ir.Table:
    """Columns ``activity``, ``contact``, ``account`` and ``deal``, one of the last three filled."""
    activities = records.table("activity")
    addressed = _addressed(activities)
    by_person = addressed.join(_people(records.table("contact")), "address")
    by_person = by_person.select("activity", found="contact", table=_word("contact")).distinct()
    known = by_person.select("activity").union(_attached(activities)).distinct()
    domains = _domains(records.table("account"))
    sole = domains.group_by("domain").agg(found=lambda t: t.account.min(), of=lambda t: t.count())
    by_domain = addressed.anti_join(known, "activity").join(sole.filter(sole.of == 1), "domain")
    by_domain = by_domain.select("activity", "found", table=_word("account")).distinct()
    answered = _answered(activities, by_person.union(by_domain))
    every = by_person.union(answered).union(by_domain.anti_join(answered, "activity")).distinct()
    return every.select(
        "activity",
        **{name: (every["table"] == name).ifelse(every.found, _null()) for name in _FOUND},
    )


def _attached(activities: ir.Table) -> ir.Table:
    """Activities that whoever gave them has attached to somebody."""
    own = activities.contact.notnull() | activities.account.notnull() | activities.deal.notnull()
    return activities.filter(own).select(activity="id")


def _addressed(activities: ir.Table) -> ir.Table:
    """``activity``, ``address`` and ``domain``, a row for each address.

    A bounce comes from a mail system; whom it is about is told by the address that it names.
    """
    named = activities.addresses.fill_null("") + " " + activities.notice_address.fill_null("")
    rows = activities.select(activity="id", addresses=named.lower())
    rows = rows.filter(rows.addresses != " ")
    rows = rows.select("activity", address=rows.addresses.split(" ").unnest()).distinct()
    rows = rows.filter(rows.address.contains("@"))
    return rows.mutate(domain=rows.address.re_extract("@([^@]*)$", 1))


def _people(contacts: ir.Table) -> ir.Table:
    rows = contacts.filter(contacts.email.notnull())
    return rows.select(contact=rows.id, address=rows.email.strip().lower())


def _domains(accounts: ir.Table) -> ir.Table:
    """``account`` and ``domain``, without those that everybody has."""
    rows = accounts.select(account="id", domain=bare_domain(accounts.domain))
    rows = rows.filter(rows.domain.notnull() & (rows.domain != ""))
    return rows.filter(rows.domain.notin(PUBLIC_DOMAINS))


def bare_domain(column: ir.Value) -> ir.Value:
    """A domain as it is compared, of what people write where one is asked for."""
    bare = column.strip().lower().re_replace(r"^(https?://)?(www\.)?", "")
    return bare.re_replace("[/:?#].*$", "")


def _answered(activities: ir.Table, named: ir.Table) -> ir.Table:
    """``activity``, ``found`` and ``table``: the records of the mail that a mail answers."""
    replies = activities.filter(activities.answers.notnull())
    replies = replies.select(activity="id", message_id=replies.answers.split(" ").unnest())
    earlier = activities.filter(activities.message_id.notnull())
    earlier = earlier.select("message_id", "contact", "account", "deal", earlier="id")
    pairs = replies.join(earlier, "message_id")
    found = pairs.join(named.rename(earlier="activity"), "earlier")
    rows = found.select("activity", "found", "table")
    for name in _FOUND:
        own = pairs.filter(pairs[name].notnull())
        rows = rows.union(own.select("activity", found=own[name], table=_word(name)))
    return rows.distinct()


def _shared(records: RecordSource) -> ir.Table:
    """``domain``: those of several accounts, of which mail has come that found nobody."""
    domains = _domains(records.table("account"))
    many = domains.group_by("domain").agg(of=lambda t: t.account.nunique())
    many = many.filter(many.of > 1)
    addressed = _addressed(records.table("activity"))
    known = wanted_links(records).select("activity").distinct()
    rest = addressed.anti_join(known, "activity")
    return rest.join(many, "domain").select("domain").distinct()


def _stored(records: RecordSource) -> ir.Table:
    links = records.table(_LINK)
    return links.filter(links.connection == MATCHES).select("id", "activity", *_FOUND)


def _word(text: str) -> ir.Value:
    import ibis  # noqa: PLC0415  a sync without mail does without

    return ibis.literal(text)


def _null() -> ir.Value:
    import ibis  # noqa: PLC0415  likewise

    return ibis.null("string")


def _ids(links: pa.Table) -> pa.ChunkedArray:
    found = pc.coalesce(*(links[name] for name in _FOUND))
    return pc.binary_join_element_wise(
        pa.scalar(f"{MATCHES}:"), links["activity"], pa.scalar("|"), found, ""
    )


def _is_in(ids: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_in(ids, value_set=others.combine_chunks())


def _marked(links: pa.Table, *, deleted: bool) -> pa.Table:
    mark = pa.repeat(deleted, links.num_rows)
    return links.select(["id", "activity", *_FOUND]).append_column(DELETED, mark)
