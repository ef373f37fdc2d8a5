"""Files that change, break or go away while they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import RejectedError, TransientError
from crmsync_files.connector import FilesConnector
from crmsync_files.formats import delimited, text

if TYPE_CHECKING:
    from crmsync.model.pages import Page

Connect = Callable[..., FilesConnector]

_ticks = iter(range(1, 1_000_000))


def write(path: Path, text: str) -> None:
    """Replace a file; each time later than the last, as exports are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".part")
    new.write_text(text, encoding="utf-8")
    tick = next(_ticks)
    os.utime(new, (tick, tick))
    new.replace(path)


def export(*ids: object) -> str:
    return "id,name\n" + "".join(f"{number},name {number}\n" for number in ids)


def ids(pages: list[Page]) -> list[str]:
    return [key for page in pages for key in page.records["id"].to_pylist()]


def read(connector: FilesConnector, since: str | None = None) -> list[Page]:
    return list(connector.read("accounts", since))


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("complete", [False, True])
def test_a_file_that_grows_while_it_is_read(
    folder: Path, connect: Connect, *, complete: bool
) -> None:
    path = folder / "accounts.csv"
    write(path, export(*range(40)))
    connector = connect(complete=complete)
    pages: list[Page] = []
    reading_ = connector.read("accounts", None)
    pages.append(next(reading_))
    with path.open("a") as target:
        target.write("40,forty\n")
    with pytest.raises(TransientError, match=r"crm/accounts\.csv changed while it was read"):
        pages.extend(reading_)
    assert not any(page.snapshot and page.snapshot.last for page in pages)
    again = read(connector, pages[-1].cursor)
    assert ids(again) == [str(number) for number in range(41)]


@pytest.mark.usefixtures("small_pages")
def test_files_before_one_that_changed_are_handed_out(folder: Path, connect: Connect) -> None:
    write(folder / "accounts-a.csv", export(1, 2))
    write(folder / "accounts-b.csv", "id,name\n3,c\n4,")  # ends as if still being written
    (folder / "accounts-b.csv").write_text('id,name\n3,c\n4,"d')
    pages: list[Page] = []
    with pytest.raises(RejectedError, match=r"accounts-b\.csv, row 2"):
        pages.extend(connect(file="accounts-*.csv").read("accounts", None))
    assert ids(pages) == ["1", "2"]
    write(folder / "accounts-b.csv", export(3, 4))
    assert ids(read(connect(file="accounts-*.csv"), pages[-1].cursor)) == ["3", "4"]


@pytest.mark.usefixtures("small_pages")
def test_a_file_that_is_replaced_while_it_is_read_is_harmless(
    folder: Path, connect: Connect
) -> None:
    path = folder / "accounts.csv"
    write(path, export(*range(40)))
    connector = connect(complete=True)
    reading_ = connector.read("accounts", None)
    pages = [next(reading_)]
    write(path, export(*range(100, 140)))
    pages.extend(reading_)
    assert ids(pages) == [str(number) for number in range(40)]
    assert ids(read(connector, pages[-1].cursor)) == [str(number) for number in range(100, 140)]


def test_a_file_that_goes_away_before_it_is_opened(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "accounts.csv", export(1))

    def gone(path: Path, *_: object) -> Any:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "open", gone)
    with pytest.raises(TransientError, match=r"crm/accounts\.csv cannot be read now: No such file"):
        read(connect())


def test_a_file_that_changes_after_its_last_row_was_parsed(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "accounts.csv"
    write(path, export(1, 2))
    parsed = delimited.DelimitedExport.pieces

    def pieces(self: Any, *args: Any, **options: Any) -> Any:
        yield from parsed(self, *args, **options)
        with path.open("a") as target:
            target.write("3,c\n")

    with monkeypatch.context() as patch:
        patch.setattr(delimited.DelimitedExport, "pieces", pieces)
        with pytest.raises(TransientError, match="changed while it was read"):
            read(connect())
    assert ids(read(connect())) == ["1", "2", "3"]


def test_a_file_that_seems_broken_because_it_is_being_written(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "accounts.csv"
    write(path, 'id,name\n1,a\n2,"b')
    found = text.find_fault

    def find_fault(*args: Any) -> Any:
        with path.open("a") as target:
            target.write('"\n')
        return found(*args)

    monkeypatch.setattr(delimited, "find_fault", find_fault)
    with pytest.raises(TransientError, match="changed while it was read"):
        read(connect())
    assert ids(read(connect())) == ["1", "2"]


def test_rows_that_were_not_handed_out_come_after_the_disk_has_recovered(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "accounts-a.csv", export(1, 2))
    write(folder / "accounts-b.csv", export(3, 4))
    parsed = delimited.DelimitedExport.pieces
    calls: list[object] = []

    def pieces(self: Any, *args: Any, **options: Any) -> Any:
        yield from parsed(self, *args, **options)
        calls.append(self)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(delimited.DelimitedExport, "pieces", pieces)
    connector = connect(file="accounts-*.csv")
    pages: list[Page] = []
    with pytest.raises(TransientError, match=r"accounts-b\.csv cannot be read now"):
        pages.extend(connector.read("accounts", None))
    assert ids(pages) == ["1", "2"]
    assert ids(read(connector, pages[-1].cursor)) == ["3", "4"]
