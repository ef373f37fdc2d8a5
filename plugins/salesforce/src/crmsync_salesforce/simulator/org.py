"""The records of an org, and what happens when somebody writes, deletes or merges them."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from crmsync_salesforce.simulator.derived import after_write, derived
from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.field_history import history_of, kept
from crmsync_salesforce.simulator.mails import (
    ENHANCED,
    MAIL,
    after_mail,
    refuse_change,
    refuse_mail,
)
from crmsync_salesforce.simulator.objects import (
    FieldDefinition,
    ObjectDefinition,
    as_long_id,
    minted_id,
    parsed_field,
    parsed_objects,
)
from crmsync_salesforce.simulator.values import checked, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from crmsync.clock import Clock

Row = dict[str, Any]

_COLUMN_TYPES: dict[str, Any] = {
    "boolean": sa.Boolean,
    "int": sa.Integer,
    "double": sa.Float,
    "currency": sa.Float,
    "percent": sa.Float,
}
_ARCHIVED = timedelta(days=365)
_OPEN = ("Not Started", "In Progress", "Waiting on someone else", "Deferred")
_CLOSED = ("Completed",)


class Org:
    """An org with the standard objects; used from many threads, one at a time.

    Args:
        clock: the org's own; what is written is stamped with its present, in whole seconds.
        custom: lines such as ``Account Health__c double``: the fields that an administrator added.
        enhanced_email: mail may belong to other records than cases.

    Attributes:
        tracked: by object, the fields of which the org keeps the history.
        closing: the statuses of tasks that are done.
    """

    def __init__(
        self, clock: Clock, *, custom: Sequence[str] = (), enhanced_email: bool = True
    ) -> None:
        self.clock = clock
        self.enhanced_email = enhanced_email
        self.lock = threading.RLock()
        self.objects: dict[str, ObjectDefinition] = parsed_objects()
        for line in custom:
            name, definition = line.split(" ", 1)
            self.objects[name].add(parsed_field(f"  {definition}"))
        if not enhanced_email:
            self.objects[MAIL].hidden |= ENHANCED
        self.engine = sa.create_engine(
            "sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False}
        )
        self.tables: dict[str, sa.Table] = {}
        metadata = sa.MetaData()
        for one in self.objects.values():
            columns = [_column(field) for field in one.fields.values()]
            self.tables[one.name] = sa.Table(one.name, metadata, *columns)
            if "SystemModstamp" in one.fields:
                table = self.tables[one.name]
                sa.Index(f"{one.name}_changed", table.c.SystemModstamp, table.c.Id)
        metadata.create_all(self.engine)
        self._minted: Counter[str] = Counter()
        self._purged: dict[str, dict[str, str]] = {}
        self.tracked: dict[str, set[str]] = {}
        self.closing: tuple[str, ...] = ()
        self.call_task_statuses(_OPEN, _CLOSED)
        self.user = self.create(
            "User",
            {"Username": "admin@example.com", "LastName": "Admin", "Email": "admin@example.com"},
        )

    def object(self, name: str) -> ObjectDefinition:
        """The object of that name in any case.

        Raises:
            OrgError: there is none.
        """
        found = next((o for o in self.objects.values() if o.name.lower() == name.lower()), None)
        if found is None:
            raise OrgError("NOT_FOUND", "The requested resource does not exist", status=404)
        return found

    def now(self) -> str:
        """The present instant, as the org writes it."""
        return told(self.clock.now())

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """A connection to the records; nobody else has one meanwhile."""
        with self.lock, self.engine.begin() as connection:
            yield connection

    def add_field(self, name: str, added: FieldDefinition) -> None:
        """Add a custom field, as an administrator does."""
        one = self.objects[name]
        one.add(added)
        with self.connected() as connection:
            Operations(MigrationContext.configure(connection)).add_column(name, _column(added))
            self.tables[name].append_column(_column(added))

    def call_task_statuses(self, standing: Sequence[str], closing: Sequence[str]) -> None:
        """Name the statuses of tasks, as an administrator does, or an org of another language."""
        self.closing = tuple(closing)
        rows = [
            {
                "Id": self.minted("TaskStatus"),
                "MasterLabel": name,
                "ApiName": name,
                "SortOrder": place,
                "IsDefault": place == 1,
                "IsClosed": name in closing,
            }
            for place, name in enumerate((*standing, *closing), 1)
        ]
        with self.connected() as connection:
            connection.execute(self.tables["TaskStatus"].delete())
        self.load("TaskStatus", rows)

    def get(self, object_name: str, record_id: str) -> Row | None:
        """A record, deleted or not."""
        table = self.tables[object_name]
        with self.connected() as connection:
            row = connection.execute(table.select().where(table.c.Id == record_id)).mappings()
            found = row.one_or_none()
            return None if found is None else dict(found)

    def rows(self, object_name: str) -> list[Row]:
        """All records of an object, deleted ones too, by their id."""
        table = self.tables[object_name]
        with self.connected() as connection:
            found = connection.execute(table.select().order_by(table.c.Id)).mappings()
            return [dict(row) for row in found]

    def object_of(self, record_id: str) -> ObjectDefinition | None:
        """The object that an id belongs to, by its first characters."""
        return next((o for o in self.objects.values() if o.prefix == record_id[:3]), None)

    def create(
        self, object_name: str, values: Mapping[str, Any], *, record_id: str | None = None
    ) -> str:
        """Create a record; answers with its id.

        Raises:
            OrgError: it is refused.
        """
        one = self.object(object_name)
        with self.connected():
            row = checked(self, one, values, creating=True)
            if one.name == MAIL:
                refuse_mail(row, enhanced=self.enhanced_email)
            self._refuse_duplicate(one, row, None)
            made = record_id or self.minted(one.name)
            self._insert(one, row, made)
            return made

    def minted(self, object_name: str) -> str:
        """An id for a new record."""
        self._minted[object_name] += 1
        return minted_id(self.objects[object_name].prefix, self._minted[object_name])

    def load(self, object_name: str, rows: Sequence[Row]) -> None:
        """Put whole records at once, unchecked, under ids that were minted."""
        with self.connected() as connection:
            connection.execute(self.tables[object_name].insert(), rows)

    def update(self, object_name: str, record_id: str, values: Mapping[str, Any]) -> None:
        """Change a record.

        Raises:
            OrgError: it is refused.
        """
        one = self.object(object_name)
        with self.connected():
            before = self._live(one, record_id)
            row = checked(self, one, values, creating=False)
            if one.name == MAIL:
                refuse_change(before, row)
            own = str(before["Id"])  # which may have been named by its short id
            self._refuse_duplicate(one, row, own)
            if history := kept(self, one.name, before, row):
                self.load(history_of(one.name), history)
            self._change(one, own, self._stamped(row) | derived(self, one, before | row))
            after_write(self, one, before | row)

    def delete(self, object_name: str, record_id: str) -> None:
        """Move a record into the recycle bin.

        Raises:
            OrgError: it is not there.
        """
        one = self.object(object_name)
        with self.connected():
            own = str(self._live(one, record_id)["Id"])
            self._change(one, own, self._stamped({"IsDeleted": True}))

    def restore(self, object_name: str, record_id: str) -> None:
        """Take a record out of the recycle bin."""
        one = self.object(object_name)
        self._change(one, record_id, self._stamped({"IsDeleted": False}) | self._no_master(one))

    def _no_master(self, one: ObjectDefinition) -> Row:
        return {"MasterRecordId": None} if "MasterRecordId" in one.fields else {}

    def merge(self, object_name: str, loser: str, survivor: str) -> None:
        """Merge a record into another; what belonged to it goes along."""
        one = self.object(object_name)
        with self.connected() as connection:
            self._live(one, survivor)
            self.delete(object_name, loser)
            self._change(one, loser, {"MasterRecordId": survivor})
            self._change(one, survivor, self._stamped({}))
            for other in self.objects.values():
                for field in other.fields.values():
                    if one.name in field.references and field.name != "MasterRecordId":
                        table = self.tables[other.name]
                        column = table.c[field.name]
                        connection.execute(
                            table.update().where(column == loser).values({column: survivor})
                        )

    def purge(self, object_name: str, record_id: str) -> None:
        """Remove a record for good: from now on only `deleted_between` knows of it."""
        table = self.tables[object_name]
        with self.connected() as connection:
            row = self.get(object_name, record_id)
            if row is not None:
                at = row["SystemModstamp"] if row["IsDeleted"] else self.now()
                self._purged.setdefault(object_name, {})[record_id] = at
                connection.execute(table.delete().where(table.c.Id == record_id))

    def archive(self) -> None:
        """Archive activities that ended more than a year ago, as the org does by itself."""
        limit = (self.clock.now() - _ARCHIVED).date().isoformat()
        with self.connected() as connection:
            task, event = self.tables["Task"], self.tables["Event"]
            old = task.c.IsClosed & (task.c.ActivityDate < limit)
            connection.execute(task.update().where(old).values(IsArchived=True))
            ended = event.c.EndDateTime < limit
            connection.execute(event.update().where(ended).values(IsArchived=True))

    def deleted_between(self, object_name: str, start: datetime, end: datetime) -> dict[str, str]:
        """The ids of what was deleted within a time, each with when that was."""
        table = self.tables[object_name]
        first, last = told(start), told(end)
        with self.connected() as connection:
            rows = connection.execute(
                sa.select(table.c.Id, table.c.SystemModstamp)
                .where(table.c.IsDeleted)
                .where(table.c.SystemModstamp.between(first, last))
            )
            found = {row.Id: row.SystemModstamp for row in rows}
        purged = self._purged.get(object_name, {})
        return found | {i: at for i, at in purged.items() if first <= at <= last}

    def updated_between(self, object_name: str, start: datetime, end: datetime) -> list[str]:
        """The ids of what was changed within a time."""
        table = self.tables[object_name]
        with self.connected() as connection:
            rows = connection.execute(
                sa.select(table.c.Id)
                .where(~table.c.IsDeleted)
                .where(table.c.SystemModstamp.between(told(start), told(end)))
                .order_by(table.c.Id)
            )
            return [row.Id for row in rows]

    def stamp(self, object_name: str, record_id: str, at: datetime) -> None:
        """Let a record have been changed at that instant, for tests of late and equal stamps."""
        self._change(self.object(object_name), record_id, {"SystemModstamp": told(at)})

    def _insert(self, one: ObjectDefinition, row: Row, record_id: str) -> None:
        now, author = self.now(), getattr(self, "user", None) or record_id
        defaults = {
            "Id": record_id,
            "IsDeleted": False,
            "CreatedDate": now,
            "CreatedById": author,
            "OwnerId": author,
            "IsArchived": False,
        } | ({"IsActive": True} if one.name == "User" else {})
        booleans = {f.name: False for f in one.fields.values() if f.type == "boolean"}
        full = {k: v for k, v in (booleans | defaults).items() if k in one.fields}
        full |= self._stamped({}) | {k: v for k, v in row.items() if v is not None}
        full |= derived(self, one, full)
        with self.connected() as connection:
            connection.execute(self.tables[one.name].insert().values(full))
        after_write(self, one, full)
        if one.name == MAIL:
            after_mail(self, full)

    def _stamped(self, row: Row) -> Row:
        now = self.now()
        stamp = {"LastModifiedDate": now, "SystemModstamp": now}
        author = getattr(self, "user", None)
        return row | stamp | ({} if author is None else {"LastModifiedById": author})

    def _change(self, one: ObjectDefinition, record_id: str, row: Row) -> None:
        table = self.tables[one.name]
        with self.connected() as connection:
            connection.execute(table.update().where(table.c.Id == record_id).values(row))

    def _live(self, one: ObjectDefinition, record_id: str) -> Row:
        row = self.get(one.name, as_long_id(record_id) or "")
        if row is None:
            raise OrgError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if row.get("IsDeleted"):
            raise OrgError("ENTITY_IS_DELETED", "entity is deleted")
        return row

    def _refuse_duplicate(self, one: ObjectDefinition, row: Row, own: str | None) -> None:
        table = self.tables[one.name]
        for field in one.fields.values():
            if not field.unique or row.get(field.name) is None:
                continue
            same = table.select().where(table.c[field.name] == row[field.name])
            with self.connected() as connection:
                found = connection.execute(same.where(~table.c.IsDeleted)).mappings().first()
            if found is not None and found["Id"] != own:
                raise OrgError(
                    "DUPLICATE_VALUE",
                    f"duplicate value found: {field.name} duplicates value on record with id: "
                    f"{found['Id'][:15]}",
                )


def _column(field: FieldDefinition) -> sa.Column[Any]:
    kind = _COLUMN_TYPES.get(field.type)
    if kind is None:
        exact = {"id", "reference", "date", "datetime"}
        collation = "BINARY" if field.type in exact or field.unique else "NOCASE"
        kind = sa.String(collation=collation)
    return sa.Column(field.name, kind, primary_key=field.type == "id", index=field.unique)
