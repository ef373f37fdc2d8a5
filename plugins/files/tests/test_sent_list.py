"""A mail is delivered once, whoever empties the outbox and wherever a crash falls."""

from __future__ import annotations

import csv
import email
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.errors import AuthError, RejectedError, TransientError, UncertainError
from crmsync.model.actions import Receipt, SendEmail
from crmsync_files.connector import FilesConnector

Connect = Callable[..., FilesConnector]

CRASHED = 9


def mail(key: str = "m1", **changes: Any) -> SendEmail:
    values: dict[str, Any] = {
        "key": key,
        "message_id": f"{key}@example.com",
        "sender": "ann@example.com",
        "recipient": f"Bo <{key}@example.org>",
        "subject": "Your renewal",
        "text": "Hello",
        "at": datetime(2026, 3, 1, 9, tzinfo=UTC),
    }
    return SendEmail(**(values | changes))


def drain(folder: Path) -> list[str]:
    """Take all mail out of the outbox, as a program that sends it on does; answers the keys."""
    keys = []
    for part in ("new", "cur"):
        path = folder / "outbox" / part
        for file in path.iterdir() if path.is_dir() else ():
            keys.append(email.message_from_bytes(file.read_bytes())["X-Crmsync-Key"])
            file.unlink()
    return keys


def sent(folder: Path) -> list[dict[str, str]]:
    with (folder / "sent.csv").open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def crash(connector: FilesConnector, keys: list[str], call: int, *, done: bool) -> None:
    """Apply, and lose the process at a call that the disk is asked by, before or after it."""
    calls = 0

    def fatal(real: Callable[..., None]) -> Callable[..., None]:
        def called(*args: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == call and not done:
                os._exit(CRASHED)
            real(*args)
            if calls == call:
                os._exit(CRASHED)

        return called

    for name in ("fsync", "replace"):
        setattr(os, name, fatal(getattr(os, name)))
    connector.apply([mail(key) for key in keys])
    os._exit(0)


def crashed(connector: FilesConnector, keys: list[str], call: int, *, done: bool) -> bool:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=crash, args=(connector, keys, call), kwargs={"done": done})
    process.start()
    process.join()
    assert process.exitcode in {0, CRASHED}
    return process.exitcode == CRASHED


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("drained", [False, True])
def test_a_crash_at_any_point_loses_and_doubles_nothing(
    folder: Path, connect: Connect, *, drained: bool, done: bool
) -> None:
    call = 0
    went_on = True
    while went_on:
        call += 1
        keys = [f"one-{call}", f"two-{call}"]
        went_on = crashed(connect(), keys, call, done=done)
        left = drain(folder) if drained else []
        answers = connect().apply([mail(key) for key in keys])
        assert [getattr(answer, "key", None) for answer in answers] == keys
        assert Counter(left + drain(folder)) == Counter(keys), f"after a crash at call {call}"
        assert [row["key"] for row in sent(folder)][-2:] == keys
        assert list((folder / "outbox").glob("*.*")) == []
    assert call > 9


def test_a_second_crash_while_the_first_is_made_good(folder: Path, connect: Connect) -> None:
    for first in range(1, 8):
        for second in (1, 2, 3):
            keys = [f"{first}-{second}"]
            crashed(connect(), keys, first, done=True)
            left = drain(folder)
            crashed(connect(), keys, second, done=True)
            left += drain(folder)
            connect().apply([mail(key) for key in keys])
            assert left + drain(folder) == keys


def test_what_was_sent_is_listed(folder: Path, connect: Connect) -> None:
    connect().apply([mail(), mail("m2", recipient='"=1+1" <bo@example.org>')])
    assert sent(folder) == [
        {
            "key": "m1",
            "message_id": "m1@example.com",
            "recipient": "Bo <m1@example.org>",
            "at": "2026-03-01T09:30:00+00:00",
        },
        {
            "key": "m2",
            "message_id": "m2@example.com",
            "recipient": '"=1+1" <bo@example.org>',
            "at": "2026-03-01T09:30:00+00:00",
        },
    ]
    connect().apply([mail("m3", recipient="=cmd@example.org")])
    assert sent(folder)[2]["recipient"] == "'=cmd@example.org"
    (page,) = connect("sent.csv", ("recipient",), key=("key",)).read("accounts", None)
    assert page.records["recipient"].to_pylist()[2] == "=cmd@example.org"


def test_a_drained_mail_is_known(folder: Path, connect: Connect) -> None:
    connect().apply([mail()])
    assert drain(folder) == ["m1"]
    (again,) = connect().apply([mail()])
    assert again == Receipt(key="m1", remote_id="m1", already=True)
    assert connect().find(["m1", "m2"]) == {"m1": again}
    assert drain(folder) == []
    (folder / "outbox" / "new").rmdir()
    assert connect().apply([mail()]) == [again]


def test_a_mail_that_is_recorded_and_still_staged_is_not_found(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_new_mail(monkeypatch)
    (error,) = connect().apply([mail()])
    assert isinstance(error, AuthError)
    assert "crm/outbox/new/" in str(error)
    assert [row["key"] for row in sent(folder)] == ["m1"]
    assert connect().find(["m1"]) == {}
    monkeypatch.undo()
    (receipt,) = connect().apply([mail()])
    assert isinstance(receipt, Receipt)
    assert not receipt.already
    assert connect().find(["m1"]).keys() == {"m1"}
    assert drain(folder) == ["m1"]


def refuse_new_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if target.parent.name == "new":
            raise PermissionError(13, "Permission denied")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)


def test_a_list_that_was_moved_away_is_begun_again(folder: Path, connect: Connect) -> None:
    connect().apply([mail()])
    (folder / "sent.csv").unlink()
    (again,) = connect().apply([mail()])
    assert isinstance(again, Receipt)
    assert again.already  # it still lies in the outbox
    assert [row["key"] for row in sent(folder)] == ["m1"]
    drain(folder)
    connect().apply([mail()])
    assert drain(folder) == []


def test_no_mail_leaves_while_the_list_cannot_be_written(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if target.name == "sent.csv":
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        (error,) = connect().apply([mail()])
    assert isinstance(error, TransientError)
    assert "crm/sent.csv cannot be written: the disk is full" in str(error)
    assert [path.name for path in (folder / "outbox").rglob("*") if path.is_file()] == []
    (folder / "sent.csv").write_text("key,to\n")
    (error,) = connect().apply([mail()])
    assert isinstance(error, AuthError)
    assert "crm/sent.csv: it has no column “message_id”" in str(error)
    assert drain(folder) == []


def test_each_step_is_on_the_disk_before_the_next(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        steps.append(f"sync {path.suffix or path.name}")
        fsync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        steps.append(f"move {target.parent.name}/{target.suffix}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    connect().apply([mail(), mail("m2")])
    assert steps == [
        *["sync .staged", "sync .staged", "sync outbox"],
        *["sync .new", "move crm/.csv", "sync crm"],
        *["move new/.crmsync", "move new/.crmsync", "sync new", "sync outbox"],
    ]


def test_what_a_crash_recorded_is_on_the_disk_before_the_mail_leaves(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        refuse_new_mail(patch)
        connect().apply([mail()])

    def fsync(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        (error,) = connect().apply([mail()])
    assert isinstance(error, UncertainError)
    assert drain(folder) == []
    connect().apply([mail()])
    assert drain(folder) == ["m1"]


@pytest.mark.parametrize("name", ["crm", "new", "outbox"])
def test_a_disk_that_does_not_confirm_a_mail(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        if path.is_dir() and path.name == name:
            raise OSError(5, "Input/output error")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        (error,) = connect().apply([mail()])
    # Before it is staged for good, nothing has happened; after it is recorded, who knows.
    assert isinstance(error, TransientError if name == "outbox" else UncertainError)
    left = drain(folder)
    (receipt,) = connect().apply([mail()])
    assert isinstance(receipt, Receipt)
    assert left + drain(folder) == ["m1"]


def test_a_name_that_no_file_can_hold_is_refused_alone(folder: Path, connect: Connect) -> None:
    answers = connect().apply([mail("m1", recipient="B\udc80o <bo@example.org>"), mail("m2")])
    assert isinstance(answers[0], RejectedError)
    assert drain(folder) == ["m2"]
