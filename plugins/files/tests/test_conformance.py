from __future__ import annotations

import csv
import errno
import os
import stat
from datetime import date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING

import pytest

from crmsync.clock import FixedClock
from crmsync.model.actions import Action, ActionKind, CreateTask
from crmsync.plugins.contract import ConnectionContext, Connector, StreamRequest
from crmsync.testing.laws import ConnectorLaws
from crmsync.testing.remote import Effect, Failure, Feature, RemoteUnderTest, SampleRecord
from crmsync.testing.samples import START
from crmsync_files import crmsync_connectors, folder, reading
from crmsync_files.options import FilesOptions, FilesStreamOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = dict[str, str]


class FolderUnderTest(RemoteUnderTest):
    """A folder with one export, which is replaced as a whole whenever a record changes."""

    spec = crmsync_connectors()[0]
    stream = "accounts"
    key = "id"
    text = "text"
    table = "account"

    def __init__(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, stream: FilesStreamOptions
    ) -> None:
        self._folder = path
        self._options = stream
        self._records: dict[str, SampleRecord] = {}
        self._spoilt: set[str] = set()
        self._writes = 0
        self._failure: Failure | None = None
        self._landed = 0
        self.absent = {
            Feature.MERGES: "an export tells nothing of merges",
            Feature.COMPARES: "an export may be older than the record, so nothing is compared",
            Feature.SECRETS: "a folder wants no credentials",
            Failure.AUTH: "a folder wants no credentials",
            Failure.QUOTA: "a folder may be read as often as one likes",
        }
        if not stream.complete:
            self.absent[Feature.DELETIONS] = "only a complete export tells what is gone"
        monkeypatch.setattr(reading, "_PAGE_ROWS", 8)
        self._fail_disk(monkeypatch)
        self._save()

    def connect(self) -> Connector:
        request = StreamRequest(
            name=self.stream,
            options=self._options,
            columns=("id", "changed_at", "text"),
            key=("id",),
        )
        return self.spec.open(
            ConnectionContext(
                name="folder",
                options=FilesOptions(path="."),
                streams={self.stream: request},
                folder=self._folder,
                clock=FixedClock(instant=START + timedelta(days=1000)),
            )
        )

    def put(self, records: Sequence[SampleRecord]) -> None:
        self._records |= {record.id: record for record in records}
        self._spoilt -= {record.id for record in records}
        self._save()

    def spoil(self, record_id: str, at: datetime) -> None:
        del at  # a row with too few values tells no time
        self._spoilt.add(record_id)
        self._save()

    def delete(self, ids: Sequence[str], at: datetime) -> None:
        del at  # an export tells what is gone, not since when
        if not self._options.complete:
            raise NotImplementedError
        for key in ids:
            del self._records[key]
        self._save()

    def _save(self) -> None:
        """Beside the old export, and then in its place, as a careful exporter does."""
        self._writes += 1
        path = self._folder / "accounts.csv"
        new = path.with_suffix(".part")
        with new.open("w", newline="", encoding="utf-8") as target:
            writer = csv.writer(target)
            writer.writerow(["id", "changed_at", "text"])
            for record in self._records.values():
                row = [record.id, record.changed_at.isoformat(), record.text]
                writer.writerow(row[:2] if record.id in self._spoilt else row)
        # Exports are made hours apart, not within one tick of the file system's clock.
        os.utime(new, (self._writes, self._writes))
        new.replace(path)

    def fail_next(self, failure: Failure) -> None:
        if failure not in {Failure.TRANSIENT, Failure.UNCERTAIN}:
            raise NotImplementedError
        self._failure = failure
        self._landed = len(self.effects())

    def _fail_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real_fsync, real_identity = os.fsync, folder.identity_of

        def identity_of(status: os.stat_result) -> object:
            if self._failure is Failure.TRANSIENT:
                self._failure = None
                raise OSError(errno.EIO, "Input/output error")
            return real_identity(status)

        def fsync(descriptor: int) -> None:
            failure = Failure.TRANSIENT
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                # The folders are confirmed in several steps; what was lost is an answer of the
                # disk only when something has landed.
                landed = len(self.effects()) > self._landed
                failure = Failure.UNCERTAIN if landed else Failure.TRANSIENT
            if self._failure is failure:
                self._failure = None
                raise OSError(errno.ENOSPC, "No space left on device")
            real_fsync(descriptor)

        monkeypatch.setattr(reading, "identity_of", identity_of)
        monkeypatch.setattr(os, "fsync", fsync)

    def complete_task(self, key: str) -> None:
        self._edit_task(key, status="done")

    def reword_task(self, key: str, text: str) -> None:
        self._edit_task(key, body=text)

    def _edit_task(self, key: str, **cells: str) -> None:
        rows = [row | cells if row["key"] == key else row for row in self._rows("tasks.csv")]
        with (self._folder / "tasks.csv").open("w", newline="", encoding="utf-8") as target:
            writer = csv.DictWriter(target, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    def refused_action(self, key: str) -> Action:
        return CreateTask(key=key, subject="half a character: \ud800")

    def effects(self) -> Sequence[Effect]:
        found = [*self._tasks(), *self._notes(), *self._updates(), *self._mails()]
        return [*found, *(_logged(row) for row in self._rows("logged.csv"))]

    def _rows(self, name: str) -> list[Row]:
        path = self._folder / name
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as source:
            return list(csv.DictReader(source))

    def _tasks(self) -> list[Effect]:
        return [
            Effect(
                key=row["key"],
                kind=ActionKind.TASK,
                texts={"subject": _plain(row["subject"]), "body": _plain(row["body"])},
                record=row["about_id"],
                due=date.fromisoformat(row["due"]) if row["due"] else None,
                closed=row["status"] == "cancelled",
            )
            for row in self._rows("tasks.csv")
        ]

    def _notes(self) -> list[Effect]:
        return [
            Effect(
                key=row["key"],
                kind=ActionKind.NOTE,
                texts={"text": _plain(row["text"])},
                record=row["about_id"],
            )
            for row in self._rows("notes.csv")
        ]

    def _updates(self) -> list[Effect]:
        return [
            Effect(
                key=row["key"],
                kind=ActionKind.UPDATE,
                texts={row["field"]: row["new"]},
                record=row["id"],
            )
            for row in self._rows("updates.csv")
        ]

    def _mails(self) -> list[Effect]:
        return [_mail(path) for path in (self._folder / "outbox").glob("[nc][eu][wr]/*")]


def _logged(row: Row) -> Effect:
    texts = {name: _plain(row[name]) for name in ("subject", "text", "html")}
    return Effect(
        key=row["key"],
        kind=ActionKind.LOG,
        texts=texts,
        message_id=row["message_id"],
        at=datetime.fromisoformat(row["at"]),
        record=row["about_id"],
    )


def _plain(cell: str) -> str:
    """As the README says: a text that a spreadsheet would run has an apostrophe before it."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'")[:1] in set("=+-@\t\r") else cell


def _mail(path: Path) -> Effect:
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    texts = {"subject": str(message["Subject"])}
    for name, subtype in (("text", "plain"), ("html", "html")):
        part = message.get_body((subtype,))
        if part is not None:
            texts[name] = part.get_content()
    return Effect(
        key=str(message["X-Crmsync-Key"]),
        kind=ActionKind.EMAIL,
        texts=texts,
        headers={name: str(value) for name, value in message.items()},
    )


class TestCompleteExport(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteUnderTest:
        options = FilesStreamOptions(file="accounts.csv", complete=True)
        return FolderUnderTest(tmp_path, monkeypatch, options)


class TestExportWithUpdateTimes(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteUnderTest:
        options = FilesStreamOptions(file="accounts.csv", updated_at="changed_at")
        return FolderUnderTest(tmp_path, monkeypatch, options)
