"""What is read again: files, cursors, update times, complete exports."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.errors import RejectedError
from crmsync.model.pages import ORIGIN, ROW, Page
from crmsync_files.connector import FilesConnector

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


def test_an_unchanged_folder_is_not_opened(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("a", "b"):
        write(folder / f"accounts-{part}.csv", export(1, 2, 3))
    for options in ({}, {"complete": True}, {"updated_at": "name"}):
        connector = connect(file="accounts-*.csv", **options)
        (page,) = read(connector)
        with monkeypatch.context() as patch:

            def never(*_: object, **__: object) -> Any:
                raise AssertionError("a file was opened")

            patch.setattr(Path, "open", never)
            patch.setattr("builtins.open", never)
            patch.setattr("io.open", never)
            patch.setattr(os, "open", never)
            assert read(connector, page.cursor) == []


def test_a_changed_file_is_read_whole_and_the_others_are_not(
    folder: Path, connect: Connect
) -> None:
    write(folder / "accounts-a.csv", export(1, 2))
    write(folder / "accounts-b.csv", export(3, 4))
    connector = connect(file="accounts-*.csv")
    (page,) = read(connector)
    assert ids([page]) == ["1", "2", "3", "4"]
    assert page.records[ORIGIN].to_pylist()[::2] == ["accounts-a.csv", "accounts-b.csv"]
    write(folder / "accounts-b.csv", export(3, 5))
    (page,) = read(connector, page.cursor)
    assert ids([page]) == ["3", "5"]
    write(folder / "accounts-c.csv", export(6))
    (page,) = read(connector, page.cursor)
    assert ids([page]) == ["6"]
    (folder / "accounts-a.csv").unlink()
    assert read(connector, page.cursor) == []


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("options", [{}, {"complete": True}, {"updated_at": "name"}])
def test_resuming_after_each_page_brings_exactly_the_rest(
    folder: Path, connect: Connect, options: dict[str, Any]
) -> None:
    lines = ["ragged" if number % 9 == 5 else f"{number},x" for number in range(1, 60)]
    write(folder / "accounts-a.csv", "id,name\n" + "\n".join(lines) + "\n")
    write(folder / "accounts-b.csv", export(*range(100, 125)))
    connector = connect(file="accounts-*.csv", **options)
    pages = read(connector)
    assert len(pages) > 5
    rows = [pair for page in pages for pair in zip(*_places(page), strict=True)]
    assert rows == [*(("accounts-a.csv", n) for n in range(1, 60)),
                    *(("accounts-b.csv", n) for n in range(1, 26))]  # fmt: skip
    for count, page in enumerate(pages, 1):
        rest = read(connector, page.cursor)
        assert [_places(p) for p in rest] == [_places(p) for p in pages[count:]]
        assert [p.snapshot for p in rest] == [p.snapshot for p in pages[count:]]


def _places(page: Page) -> tuple[list[str], list[int]]:
    records = page.records.sort_by([(ORIGIN, "ascending"), (ROW, "ascending")])
    return records[ORIGIN].to_pylist(), records[ROW].to_pylist()


@pytest.mark.usefixtures("small_pages")
def test_a_file_that_changed_between_pages_starts_over(folder: Path, connect: Connect) -> None:
    write(folder / "accounts.csv", export(*range(30)))
    connector = connect()
    first, *_ = read(connector)
    write(folder / "accounts.csv", export(*range(100, 130)))
    assert ids(read(connector, first.cursor)) == [str(number) for number in range(100, 130)]


def test_many_small_files_share_a_page(folder: Path, connect: Connect) -> None:
    for number in range(20):
        write(folder / f"accounts-{number:02}.csv", export(number))
    (page,) = read(connect(file="accounts-*.csv"))
    assert ids([page]) == [str(number) for number in range(20)]


def test_the_cursor_of_many_files_is_short(folder: Path, connect: Connect) -> None:
    for number in range(365):
        (folder / f"activities-2026-{number:03}.csv").write_text(export(number))
    (page,) = read(connect(file="activities-*.csv", updated_at="name"))
    assert len(page.cursor) < 40_000


def test_another_mapping_reads_all_anew(folder: Path, connect: Connect) -> None:
    write(folder / "accounts.csv", "id,name,tier\n1,a,gold\n")
    (page,) = read(connect())
    (page,) = read(connect(columns=("id", "tier")), page.cursor)
    assert page.records["tier"].to_pylist() == ["gold"]


@pytest.mark.parametrize(
    "cursor", ["", "not json", "[]", "3", '{"version":1}', '{"version":99}', '{"files":{"a":1}}']
)
def test_a_cursor_that_cannot_be_read_begins_anew(
    folder: Path, connect: Connect, cursor: str
) -> None:
    write(folder / "accounts.csv", export(1))
    assert ids(read(connect(), cursor)) == ["1"]


def test_files_of_the_connector_itself_match_no_pattern(folder: Path, connect: Connect) -> None:
    write(folder / "accounts.csv", export(1))
    write(folder / "tasks.csv", export(2))
    write(folder / ".hidden.csv", export(3))
    write(folder / "outbox" / "new" / "odd.csv", export(4))
    assert ids(read(connect(file="*.csv"))) == ["1"]
    assert ids(read(connect(file="**/*.csv"))) == ["1"]
    assert ids(read(connect(file="tasks.csv"))) == ["2"]


def test_a_name_with_brackets_is_a_name_first(folder: Path, connect: Connect) -> None:
    write(folder / "accounts [old].csv", export(1))
    assert ids(read(connect(file="accounts [old].csv"))) == ["1"]


def test_files_in_a_folder_below(folder: Path, connect: Connect) -> None:
    write(folder / "2026" / "accounts.csv", export(1))
    (page,) = read(connect(file="*/accounts.csv"))
    assert page.records[ORIGIN].to_pylist() == ["2026/accounts.csv"]


# What a column says of the time of change


def dated(*rows: tuple[int, str]) -> str:
    return "id,changed\n" + "".join(f"{key},{changed}\n" for key, changed in rows)


def test_only_records_at_or_after_the_last_update_time_come_again(
    folder: Path, connect: Connect
) -> None:
    connector = connect(columns=("id",), updated_at="changed")
    path = folder / "accounts.csv"
    write(path, dated((1, "2026-01-01T10:00:00Z"), (2, "2026-01-02T10:00:00Z")))
    (page,) = read(connector)
    assert page.records.column_names == ["id", ORIGIN, ROW]
    later = ((2, "2026-01-02T10:00:00Z"), (3, "2026-01-02T11:00:00+01:00"), (4, "2026-01-03"))
    write(path, dated((1, "2026-01-01T10:00:00Z"), *later, (5, ""), (6, "unknown")))
    (page,) = read(connector, page.cursor)
    assert ids([page]) == ["2", "3", "4", "5", "6"]
    write(path, dated((1, "2026-01-01T10:00:00Z")))
    (page,) = read(connector, page.cursor)
    assert ids([page]) == []  # and yet the cursor moves on
    assert read(connector, page.cursor) == []


def test_a_clock_without_an_offset_may_run_back_by_an_hour(folder: Path, connect: Connect) -> None:
    connector = connect(columns=("id",), updated_at="changed")
    write(folder / "accounts.csv", dated((1, "2025-10-26 02:50:00")))
    (page,) = read(connector)
    write(folder / "accounts.csv", dated((0, "2025-10-26 01:40"), (2, "2025-10-26 02:10:00")))
    assert ids(read(connector, page.cursor)) == ["2"]


def test_an_update_time_in_the_future_hides_nothing(folder: Path, connect: Connect) -> None:
    connector = connect(columns=("id",), updated_at="changed")
    write(folder / "accounts.csv", dated((1, "2026-01-05"), (2, "2099-01-01")))
    (page,) = read(connector)
    write(folder / "accounts.csv", dated((0, "2026-01-01"), (3, "2026-01-06")))
    assert ids(read(connector, page.cursor)) == ["3"]


def test_a_declared_format_of_update_times(folder: Path, connect: Connect) -> None:
    for format_, old, new in (
        ("%d.%m.%Y %H:%M", "31.12.2025 10:00", "01.02.2026 09:00"),
        ("%m/%d/%y %I:%M %p", "12/31/25 10:00 AM", "02/01/26 09:00 AM"),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2025-12-31T10:00:00.5+0000", "2026-02-01T09:00:00.5+0000"),
    ):
        connector = connect(columns=("id",), updated_at="changed", updated_at_format=format_)
        write(folder / "accounts.csv", dated((1, old), (2, new)))
        (page,) = read(connector)
        write(folder / "accounts.csv", dated((1, old), (2, new), (3, "unreadable")))
        assert ids(read(connector, page.cursor)) == ["2", "3"], format_


@pytest.mark.usefixtures("small_pages")
def test_a_reading_that_stopped_halfway_sets_no_mark(folder: Path, connect: Connect) -> None:
    connector = connect(columns=("id",), updated_at="changed")
    rows = [(number, f"2026-01-{30 - number:02}") for number in range(1, 29)]  # the newest first
    write(folder / "accounts.csv", dated(*rows))
    first, *_ = read(connector)
    write(folder / "accounts.csv", dated(*rows, (99, "2026-02-01")))
    again = read(connector, first.cursor)
    assert ids(again) == [*(str(number) for number in range(1, 29)), "99"]
    write(folder / "accounts.csv", dated(*rows))
    assert ids(read(connector, again[-1].cursor)) == []


def test_records_that_could_not_be_read_come_when_the_file_is_mended(
    folder: Path, connect: Connect
) -> None:
    connector = connect(columns=("id",), updated_at="changed")
    write(folder / "accounts.csv", "id,changed\n1,2026-01-01\n2\n3,2026-01-03\n")
    (page,) = read(connector)
    write(folder / "accounts.csv", dated((1, "2026-01-01"), (2, "2026-01-02"), (3, "2026-01-03")))
    assert ids(read(connector, page.cursor)) == ["1", "2", "3"]


def test_the_update_time_must_be_there(folder: Path, connect: Connect) -> None:
    write(folder / "accounts.csv", dated((1, "2026-01-01")))
    with pytest.raises(RejectedError, match="no column “chnged”; did you mean “changed”"):
        read(connect(columns=("id",), updated_at="chnged"))


def test_the_present_instant_is_the_clock_s(folder: Path, connect: Connect) -> None:
    write(folder / "accounts.csv", dated((1, "2026-01-05"), (2, "2026-02-05")))
    early = connect(columns=("id",), updated_at="changed", now=datetime(2026, 1, 10, tzinfo=UTC))
    (page,) = read(early)
    write(folder / "accounts.csv", dated((3, "2026-01-01"), (4, "2026-01-20")))
    assert ids(read(early, page.cursor)) == ["4"]


# Complete exports


def test_a_complete_export_is_a_listing(folder: Path, connect: Connect) -> None:
    write(folder / "accounts-a.csv", export(1, 2))
    write(folder / "accounts-b.csv", export(3))
    connector = connect(file="accounts-*.csv", complete=True)
    (page,) = read(connector)
    assert page.snapshot is not None
    assert page.snapshot.last
    write(folder / "accounts-b.csv", export())
    (again,) = read(connector, page.cursor)
    assert ids([again]) == ["1", "2"]  # the unchanged file belongs to the listing
    assert again.snapshot is not None
    assert again.snapshot.last
    assert again.snapshot.id != page.snapshot.id
    (folder / "accounts-b.csv").unlink()
    (last,) = read(connector, again.cursor)
    assert ids([last]) == ["1", "2"]
    assert read(connector, last.cursor) == []


def test_a_complete_export_ignores_update_times(folder: Path, connect: Connect) -> None:
    connector = connect(columns=("id",), updated_at="changed", complete=True)
    write(folder / "accounts.csv", dated((1, "2026-01-01"), (2, "2026-01-05")))
    (page,) = read(connector)
    write(folder / "accounts.csv", dated((1, "2026-01-01"), (2, "2026-01-05"), (3, "2026-01-06")))
    assert ids(read(connector, page.cursor)) == ["1", "2", "3"]


@pytest.mark.usefixtures("small_pages")
def test_a_file_that_joins_a_listing_that_stopped(folder: Path, connect: Connect) -> None:
    write(folder / "accounts-a.csv", export(*range(25)))
    connector = connect(file="accounts-*.csv", complete=True)
    first, *_ = read(connector)
    write(folder / "accounts-b.csv", export(100))
    rest = read(connector, first.cursor)
    assert ids([first, *rest]) == [*(str(number) for number in range(25)), "100"]
    assert {page.snapshot.id for page in [first, *rest] if page.snapshot} == {
        first.snapshot.id if first.snapshot else None
    }
    assert [page.snapshot.last for page in rest if page.snapshot][-1]


def test_a_listing_ends_when_the_file_that_stopped_it_is_gone(
    folder: Path, connect: Connect
) -> None:
    write(folder / "accounts-a.csv", export(*range(10)))
    write(folder / "accounts-b.csv", "")
    connector = connect(file="accounts-*.csv", complete=True)
    pages: list[Page] = []
    with pytest.raises(RejectedError, match="is empty"):
        pages.extend(connector.read("accounts", None))
    (folder / "accounts-b.csv").unlink()
    (page,) = read(connector, pages[-1].cursor)
    assert page.records.num_rows == 0
    assert page.snapshot is not None
    assert page.snapshot.last
    assert read(connector, page.cursor) == []


def test_no_deletions_while_a_row_cannot_be_read(folder: Path, connect: Connect) -> None:
    write(folder / "accounts.csv", "id,name\n1,a\n2\n3,c\n")
    connector = connect(complete=True)
    (page,) = read(connector)
    assert page.snapshot is not None
    assert not page.snapshot.last
    assert read(connector, page.cursor) == []
    write(folder / "accounts.csv", export(1, 3))
    (page,) = read(connector, page.cursor)
    assert page.snapshot is not None
    assert page.snapshot.last


def test_a_complete_export_of_nothing_deletes_all(folder: Path, connect: Connect) -> None:
    write(folder / "accounts.csv", "id,name\n")
    (page,) = read(connect(complete=True))
    assert page.records.num_rows == 0
    assert page.snapshot is not None
    assert page.snapshot.last


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("tail", ["30", '30,"open\n31,x\n'])
def test_a_truncated_complete_export_deletes_nothing(
    folder: Path, connect: Connect, tail: str
) -> None:
    connector = connect(complete=True)
    write(folder / "accounts.csv", export(*range(30)) + tail)
    pages: list[Page] = []
    with pytest.raises(RejectedError, match="row 31: the file ends in the middle"):
        pages.extend(connector.read("accounts", None))
    assert not any(page.snapshot and page.snapshot.last for page in pages)
    with pytest.raises(RejectedError, match="row 31"):
        read(connector, pages[-1].cursor)
    write(folder / "accounts.csv", export(*range(31)))
    mended = read(connector, pages[-1].cursor)
    assert ids(mended) == [str(number) for number in range(31)]
    assert mended[0].snapshot != pages[0].snapshot
