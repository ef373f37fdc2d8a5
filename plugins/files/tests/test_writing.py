from __future__ import annotations

import csv
import errno
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.errors import AuthError, RejectedError, TransientError, UncertainError
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    Receipt,
    RecordRef,
    SendEmail,
    UpdateFields,
)
from crmsync_files import storing
from crmsync_files.connector import FilesConnector
from crmsync_files.written_tables import COLUMNS

Connect = Callable[..., FilesConnector]

ACCOUNT = RecordRef(table="account", id="A1")
HOSTILE = [
    "two\nlines\r\nand\rmore",
    "quotes \" and '",
    "東京 Łódź 🙂 \u2028 שלום",
    "nul \x00 here",
    '=HYPERLINK("http://example.com")',
    "+41 44 000 00 00",
    "-1",
    "@SUM(1)",
    "'=already",
    "''@twice",
    "'quoted'",
    "\ttab",
    "\rreturn",
    " space ",
    ",;|",
    "",
]


def task(key: str = "k1", **changes: Any) -> CreateTask:  # noqa: ANN401  any field
    return CreateTask(**({"key": key, "subject": "Call Acme", "about": (ACCOUNT,)} | changes))


def note(key: str, text: str) -> AddNote:
    return AddNote(key=key, text=text, about=(ACCOUNT,))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def test_a_task_is_a_row(folder: Path, connect: Connect) -> None:
    about = (ACCOUNT, RecordRef(table="contact", id="C7"), RecordRef(table="deal", id="D 9"))
    action = task(body="Renews soon", due=date(2026, 3, 2), assignee="U1", about=about)
    assert connect().apply([action]) == [Receipt(key="k1", remote_id="k1")]
    assert table(folder / "tasks.csv") == [
        {
            "key": "k1",
            "subject": "Call Acme",
            "body": "Renews soon",
            "due": "2026-03-02",
            "assignee": "U1",
            "about_table": "account",
            "about_id": "A1",
            "also_about": "contact C7; deal D 9",
            "status": "open",
            "created_at": "2026-03-01T09:30:00+00:00",
        }
    ]


def test_a_task_about_nothing(folder: Path, connect: Connect) -> None:
    connect().apply([task(about=())])
    (row,) = table(folder / "tasks.csv")
    assert (row["about_table"], row["about_id"], row["due"], row["assignee"]) == ("", "", "", "")


def test_an_update_is_a_row_for_each_field(folder: Path, connect: Connect) -> None:
    update = UpdateFields(
        key="u1",
        record=ACCOUNT,
        stream="accounts",
        changes={"Status": "at risk", "Score": 0.5, "Open": False, "Owner": None},
        expected={"Status": "active", "Open": True},
    )
    (receipt,) = connect().apply([update])
    assert receipt == Receipt(key="u1", remote_id="u1")
    rows = table(folder / "updates.csv")
    assert [(row["field"], row["expected"], row["new"]) for row in rows] == [
        ("Status", "active", "at risk"),
        ("Score", "", "0.5"),
        ("Open", "true", "false"),
        ("Owner", "", ""),
    ]
    assert {(r["key"], r["stream"], r["table"], r["id"], r["at"]) for r in rows} == {
        ("u1", "accounts", "account", "A1", "2026-03-01T09:30:00+00:00")
    }


def test_a_key_is_applied_once_ever(folder: Path, connect: Connect) -> None:
    connect().apply([task(), note("n1", "a")])
    before = {path: path.read_bytes() for path in folder.glob("*.csv")}
    identity = (folder / "tasks.csv").stat()
    again = connect().apply([task(subject="Another"), note("n1", "b")])
    assert again == [
        Receipt(key="k1", remote_id="k1", already=True),
        Receipt(key="n1", remote_id="n1", already=True),
    ]
    assert {path: path.read_bytes() for path in folder.glob("*.csv")} == before
    assert (folder / "tasks.csv").stat().st_mtime_ns == identity.st_mtime_ns


def test_answers_stand_in_the_order_of_the_actions(folder: Path, connect: Connect) -> None:
    broken = note("n2", "half \ud800")
    answers = connect().apply([note("n1", "a"), task("t1"), broken, task("t2"), task("t1")])
    assert [getattr(answer, "key", None) for answer in answers] == ["n1", "t1", None, "t2", "t1"]
    assert isinstance(answers[2], RejectedError)
    assert "n2" in str(answers[2])
    assert answers[4] == Receipt(key="t1", remote_id="t1", already=True)
    assert [row["key"] for row in table(folder / "tasks.csv")] == ["t1", "t2"]
    assert [row["key"] for row in table(folder / "notes.csv")] == ["n1"]


def test_a_batch_is_one_rewrite(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[str] = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        replaced.append(target.name)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    connect().apply([task(f"t{number}") for number in range(50)])
    assert replaced == ["tasks.csv"]
    assert len(table(folder / "tasks.csv")) == 50


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_back_through_the_connector(connect: Connect, text: str) -> None:
    connect().apply([task(subject=text, body=text), note("n1", text)])
    connector = connect(file="tasks.csv", columns=("subject", "body"), key=("key",))
    (page,) = connector.read("accounts", None)
    assert page.records.select(["key", "subject", "body"]).to_pylist() == [
        {"key": "k1", "subject": text, "body": text}
    ]
    (page,) = connect(file="notes.csv", columns=("text",), key=("key",)).read("accounts", None)
    assert page.records["text"].to_pylist() == [text]


@pytest.mark.parametrize("text", [text for text in HOSTILE if text[:1] in set("=+-@\t\r")])
def test_no_cell_for_people_begins_a_formula(folder: Path, connect: Connect, text: str) -> None:
    connect().apply([task(subject=text, body=text), note("n1", text)])
    (row,) = table(folder / "tasks.csv")
    assert (row["subject"], row["body"]) == (f"'{text}", f"'{text}")
    assert table(folder / "notes.csv")[0]["text"] == f"'{text}"


def test_values_of_updates_stay_as_they_are(folder: Path, connect: Connect) -> None:
    update = UpdateFields(
        key="u1", record=ACCOUNT, stream="accounts", changes={"Phone": "+41 44 000 00 00"}
    )
    connect().apply([update])
    assert table(folder / "updates.csv")[0]["new"] == "+41 44 000 00 00"


def test_a_text_longer_than_the_csv_module_s_limit(folder: Path, connect: Connect) -> None:
    connect().apply([task(body="x" * 300_000)])
    assert connect().apply([task("k2")]) == [Receipt(key="k2", remote_id="k2")]
    assert connect().apply([task("k1")]) == [Receipt(key="k1", remote_id="k1", already=True)]
    assert len(table(folder / "tasks.csv")[0]["body"]) == 300_000


def test_a_person_may_add_columns_and_change_rows(folder: Path, connect: Connect) -> None:
    connect().apply([task("k1")])
    rows = table(folder / "tasks.csv")
    names = ["done by", *reversed(rows[0])]
    with (folder / "tasks.csv").open("w", encoding="utf-8-sig", newline="") as target:
        writer = csv.DictWriter(target, names, lineterminator="\n")
        writer.writeheader()
        writer.writerow(rows[0] | {"status": "done", "done by": "Łucja"})
    (folder / "tasks.csv").write_bytes((folder / "tasks.csv").read_bytes().rstrip(b"\n"))
    before = (folder / "tasks.csv").read_bytes()
    connect().apply([task("k1"), task("k2")])
    after = (folder / "tasks.csv").read_bytes()
    assert after.startswith(before)
    with (folder / "tasks.csv").open(encoding="utf-8-sig", newline="") as source:
        first, second = csv.DictReader(source)
    assert (first["status"], first["done by"]) == ("done", "Łucja")
    assert (second["key"], second["status"], second["done by"]) == ("k2", "open", "")


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


def test_the_rights_of_a_file_stay(folder: Path, connect: Connect) -> None:
    connect().apply([task("k1")])
    (folder / "tasks.csv").chmod(0o640)
    connect().apply([task("k2")])
    assert (folder / "tasks.csv").stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(folder: Path, connect: Connect, tmp_path: Path) -> None:
    (folder / "tasks.csv").symlink_to(tmp_path / "elsewhere.csv")
    connect().apply([task("k1")])
    assert (folder / "tasks.csv").is_symlink()
    assert table(tmp_path / "elsewhere.csv")[0]["key"] == "k1"


def _begun() -> bytes:
    return ",".join(COLUMNS["tasks.csv"]).encode() + b"\r\n"


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
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:  # noqa: S603  our own path
        pytest.skip("a small file system cannot be mounted here")
    try:
        connect().apply([task("k1")])
        before = _files(folder)
        (error,) = connect().apply([task("k2", body="x" * 100_000)])
        assert isinstance(error, TransientError)
        assert "the disk is full" in str(error)
        assert _files(folder) == before
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607  as mounted


def test_a_folder_without_the_right_to_write(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> Any:  # noqa: ANN401  never returns
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
    with subprocess.Popen(  # noqa: S603  our own words
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


def test_find_knows_what_was_written(connect: Connect) -> None:
    assert connect().find(["k1"]) == {}
    connect().apply([task("k1"), note("n1", "a")])
    assert connect().find(["k1", "n1", "other"]) == {
        "k1": Receipt(key="k1", remote_id="k1", already=True),
        "n1": Receipt(key="n1", remote_id="n1", already=True),
    }
