"""Tasks are closed in tasks.csv, and nothing else of the file changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import AuthError, ChangedError
from crmsync.model.actions import CreateTask, Receipt, RecordRef, WithdrawTask
from crmsync_files.connector import FilesConnector

if TYPE_CHECKING:
    from pathlib import Path

Connect = Callable[..., FilesConnector]


def task(key: str, **changes: Any) -> CreateTask:
    about = (RecordRef(table="account", id="A1"),)
    values: dict[str, Any] = {"subject": "Call Acme", "body": '=two\nlines, "quoted"'} | changes
    return CreateTask(key=key, assignee="U1", about=about, **values)


def back(made: CreateTask) -> WithdrawTask:
    return WithdrawTask(key=f"{made.key}-back", task=made, remote_id=made.key)


def test_only_the_status_of_that_task_changes(folder: Path, connect: Connect) -> None:
    connector, first, second = connect(), task("k1"), task("k2")
    connector.apply([first, second])
    before = (folder / "tasks.csv").read_bytes()
    answers = connector.apply([back(second)])
    assert answers == [Receipt(key="k2-back", remote_id="k2")]
    head, _, row = before.partition(b"\r\nk2,")
    expected = head + b"\r\nk2," + row.replace(b",open,", b",cancelled,")
    assert (folder / "tasks.csv").read_bytes() == expected


def test_what_people_have_made_of_the_file_stays(folder: Path, connect: Connect) -> None:
    connector = connect()
    connector.apply([task("k1"), task("k2")])
    path = folder / "tasks.csv"
    text = path.read_bytes().decode().replace("key,subject", "mine;too,key,subject", 1)
    lines = text.replace("\r\nk1", "\r\n,k1").replace("\r\nk2", '\r\n"",k2')
    path.write_bytes(b"\xef\xbb\xbf" + lines.replace("\r\n", "\n").encode() + b"\n\n")
    before = path.read_bytes()
    (answer,) = connector.apply([back(task("k1", body='=two\nlines, "quoted"'))])
    assert isinstance(answer, Receipt)
    after = path.read_bytes()
    assert after.startswith(b"\xef\xbb\xbfmine;too,key")
    rest = before.index(b'"",k2')
    assert after.endswith(before[rest:])
    assert after.count(b"cancelled") == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",open,", ",done,", "status is “done”"),
        ("Call Acme", "Call Acme today", "subject is “Call Acme today”"),
        (",U1,", ",U2,", "assignee is “U2”"),
    ],
)
def test_what_somebody_has_changed_stays_open(
    folder: Path, connect: Connect, old: str, new: str, words: str
) -> None:
    connector = connect()
    connector.apply([task("k1")])
    path = folder / "tasks.csv"
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    before = path.read_bytes()
    (answer,) = connector.apply([back(task("k1"))])
    assert isinstance(answer, ChangedError)
    assert words in str(answer)
    assert path.read_bytes() == before


def test_a_word_in_a_column_of_peoples_own_is_work(folder: Path, connect: Connect) -> None:
    connector = connect()
    connector.apply([task("k1")])
    path = folder / "tasks.csv"
    header, _, row = path.read_bytes().decode().partition("\r\n")
    path.write_bytes(f"{header},remark\r\n{row.rstrip()},called\r\n".encode())
    (answer,) = connector.apply([back(task("k1"))])
    assert isinstance(answer, ChangedError)
    assert "remark is “called”" in str(answer)


def test_what_is_not_there_any_more_is_taken_back(folder: Path, connect: Connect) -> None:
    connector = connect()
    assert connector.apply([back(task("k1"))]) == [
        Receipt(key="k1-back", remote_id="k1", already=True)
    ]
    assert not (folder / "tasks.csv").exists()
    connector.apply([task("k1")])
    connector.apply([back(task("k1"))])
    before = (folder / "tasks.csv").read_bytes()
    (again,) = connector.apply([back(task("k1"))])
    assert isinstance(again, Receipt)
    assert again.already
    assert (folder / "tasks.csv").read_bytes() == before


def test_a_file_that_is_no_table_any_more_is_left_alone(folder: Path, connect: Connect) -> None:
    connector = connect()
    (folder / "tasks.csv").write_text("subject\nCall\n", encoding="utf-8")
    (answer,) = connector.apply([back(task("k1"))])
    assert isinstance(answer, AuthError)
    assert "no column “key”" in str(answer)
