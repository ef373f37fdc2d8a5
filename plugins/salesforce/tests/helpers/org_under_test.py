"""A simulated org for tests: a server, a clock that stands still, and connections to it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crmsync.clock import FixedClock
from crmsync.model.actions import (
    Action,
    ActionKind,
    AddNote,
    CreateTask,
    RecordRef,
    SendEmail,
    UpdateFields,
)
from crmsync.plugins.contract import ConnectionContext, StreamRequest
from crmsync.testing.remote import Effect, Failure, Feature, RemoteUnderTest, SampleRecord
from crmsync.testing.samples import START, sample_action
from crmsync_salesforce import crmsync_connectors
from crmsync_salesforce.marks import mark, mark_in, marked
from crmsync_salesforce.options import SalesforceOptions, SalesforceStreamOptions
from crmsync_salesforce.simulator.messages import Fault
from crmsync_salesforce.simulator.objects import long_id
from crmsync_salesforce.simulator.org import Org
from crmsync_salesforce.simulator.server import SimulatorServer
from crmsync_salesforce.simulator.service import Service, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crmsync_salesforce.connector import SalesforceConnector

KEY = "Crmsync_Key__c"
KEY_FIELD = f"Task {KEY} string(255) external unique"
MAIL_KEY_FIELD = f"EmailMessage {KEY} string(255) external unique"


def chosen_id(prefix: str, text: str) -> str:
    """An id for a record that a test names; ids sort like the names' first letters."""
    letters = "".join(letter for letter in text if letter.isalnum())
    digest = sum(place**3 * ord(letter) for place, letter in enumerate(text, 1)) % 100_000
    return long_id(f"{prefix}{letters[:7]:0<7}{digest:05d}")


class MovableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def pass_time(self, by: timedelta) -> None:
        self.instant += by


class TestedOrg:
    """A running simulator and the ways to it."""

    __test__ = False

    def __init__(
        self,
        folder: Path,
        *,
        start: datetime,
        custom: Sequence[str] = (KEY_FIELD, MAIL_KEY_FIELD),
        enhanced_email: bool = True,
    ) -> None:
        self.folder = folder
        self.clock = MovableClock(start)
        self.org = Org(self.clock, custom=custom, enhanced_email=enhanced_email)
        self.settings = Settings()
        self.service = Service(self.org, self.settings)
        self.server = SimulatorServer(self.service, folder)
        (folder / "secret").write_text(self.settings.client_secret)

    def close(self) -> None:
        self.server.close()

    def options(self, **changes: Any) -> SalesforceOptions:
        """Options of a connection that logs in with client credentials."""
        values: dict[str, Any] = {
            "url": self.server.address,
            "client_id": self.settings.client_id,
            "client_secret": f"file:{self.folder / 'secret'}",
            "ca_file": str(self.server.certificate),
            "daily_share": 1.0,
        }
        merged = {k: v for k, v in (values | changes).items() if v is not None}
        return SalesforceOptions.model_validate(merged)

    def options_without_key_field(self) -> SalesforceOptions:
        """The same for an org that has no field for keys."""
        return self.options().model_copy(update={"key_field": None})

    def connect(
        self,
        object_name: str = "Account",
        columns: Sequence[str] = ("Name",),
        *,
        options: SalesforceOptions | None = None,
        now: datetime | None = None,
        **stream: Any,
    ) -> SalesforceConnector:
        """A new connection with one stream, “records”."""
        from crmsync_salesforce.connector import SalesforceConnector  # noqa: PLC0415  as the spec does

        request = StreamRequest(
            name="records",
            options=SalesforceStreamOptions(object=object_name, **stream),
            columns=("Id", *columns),
            key=("Id",),
        )
        context = ConnectionContext(
            name="sf",
            options=options or self.options(),
            streams={"records": request},
            folder=self.folder,
            clock=FixedClock(instant=now or self.clock.now()),
        )
        connector = crmsync_connectors()[0].open(context)
        assert isinstance(connector, SalesforceConnector)
        return connector


class OrgUnderTest(RemoteUnderTest):
    """A simulated org under the laws."""

    spec = crmsync_connectors()[0]
    stream = "records"
    key = "Id"
    text = "Description"
    changed_at = "SystemModstamp"
    secret = Settings().client_secret
    retry_after = timedelta(seconds=Settings().retry_after)
    longest_text = 31_000

    def __init__(
        self, tested: TestedOrg, *, bulk_from: int = 10_000, key_field: str | None = KEY
    ) -> None:
        self.tested, self._bulk_from = tested, bulk_from
        self._options = tested.options() if key_field else tested.options_without_key_field()
        self._keys: dict[str | None, str] = {}  # by their marks
        self.absent = {
            Feature.UNREADABLE: "an org hands out every record that it shows at all",
        }
        tested.settings.page_rows = tested.settings.bulk_rows = 8
        self._names: dict[str, str] = {}

    @property
    def _org(self) -> Org:
        return self.tested.org

    def connect(self) -> SalesforceConnector:
        return self.tested.connect(
            "Account", ("Description",), options=self._options, bulk_from=self._bulk_from
        )

    def sample_id(self, remote_id: str) -> str:
        return self._names.get(remote_id, remote_id)

    def _id(self, name: str) -> str:
        record_id = chosen_id("001", name)
        assert self._names.setdefault(record_id, name) == name
        return record_id

    def put(self, records: Sequence[SampleRecord]) -> None:
        clock = self.tested.clock
        for record in records:
            record_id = self._id(record.id)
            there = self._org.get("Account", record_id)
            values = {"Description": record.text}
            if there is None:
                self._org.create("Account", {"Name": record.id} | values, record_id=record_id)
            else:
                if there["IsDeleted"]:
                    self._org.restore("Account", record_id)
                self._org.update("Account", record_id, values)
            self._org.stamp("Account", record_id, record.changed_at)
            clock.instant = max(clock.instant, record.changed_at)

    def delete(self, ids: Sequence[str], at: datetime) -> None:
        for name in ids:
            self._org.delete("Account", self._id(name))
            self._org.stamp("Account", self._id(name), at)
        self.tested.clock.instant = max(self.tested.clock.instant, at)

    def merge(self, loser: str, survivor: str, at: datetime) -> None:
        self._org.merge("Account", self._id(loser), self._id(survivor))
        for name in (loser, survivor):
            self._org.stamp("Account", self._id(name), at)
        self.tested.clock.instant = max(self.tested.clock.instant, at)

    def fail_next(self, failure: Failure) -> None:
        fault = {
            Failure.AUTH: Fault.BAD_LOGIN,
            Failure.TRANSIENT: Fault.UNAVAILABLE,
            Failure.QUOTA: Fault.REQUEST_LIMIT,
            Failure.UNCERTAIN: Fault.CUT_AFTER,
        }[failure]
        self.tested.service.faults.clear()
        self.tested.service.faults.append(fault)

    def refused_action(self, key: str) -> Action:
        nobody = RecordRef(table="account", id=chosen_id("001", "nobody"))
        return CreateTask(key=key, subject="Call", about=(nobody,))

    def action(self, kind: ActionKind, key: str, text: str, about: str) -> Action:
        self._keys[mark(key)] = key
        record_id = self._id(about)
        if self._org.get("Account", record_id) is None:
            self._org.create("Account", {"Name": about}, record_id=record_id)
        return sample_action(
            kind, key=key, text=text, about=record_id, table="account", stream=self.stream,
            column=self.text,
        )  # fmt: skip

    def effects(self) -> Sequence[Effect]:
        accounts = [self._update(row) for row in self._org.rows("Account")]
        mails = self._org.rows("EmailMessage")
        of_mails = {row["ActivityId"] for row in mails}  # the org makes them by itself
        tasks = [
            row
            for row in self._org.rows("Task")
            if not row["IsDeleted"] and row["Id"] not in of_mails
        ]
        made = accounts + [_effect(row, self._key_of(row)) for row in tasks]
        return made + [_logged(row, self._mail_key_of(row)) for row in mails]

    def _mail_key_of(self, row: dict[str, Any]) -> str:
        return row.get(KEY) or self._keys.get(mark_in(row["TextBody"]), "")

    def _key_of(self, row: dict[str, Any]) -> str:
        return row.get(KEY) or self._keys.get(mark_in(row["Description"]), "")

    def complete_task(self, key: str) -> None:
        self._org.update("Task", self._task(key), {"Status": "Completed", "Priority": "Low"})

    def reword_task(self, key: str, text: str) -> None:
        marks = self._options.key_field is None
        self._org.update(
            "Task", self._task(key), {"Description": marked(text, key) if marks else text}
        )

    def _task(self, key: str) -> str:
        return next(str(row["Id"]) for row in self._org.rows("Task") if self._key_of(row) == key)

    def _update(self, row: dict[str, Any]) -> Effect:
        text = row["Description"] or ""
        return Effect(key="", kind=ActionKind.UPDATE, texts={self.text: text}, record=row["Id"])


def _unmarked(text: str) -> str:
    if mark_in(text) is None:
        return text
    return text[: text.rindex("[crmsync ")].removesuffix("\r\n\r\n")


def _logged(row: dict[str, Any], key: str) -> Effect:
    texts = {"subject": row["Subject"] or "", "text": _unmarked(row["TextBody"] or "")}
    return Effect(
        key=key,
        kind=ActionKind.LOG,
        texts=texts | ({"html": row["HtmlBody"]} if row["HtmlBody"] else {}),
        record=row["RelatedToId"] or "",
        message_id=row["MessageIdentifier"] or "",
        at=datetime.fromisoformat(row["MessageDate"]),
    )


def _effect(row: dict[str, Any], key: str) -> Effect:
    text = _unmarked(row["Description"] or "")
    # Only the test completes a task, and then it makes it less urgent.
    if row["Status"] == "Completed" and row["Priority"] == "Normal":
        texts = {"text": text}
        kind = ActionKind.NOTE
    else:
        texts = {"subject": row["Subject"] or "", "body": text}
        kind = ActionKind.TASK
    day = row["ActivityDate"]
    return Effect(
        key=key,
        kind=kind,
        texts=texts,
        record=row["WhatId"] or "",
        due=None if day is None else date.fromisoformat(day),
    )


__all__ = ["KEY", "START", "AddNote", "OrgUnderTest", "SendEmail", "TestedOrg", "UpdateFields"]
