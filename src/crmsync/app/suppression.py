"""What the gates need to know of customers beyond the record that a mail goes to."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis

from crmsync.ledger.stops import Stop, StopKind
from crmsync.model.actions import SendEmail
from crmsync.model.addresses import bare_address
from crmsync.rules.evaluation.world import wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.journeys.book import RecordBook
    from crmsync.model.actions import Action
    from crmsync.model.records import LiveRecords
    from crmsync.rules.evaluation.world import World

    Row = Mapping[str, Any]

_MARKS = ("unsubscribed", "bounced", "do_not_contact")


class Suppression:
    """Marks on any contact with the same address, and doubts about what is known of a customer.

    Nothing is asked of the warehouse before the first mail to a customer.

    Args:
        mailboxes: the connections that tell of mail that came back.
    """

    def __init__(
        self, records: LiveRecords, world: World, book: RecordBook, *, mailboxes: Collection[str]
    ) -> None:
        self._records = records
        self._world = world
        self._book = book
        self._mailboxes = mailboxes

    def same_address(self, contact: Row) -> tuple[Row, ...]:
        """The marked contacts, of any account and connection, that share a contact's address."""
        found = self._marked.get(bare_address(str(contact.get("email") or "")), [])
        return tuple(row for row in found if row["id"] != contact["id"])

    def doubts(self, contact: Row, account: Row | None) -> tuple[str, ...]:
        """Why a mark may be missing here that the CRM has: one sentence each."""
        found: list[str] = []
        for table, row in (("contact", contact), ("account", account)):
            if row is None:
                continue
            found += self._world.freshness.reasons(row["connection"], (table,))
            if row["id"] in self._unread[table]:
                found.append(self._unread[table][row["id"]])
        for name in self._mailboxes:
            found += self._world.freshness.own_reasons(name, "activity")
        return tuple(dict.fromkeys(found))

    @cached_property
    def _marked(self) -> Mapping[str, list[Row]]:
        rows = self._book.rows.get("contact", {}).values()
        addresses = self._world.ids(bare_address(str(row.get("email") or "")) for row in rows)
        same = self._records.compiled("marked contacts", self._same)
        found: dict[str, list[Row]] = {}
        for row in self._records.query(same, addresses).to_pylist():
            found.setdefault(row["address"], []).append(row)
        return found

    def _same(self) -> ir.Table:
        contacts = self._records.table("contact")
        marked = contacts.filter(ibis.or_(*(contacts[mark] for mark in _MARKS)))
        marked = marked.select("id", *_MARKS, address=marked.email.strip().lower())
        return marked.semi_join(wanted(), [("address", "id")])

    @cached_property
    def _unread(self) -> Mapping[str, Mapping[str, str]]:
        return {
            table: self._records.unread(table, self._book.rows.get(table, {}))
            for table in ("contact", "account")
        }


class Stops:
    """What people have said, looked up by account and by address."""

    def __init__(self, stops: Sequence[Stop], records: LiveRecords) -> None:
        merged = records.aliases().get("account", {}) if stops else {}
        self._by_target: dict[tuple[StopKind, str], list[Stop]] = {}
        for stop in stops:
            target = merged.get(stop.target, stop.target)
            self._by_target.setdefault((stop.kind, target), []).append(stop)

    def of(self, account: Row | None, action: Action) -> tuple[Stop, ...]:
        """Those that concern an action for an account."""
        found: list[Stop] = []
        if isinstance(action, SendEmail):
            found += self.of_address(action.recipient)
            address = bare_address(action.recipient)
            found += self._by_target.get((StopKind.NOBODY_THERE, address), ())
            if action.email_class != "service":  # what is not plainly service is commercial
                found += self.unsubscribed(action.recipient)
        if account is not None:
            found += self.of_account(str(account["id"]))
        return tuple(found)

    def of_address(self, text: str) -> Sequence[Stop]:
        """Those on an address, with or without a name."""
        return self._by_target.get((StopKind.ADDRESS, bare_address(text)), ())

    def unsubscribed(self, text: str) -> Sequence[Stop]:
        """Those by which an address, with or without a name, wants no commercial mail."""
        return self._by_target.get((StopKind.UNSUBSCRIBED, bare_address(text)), ())

    def trusted_at(self, text: str) -> datetime | None:
        """Until when what mail has told of an address was taken back by a person."""
        said = self._by_target.get((StopKind.TRUSTED, bare_address(text)), ())
        return max((one.said_at for one in said), default=None)

    def of_account(self, account: str) -> Sequence[Stop]:
        """Those on an account, by its global id, and on those that were merged into it."""
        return self._by_target.get((StopKind.ACCOUNT, account), ())
