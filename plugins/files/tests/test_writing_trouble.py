"""What keeps rows from being written: people, full disks, crashes, other processes."""

from __future__ import annotations

import csv
import errno
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.errors import AuthError, TransientError, UncertainError
from crmsync.model.actions import AddNote, CreateTask, Receipt, RecordRef, SendEmail
from crmsync_files import storing
from crmsync_files.connector import FilesConnector
from crmsync_files.written_tables import COLUMNS

Connect = Callable[..., FilesConnector]

ACCOUNT = RecordRef(table="account", id="A1")


def task(key: str = "k1", **changes: Any) -> CreateTask:
    return CreateTask(**({"key": key, "subject": "Call Acme", "about": (ACCOUNT,)} | changes))


def note(key: str, text: str) -> AddNote:
    return AddNote(key=key, text=text, about=(ACCOUNT,))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def _begun() -> bytes:
    return ",".join(COLUMNS["tasks.csv"]).encode() + b"\r\n"


@pytest.mark.parametrize(
    "row", ['k0,"Call" Acme,,,,,,,open,', "k0,Call", "k0,Call, Acme,,,,,,,open,", 'k0,5" pipe,']
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_row_that_a_person_has_broken_harms_no_other(
    folder: Path, connect: Connect, row: str, end: str
) -> None:
    (folder / "tasks.csv").write_bytes(_begun() + (row + end).encode())
    answers = connect().apply([task("k0"), task("k1")])
    assert answers == [
        Receipt(key="k0", remote_id="k0", already=True),
        Receipt(key="k1", remote_id="k1"),
    ]
    assert table(folder / "tasks.csv")[1]["key"] == "k1"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"key;subject\nk1;a\n", "it has no column “key”"),
        (b"key,subject,body\n", "it has no column “due”"),
        (b"\xff\xfe\x00", "it is no CSV file in UTF-8 any more"),
        # Rows that are added behind an open quote would be part of its cell.
        (_begun() + b'k0,"Call Acme,,,,,,,open,\r\n', "a quote in it is never closed"),
        (_begun() + b'k0,"', "a quote in it is never closed"),
    ],
)
def test_a_file_that_was_changed_too_far_is_left_alone(
    folder: Path, connect: Connect, content: bytes, sentence: str
) -> None:
    (folder / "tasks.csv").write_bytes(content)
    error, receipt = connect().apply([task(), note("n1", "a")])
    assert isinstance(error, AuthError)
    assert f"rows cannot be added to crm/tasks.csv: {sentence}" in str(error)
    assert isinstance(receipt, Receipt)
    assert (folder / "tasks.csv").read_bytes() == content


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_is_begun(folder: Path, connect: Connect, content: str) -> None:
    (folder / "tasks.csv").write_text(content)
    connect().apply([task()])
    assert [row["key"] for row in table(folder / "tasks.csv")] == ["k1"]


def test_no_folder_to_write_to(folder: Path, connect: Connect) -> None:
    folder.rmdir()
    with pytest.raises(AuthError, match="there is no folder crm"):
        connect().apply([task()])


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_changes_nothing(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    connect().apply([task("k1"), note("n1", "a")])
    before = _files(folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        answers = connect().apply([task("k1"), task("k2"), task("k2"), note("n2", "b")])
    assert answers[0] == Receipt(key="k1", remote_id="k1", already=True)
    for error, name in zip(answers[1:], ("tasks", "tasks", "notes"), strict=True):
        assert isinstance(error, TransientError)
        assert str(error) == (
            f"crm/{name}.csv cannot be written: the disk is full; nothing of it was changed"
        )
    assert _files(folder) == before
    assert connect().apply([task("k2")]) == [Receipt(key="k2", remote_id="k2")]


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_disk_that_is_really_full(folder: Path, connect: Connect) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        connect().apply([task("k1")])
        before = _files(folder)
        (error,) = connect().apply([task("k2", body="x" * 100_000)])
        assert isinstance(error, TransientError)
        assert "the disk is full" in str(error)
        assert _files(folder) == before
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607  as mounted


def test_a_folder_without_the_right_to_write(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(AuthError, match="crm cannot be written: Permission denied"):
        connect().apply([task()])
    assert _files(folder) == {}


def test_a_folder_in_the_place_of_a_file(folder: Path, connect: Connect) -> None:
    (folder / "tasks.csv").mkdir()
    (folder / "outbox").write_text("no folder")
    error, receipt, mail = connect().apply([task(), note("n1", "a"), _mail()])
    assert isinstance(error, AuthError)
    assert "crm/tasks.csv cannot be written: Is a directory" in str(error)
    assert isinstance(receipt, Receipt)
    assert isinstance(mail, AuthError)
    assert "crm/outbox cannot be written" in str(mail)


def _mail() -> SendEmail:
    return SendEmail(
        key="m1",
        message_id="m1@example.com",
        sender="ann@example.com",
        recipient="bo@example.org",
        subject="Hello",
        text="Hello",
        at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def test_a_disk_that_does_not_confirm(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir():
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        (error,) = connect().apply([task()])
    assert isinstance(error, UncertainError)
    assert connect().apply([task()]) == [Receipt(key="k1", remote_id="k1", already=True)]
    assert len(table(folder / "tasks.csv")) == 1


def test_another_process_that_holds_the_folder(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "_LOCK_WAIT", 0.1)
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(folder / ".crmsync.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TransientError, match="another process has been writing to the folder"):
            connect().apply([task()])
        holder.communicate()
    assert isinstance(connect().apply([task()])[0], Receipt)


def _apply_many(connector: FilesConnector, name: str) -> None:
    for number in range(20):
        connector.apply([task(f"{name}-{number}"), task(f"both-{number}")])


def test_two_processes_lose_no_row(folder: Path, connect: Connect) -> None:
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_apply_many, args=(connect(), name)) for name in ("one", "two")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    keys = [row["key"] for row in table(folder / "tasks.csv")]
    assert sorted(keys) == sorted(
        f"{name}-{number}" for name in ("one", "two", "both") for number in range(20)
    )


def test_what_a_crash_left_is_overwritten(folder: Path, connect: Connect) -> None:
    (folder / ".tasks.csv.new").write_text("half of someth")
    connect().apply([task()])
    assert not (folder / ".tasks.csv.new").exists()
    assert [row["key"] for row in table(folder / "tasks.csv")] == ["k1"]
