"""The records that due steps speak of, fetched at once and looked up from then on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from crmsync.templating.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crmsync.model.catalog import Catalog, FactSpec


@dataclass(frozen=True, kw_only=True)
class RecordBook:
    """Rows by table and global id. What is not in the book does not exist: deleted, or never read.

    Attributes:
        facts: answers with a fact of the records of a table, by id; asked only for facts that
            a text names.
        last_mails: by contact, the latest mail between people (`crmsync.facts.threads`); asked
            only for mails that go on with it.
        remote_id: answers for a table, a global id and a connection with what the remote there
            calls the record; None where it does not have it.
    """

    catalog: Catalog
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]]
    facts: Callable[[FactSpec], Mapping[str, Any]]
    last_mails: Callable[[], Mapping[str, Mapping[str, Any]]]
    remote_id: Callable[[str, str, str], str | None]
    _contacts: dict[str, list[Mapping[str, Any]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        for contact in self.rows.get("contact", {}).values():
            self._contacts.setdefault(str(contact.get("account")), []).append(contact)

    def row(self, table: str, record_id: str | None) -> Mapping[str, Any] | None:
        """The row of that id."""
        return None if record_id is None else self.rows.get(table, {}).get(record_id)

    def contacts(self, account_id: str | None) -> list[Mapping[str, Any]]:
        """The contacts of an account, by id."""
        if account_id is None:
            return []
        return sorted(self._contacts.get(account_id, []), key=lambda row: str(row["id"]))

    def follow(
        self, table: str, row: Mapping[str, Any], path: str
    ) -> tuple[str, Mapping[str, Any]] | None:
        """The record at the end of a path such as ``account.owner``, with its table."""
        for name in path.split("."):
            if name == table:  # a record answers to the name of its own table
                continue
            relation = self.catalog.relation(table, name)
            if relation is None or relation.many:
                return None
            if (table, name) == ("account", "primary_contact"):
                found = self._primary_contact(row)
            else:
                found = self.row(relation.target, row.get(relation.column))
            if found is None:
                return None
            table, row = relation.target, found
        return table, row

    def _primary_contact(self, account: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The one the CRM names; where it names none, the only contact there is."""
        if account.get("primary_contact") is not None:
            return self.row("contact", account["primary_contact"])
        contacts = self.contacts(account["id"])
        return contacts[0] if len(contacts) == 1 else None

    def record(self, table: str, row: Mapping[str, Any]) -> Record:
        """A row as templates see it, with the records that it refers to."""
        related: dict[str, Callable[[], object]] = {
            spec.name: partial(self._fact, spec, row["id"])
            for spec in self.catalog.facts
            if spec.table == table
        }
        for relation in self.catalog.relations(table):
            if not relation.many:
                related[relation.name] = partial(self._related, table, row, relation.name)
        return Record(table, row, related)

    def _related(self, table: str, row: Mapping[str, Any], name: str) -> Record | None:
        found = self.follow(table, row, name)
        return None if found is None else self.record(*found)

    def _fact(self, spec: FactSpec, record_id: str) -> object:
        return self.facts(spec).get(record_id, spec.default)
