"""A simulated portal for tests: a server, a clock that is moved by hand, connections to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

from crmsync.model.actions import Action, ActionKind, CreateTask, RecordRef
from crmsync.plugins.contract import ConnectionContext, StreamRequest
from crmsync.testing.remote import Effect, Failure, Feature, RemoteUnderTest, SampleRecord
from crmsync.testing.samples import START, sample_action
from crmsync_hubspot import crmsync_connectors, waiting
from crmsync_hubspot.client import TRIES
from crmsync_hubspot.options import HubSpotOptions, HubSpotStreamOptions
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.portal import Portal
from crmsync_hubspot.simulator.server import SimulatorServer
from crmsync_hubspot.simulator.service import Service
from crmsync_hubspot.simulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pytest

    from crmsync_hubspot.connector import HubSpotConnector

KEY = "crmsync_key"
UNIQUE = frozenset({"companies", "contacts", "deals", "tickets", "tasks", "notes", "emails"})
KEYS = tuple(f"{name} {KEY} string" for name in ("tasks", "notes", "emails"))
UNIQUE_KEYS = tuple(f"{line} unique" for line in KEYS)
MESSAGE_ID = "crmsync_message_id"
OTHERS = (f"emails {MESSAGE_ID} string",)


class VirtualTime:
    """The portal's clock and the connector's waits: what is waited for, passes."""

    def __init__(self, start: datetime) -> None:
        self.instant = start
        self.slept = 0.0

    def now(self) -> datetime:
        """The portal's clock."""
        return self.instant

    def pass_time(self, by: timedelta) -> None:
        """Let some time pass."""
        self.instant += by

    def sleep(self, seconds: float) -> None:
        """Let seconds pass that somebody waits."""
        self.slept += seconds
        self.instant += timedelta(seconds=seconds)

    def put_in_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the connector wait in this time."""
        monkeypatch.setattr(waiting, "TIME", _Seconds(self))


class _Seconds:
    def __init__(self, time: VirtualTime) -> None:
        self._time = time

    def now(self) -> float:
        return self._time.instant.timestamp()

    def sleep(self, seconds: float) -> None:
        self._time.sleep(seconds)


class TestedPortal:
    """A running simulator and the ways to it."""

    __test__ = False

    def __init__(
        self,
        folder: Path,
        *,
        start: datetime = START,
        custom: Sequence[str] = UNIQUE_KEYS,
        others: Sequence[str] = OTHERS,
        settings: Settings | None = None,
    ) -> None:
        self.folder = folder
        self.clock = VirtualTime(datetime.fromisoformat(start.isoformat()))
        self.settings = settings or Settings(unique_on=UNIQUE)
        self.portal = Portal(self.clock, self.settings, custom=(*custom, *others))
        self.service = Service(self.portal)
        self.server = SimulatorServer(self.service)
        for name in ("token", "client_secret", "refresh_token"):
            (folder / name).write_text(getattr(self.settings, name))

    def close(self) -> None:
        self.server.close()

    def options(self, **changes: Any) -> HubSpotOptions:
        """Options of a connection with the token of a private app."""
        values: dict[str, Any] = {
            "url": self.server.address,
            "access_token": f"file:{self.folder / 'token'}",
            "daily_share": 1.0,
        }
        merged = {k: v for k, v in (values | changes).items() if v is not None}
        return HubSpotOptions.model_validate(merged)

    def oauth(self, **changes: Any) -> HubSpotOptions:
        """Options of a connection that logs in by OAuth."""
        return self.options(
            access_token=None,
            client_id=self.settings.client_id,
            client_secret=f"file:{self.folder / 'client_secret'}",
            refresh_token=f"file:{self.folder / 'refresh_token'}",
            **changes,
        )

    def connect(
        self,
        object_name: str = "companies",
        columns: Sequence[str] = ("name",),
        *,
        options: HubSpotOptions | None = None,
        key: str = "id",
        **stream: Any,
    ) -> HubSpotConnector:
        """A new connection with one stream, “records”."""
        return self.connect_streams(
            options=options, records=(object_name, (key, *columns), stream), key=key
        )

    def connect_streams(
        self,
        *,
        options: HubSpotOptions | None = None,
        key: str = "id",
        tables: Mapping[str, str] | None = None,
        **streams: tuple[str, Sequence[str], dict[str, Any]],
    ) -> HubSpotConnector:
        """A new connection with streams: of each the object, the columns, and other keys.

        Args:
            tables: of streams by name; empty for those that are not named.
        """
        from crmsync_hubspot.connector import HubSpotConnector  # noqa: PLC0415  as the spec does

        tables = tables or {}
        context = ConnectionContext(
            name="hub",
            options=options or self.options(),
            streams={
                name: StreamRequest(
                    name=name,
                    options=HubSpotStreamOptions.model_validate({"object": kind} | more),
                    columns=tuple(dict.fromkeys((key, *columns))),
                    key=(key,),
                    table=tables.get(name, ""),
                )
                for name, (kind, columns, more) in streams.items()
            },
            folder=self.folder,
            clock=self.clock,
        )
        connector = crmsync_connectors()[0].open(context)
        assert isinstance(connector, HubSpotConnector)
        return connector

    def make(self, kind: str, /, **values: str) -> str:
        """A new record's id."""
        return str(self.portal.create(kind, values).id)

    def rows(self, kind: str) -> list[dict[str, str]]:
        """The live records, each with its id."""
        table = self.portal.tables[kind]
        return [{"id": str(one.id)} | one.items() for one in table.live()]


class PortalUnderTest(RemoteUnderTest):
    """A simulated portal under the laws."""

    spec = crmsync_connectors()[0]
    stream = "records"
    key = "id"
    text = "description"
    changed_at = "updatedAt"
    secret = Settings().token
    longest_text = 60_000

    def __init__(self, tested: TestedPortal) -> None:
        self.tested = tested
        self.absent = {
            Feature.UNREADABLE: "a portal hands out every record that it shows at all",
            Feature.MERGES: "HubSpot makes a new record of both, so two lose and neither survives; "
            "tests of our own show it",
        }
        tested.settings.page_rows = 100
        self._ids: dict[str, int] = {}
        self._names: dict[str, str] = {}

    @property
    def _portal(self) -> Portal:
        return self.tested.portal

    def connect(self) -> HubSpotConnector:
        # Time passes between two readings, so that each asks for what was archived. The laws stamp
        # changes with a time of their own, which is behind the portal's by then.
        self.tested.clock.pass_time(timedelta(minutes=1))
        return self.tested.connect(
            "companies", ("description",), archived_every="1 minute", look_back="3 hours"
        )

    def sample_id(self, remote_id: str) -> str:
        return self._names.get(remote_id, remote_id)

    def _id(self, name: str) -> int | None:
        return self._ids.get(name)

    def put(self, records: Sequence[SampleRecord]) -> None:
        clock = self.tested.clock
        for record in records:
            values = {"name": record.id, "description": record.text}
            record_id = self._ids.get(record.id)
            if record_id is None:
                record_id = self._portal.create("companies", values).id
                self._ids[record.id] = record_id
                self._names[str(record_id)] = record.id
            else:
                if self._portal.tables["companies"].records[record_id].archived is not None:
                    self._portal.restore("companies", record_id)
                self._portal.update("companies", record_id, values)
            self._portal.stamp("companies", record_id, record.changed_at)
            clock.instant = max(clock.instant, record.changed_at)

    def delete(self, ids: Sequence[str], at: datetime) -> None:
        self.tested.clock.instant = max(self.tested.clock.instant, at)
        for name in ids:
            self._portal.archive("companies", self._ids[name])

    def fail_next(self, failure: Failure) -> None:
        faults = {
            Failure.AUTH: [Fault.BAD_ACCESS],
            # As often as the connector tries: what it outlasts is no failure.
            Failure.TRANSIENT: [Fault.UNAVAILABLE] * TRIES,
            Failure.QUOTA: [Fault.DAILY],
            Failure.UNCERTAIN: [Fault.CUT_AFTER],
        }[failure]
        self.tested.service.faults.clear()
        self.tested.service.faults.extend(faults)

    def refused_action(self, key: str) -> Action:
        nobody = RecordRef(table="account", id="999")
        return CreateTask(key=key, subject="Call", about=(nobody,))

    def action(self, kind: ActionKind, key: str, text: str, about: str) -> Action:
        if about not in self._ids:
            self.put([SampleRecord(id=about, changed_at=START, text="as it was")])
        return sample_action(
            kind, key=key, text=text, about=str(self._ids[about]), table="account",
            stream=self.stream, column=self.text,
        )  # fmt: skip

    def effects(self) -> Sequence[Effect]:
        companies = [
            Effect(
                key="",
                kind=ActionKind.UPDATE,
                texts={self.text: row.get("description", "")},
                record=row["id"],
            )
            for row in self.tested.rows("companies")
        ]
        tasks = [self._task_effect(row) for row in self.tested.rows("tasks")]
        notes = [self._note_effect(row) for row in self.tested.rows("notes")]
        return companies + tasks + notes + [self._mail(row) for row in self.tested.rows("emails")]

    def complete_task(self, key: str) -> None:
        self._portal.update("tasks", self._task(key), {"hs_task_status": "COMPLETED"})

    def reword_task(self, key: str, text: str) -> None:
        self._portal.update("tasks", self._task(key), {"hs_task_body": text})

    def _task(self, key: str) -> int:
        return next(int(row["id"]) for row in self.tested.rows("tasks") if row[KEY] == key)

    def _task_effect(self, row: dict[str, str]) -> Effect:
        at = datetime.fromisoformat(row["hs_timestamp"])
        return Effect(
            key=row.get(KEY, ""),
            kind=ActionKind.TASK,
            texts={
                "subject": row.get("hs_task_subject", ""),
                "body": read(row.get("hs_task_body", "")),
            },
            record=self._company("tasks", row["id"]),
            due=day_of(at),
        )

    def _note_effect(self, row: dict[str, str]) -> Effect:
        return Effect(
            key=row.get(KEY, ""),
            kind=ActionKind.NOTE,
            texts={"text": read(row.get("hs_note_body", ""))},
            record=self._company("notes", row["id"]),
        )

    def _mail(self, row: dict[str, str]) -> Effect:
        names = {"subject": "hs_email_subject", "text": "hs_email_text", "html": "hs_email_html"}
        return Effect(
            key=row.get(KEY, ""),
            kind=ActionKind.LOG,
            texts={ours: row[theirs] for ours, theirs in names.items() if theirs in row},
            record=self._company("emails", row["id"]),
            message_id=row.get(MESSAGE_ID, ""),
            at=datetime.fromisoformat(row["hs_timestamp"]),
        )

    def _company(self, kind: str, record_id: str) -> str:
        ends = self._portal.links.of(kind, int(record_id), "companies")
        return str(ends[0]) if ends else ""


def read(body: str) -> str:
    """What a person reads in a body of HTML."""
    return unescape(body.replace("<br>", "\n"))


def day_of(at: datetime) -> date | None:
    """The day of a task; one without is due at the moment when it was made."""
    local = at.astimezone(UTC) + timedelta(hours=1)
    summer = at.astimezone(UTC) + timedelta(hours=2)
    # Noon in Berlin, where the portal's people are.
    for moment in (local, summer):
        if (moment.hour, moment.minute, moment.second) == (12, 0, 0):
            return moment.date()
    return None
