from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from crmsync.errors import RejectedError
from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.plugins.contract import Connector, Reads, Writes
from crmsync.plugins.manager import Plugins
from crmsync_files.connector import FilesConnector
from crmsync_files.options import FilesOptions, FilesStreamOptions

Connect = Callable[..., FilesConnector]


def test_it_is_found_by_its_entry_point() -> None:
    spec = Plugins().connector("files")
    assert spec.options is FilesOptions
    assert spec.stream_options is FilesStreamOptions
    own = set(ActionKind) - {ActionKind.CUSTOM}
    assert dict(spec.actions) == dict.fromkeys(own, KeyHandling.NATIVE)


def test_to_be_found_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, crmsync_files;"
        "heavy = {'pyarrow', 'duckdb', 'orjson', 'pydantic'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_has_all_parts_of_a_connector(connect: Connect) -> None:
    connector = connect()
    assert isinstance(connector, Connector)
    assert isinstance(connector, Reads)
    assert isinstance(connector, Writes)
    connector.close()
    connector.close()


# check


def sentences(connector: FilesConnector) -> list[tuple[str, bool]]:
    return [(finding.sentence, finding.fatal) for finding in connector.check()]


def test_check_finds_nothing_where_all_is_well(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("id,name\n1,a\n")
    assert sentences(connect()) == []
    assert sorted(path.name for path in folder.iterdir()) == ["accounts.csv"]


def test_check_doubts_exports_that_nobody_renews(folder: Path, connect: Connect) -> None:
    now = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    for name, days in (("accounts-1.csv", 30), ("accounts-2.csv", 4)):
        (folder / name).write_text("id,name\n1,a\n")
        at = (now - timedelta(days=days)).timestamp()
        os.utime(folder / name, (at, at))
    doubt = (
        "the newest export is crm/accounts-2.csv, written 4 days ago; is the export still "
        "running? What is read counts as known as of then"
    )
    assert sentences(connect("accounts-*.csv", now=now)) == [(doubt, False)]
    a_day_ago = (now - timedelta(days=1)).timestamp()
    os.utime(folder / "accounts-1.csv", (a_day_ago, a_day_ago))
    assert sentences(connect("accounts-*.csv", now=now)) == []


def test_what_is_read_is_as_old_as_the_newest_of_its_files(folder: Path, connect: Connect) -> None:
    for name, day in (("accounts-1.csv", 1), ("accounts-2.csv", 4)):
        (folder / name).write_text("id,name\n1,a\n")
        at = datetime(2026, 2, day, 7, tzinfo=UTC).timestamp()
        os.utime(folder / name, (at, at))
    files = connect("accounts-*.csv")
    assert files.written_at("accounts") is None
    (page,) = files.read("accounts", None)
    assert files.written_at("accounts") == datetime(2026, 2, 4, 7, tzinfo=UTC)
    # Nothing has changed, so nothing is read; it is as old as before.
    again = connect("accounts-*.csv")
    assert list(again.read("accounts", page.cursor)) == []
    assert again.written_at("accounts") == datetime(2026, 2, 4, 7, tzinfo=UTC)


def test_check_names_a_missing_folder(folder: Path, connect: Connect) -> None:
    folder.rmdir()
    assert sentences(connect()) == [("there is no folder crm; it is the connection's “path”", True)]
    with pytest.raises(RejectedError, match="there is no folder crm"):
        list(connect().read("accounts", None))


def test_check_names_a_folder_that_cannot_be_written(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "accounts.csv").write_text("id,name\n1,a\n")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert sentences(connect()) == [("tasks and mail cannot be written to the folder crm", True)]


@pytest.mark.parametrize(
    ("text", "options", "sentence", "fatal"),
    [
        (None, {}, "there is no file crm/accounts.csv", True),
        ("id,nmae\n", {}, "crm/accounts.csv: there is no column “name”; did you mean", True),
        ("key,name\n", {}, "crm/accounts.csv: there is no column “id”", True),
        ("id,name\n", {"updated_at": "at"}, "there is no column “at”", True),
        ("id,name,name\n", {}, "the column “name” stands 2 times", True),
        ("", {}, "crm/accounts.csv is empty, without even a header", True),
    ],
)
def test_check_names_what_is_wrong_with_a_file(
    folder: Path,
    connect: Connect,
    text: str | None,
    options: dict[str, Any],
    sentence: str,
    *,
    fatal: bool,
) -> None:
    if text is not None:
        (folder / "accounts.csv").write_text(text)
    ((found, is_fatal),) = sentences(connect(**options))
    assert sentence in found
    assert is_fatal is fatal


def test_a_folder_that_may_not_be_listed(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.is_dir()

    def denied(_: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    assert sentences(connect()) == [("the folder crm cannot be read: Permission denied", True)]


# describe


def test_describe_names_the_columns_of_all_files(folder: Path, connect: Connect) -> None:
    (folder / "a.csv").write_text("\ufeff id ,,Größe\n", encoding="utf-8")
    (folder / "b.csv").write_text("id,extra\n")
    fields = connect(file="*.csv").describe("accounts")
    assert [(field.name, field.type, field.writable) for field in fields] == [
        ("id", None, True),
        ("Größe", None, True),
        ("extra", None, True),
    ]


def test_describe_of_a_missing_file(connect: Connect) -> None:
    with pytest.raises(RejectedError, match=r"there is no file crm/accounts\.csv"):
        connect().describe("accounts")


# options


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"file": "../accounts.csv"}, "is not the name of something inside"),
        ({"file": "/etc/passwd"}, "is not the name of something inside"),
        ({"file": ""}, "is not the name of something inside"),
        ({"file": "a**b.csv"}, "must stand alone between slashes"),
        ({"file": "a.csv", "encoding": "utf-9"}, "“utf-9” is not an encoding"),
        ({"file": "a.csv", "encoding": "base64"}, "“base64” is not an encoding"),
        ({"file": "a.csv", "encoding": "idna"}, "“idna” is not an encoding"),
        ({"file": "a.csv", "delimiter": "||"}, "a delimiter is one ASCII character"),
        ({"file": "a.csv", "delimiter": '"'}, "a delimiter is one ASCII character"),
        ({"file": "a.csv", "format": "xlsx"}, "Input should be 'csv', 'jsonl' or 'parquet'"),
        ({"file": "a.csv", "updated_at_format": "%Y"}, "that of the column named by updated_at"),
        ({"file": "a.csv", "snapshot": True}, "Extra inputs are not permitted"),
        ({}, "Field required"),
    ],
)
def test_wrong_options_of_a_stream(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        FilesStreamOptions.model_validate(options)


@pytest.mark.parametrize("outbox", ["", ".", "..", "a/b", "/tmp"])  # noqa: S108  it is refused
def test_wrong_names_of_the_outbox(outbox: str) -> None:
    with pytest.raises(ValidationError, match="is not the name of"):
        FilesOptions.model_validate({"path": "crm", "outbox": outbox})
