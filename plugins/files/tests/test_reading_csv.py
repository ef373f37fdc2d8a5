from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import RejectedError
from crmsync.model.pages import ORIGIN, PROBLEM, ROW, Page
from crmsync_files.connector import FilesConnector
from crmsync_files.formats import delimited

if TYPE_CHECKING:
    from pathlib import Path

Connect = Callable[..., FilesConnector]


def rows(connect: Connect, **options: object) -> list[dict[str, Any]]:
    connector = connect(**options)
    return [row for page in connector.read("accounts", None) for row in page.records.to_pylist()]


def refused(connect: Connect, **options: object) -> RejectedError:
    with pytest.raises(RejectedError) as error:
        rows(connect, **options)
    return error.value


def test_values_are_text_with_their_origin_and_number(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text('id,unread,name\n1,x,"Acme, ""Inc"""\n2,y,\n')
    assert rows(connect) == [
        {"id": "1", "name": 'Acme, "Inc"', ORIGIN: "accounts.csv", ROW: 1},
        {"id": "2", "name": "", ORIGIN: "accounts.csv", ROW: 2},
    ]


def test_line_ends_inside_quotes_belong_to_the_value(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_bytes(b'id,name\r\n1,"two\r\nlines"\r\n2,b\r\n')
    assert [(row["name"], row[ROW]) for row in rows(connect)] == [("two\r\nlines", 1), ("b", 2)]


def test_empty_lines_are_no_records(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("\n\nid,name\n\n1,a\n\n2,b\n\n")
    assert [(row["id"], row[ROW]) for row in rows(connect)] == [("1", 1), ("2", 2)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(
    folder: Path, connect: Connect, encoding: str
) -> None:
    (folder / "accounts.csv").write_text("id,name\n1,Łódź 東京 🙂\n", encoding=encoding)
    assert rows(connect)[0]["name"] == "Łódź 東京 🙂"
    assert rows(connect, encoding="cp1252")[0]["name"] == "Łódź 東京 🙂"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("cp1252", "Müller € “x”"), ("latin-1", "Müller"), ("shift-jis", "東京"), ("utf-16-le", "東")],
)
def test_a_declared_encoding_is_used(
    folder: Path, connect: Connect, encoding: str, text: str
) -> None:
    (folder / "accounts.csv").write_text(f"id,name\n1,{text}\n", encoding=encoding)
    assert rows(connect, encoding=encoding)[0]["name"] == text


def test_a_long_file_in_another_encoding_is_read_whole(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 128)
    text = "id,name\n" + "".join(f"{number},€uro {number}\n" for number in range(500))
    (folder / "accounts.csv").write_text(text, encoding="cp1252")
    assert [row["name"] for row in rows(connect, encoding="cp1252")] == [
        f"€uro {number}" for number in range(500)
    ]


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("id, name ", "name"),
        ("id,Größe", "Größe"),
        ("id,Gro\u0308ße", "Größe"),
        ('id,"a ""quoted"" name"', 'a "quoted" name'),
        ("id,会社名", "会社名"),
        ('id,"two\nlines"', "two\nlines"),
        ("id,with space", "with space"),
    ],
)
def test_awkward_column_names(folder: Path, connect: Connect, header: str, column: str) -> None:
    (folder / "accounts.csv").write_text(f"{header}\n1,a\n", encoding="utf-8")
    assert rows(connect, columns=("id", column))[0] == {
        "id": "1",
        column: "a",
        ORIGIN: "accounts.csv",
        ROW: 1,
    }


def test_empty_and_repeated_names_matter_only_where_they_are_read(
    folder: Path, connect: Connect
) -> None:
    (folder / "accounts.csv").write_text("id,,,x,x,name\n1,,,3,4,a\n")
    assert rows(connect)[0]["name"] == "a"
    error = refused(connect, columns=("id", "x"))
    assert "crm/accounts.csv: the column “x” stands 2 times" in str(error)


def test_a_missing_column_names_the_nearest(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("id,Name\n1,a\n")
    error = refused(connect)
    assert str(error) == ("crm/accounts.csv: there is no column “name”; did you mean “Name”?")
    assert error.origin == "accounts.csv"


def test_a_wrong_delimiter_is_told(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("id;name\n1;a\n")
    assert "is the stream's “delimiter” “;”?" in str(refused(connect))
    assert rows(connect, delimiter=";")[0]["name"] == "a"


def test_tab_separated_files_need_no_delimiter(folder: Path, connect: Connect) -> None:
    (folder / "accounts.tsv").write_text("id\tname\n1\ta,b\n")
    assert rows(connect, file="accounts.tsv")[0]["name"] == "a,b"


def test_a_missing_file_names_the_nearest(folder: Path, connect: Connect) -> None:
    (folder / "acounts.csv").write_text("id,name\n")
    assert str(refused(connect)) == (
        "there is no file crm/accounts.csv; did you mean “acounts.csv”?"
    )


def test_a_name_the_core_keeps_is_refused(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("id,_row\n1,2\n")
    assert "“_row”" in str(refused(connect, columns=("id", "_row")))


@pytest.mark.parametrize("content", ["id,name", "id,name\n", "\n\nid,name\n\n"])
def test_files_without_records_are_fine(folder: Path, connect: Connect, content: str) -> None:
    (folder / "accounts.csv").write_text(content)
    (page,) = connect().read("accounts", None)
    assert page.records.num_rows == 0
    assert page.records.column_names == ["id", "name", ORIGIN, ROW]
    assert list(connect().read("accounts", page.cursor)) == []


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
@pytest.mark.parametrize("complete", [False, True])
def test_a_file_without_a_header_is_refused(
    folder: Path, connect: Connect, content: bytes, *, complete: bool
) -> None:
    (folder / "accounts.csv").write_bytes(content)
    error = refused(connect, complete=complete)
    assert str(error) == (
        "crm/accounts.csv is empty, without even a header; an export of no records has its header "
        "still. Export it again"
    )
    assert error.origin == "accounts.csv"


def test_an_empty_file_does_not_hide_the_others(folder: Path, connect: Connect) -> None:
    (folder / "a.csv").write_text("id,name\n1,a\n")
    (folder / "b.csv").write_text("")
    connector = connect(file="*.csv")
    pages: list[Page] = []
    with pytest.raises(RejectedError, match=r"crm/b\.csv is empty"):
        pages.extend(connector.read("accounts", None))
    assert [row["id"] for page in pages for row in page.records.to_pylist()] == ["1"]
    with pytest.raises(RejectedError, match=r"crm/b\.csv is empty"):
        list(connector.read("accounts", pages[0].cursor))


def test_ragged_rows_are_reported_and_lose_no_other(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("id,name\n1,a\n2\n3,c\n4,d,e\n5,e\n")
    found = {row[ROW]: row for row in rows(connect)}
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert [found[number]["id"] for number in (1, 3, 5)] == ["1", "3", "5"]
    assert found[2] == {
        "id": None,
        "name": None,
        ORIGIN: "accounts.csv",
        ROW: 2,
        PROBLEM: "crm/accounts.csv, row 2: it has 1 value, and the header has 2 columns",
    }
    assert "row 4: it has 3 values" in found[4][PROBLEM]
    assert found[5][PROBLEM] is None


def test_rows_keep_their_numbers_across_blocks(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 64)
    lines = ["ragged" if number % 7 == 3 else f"{number},{number}" for number in range(1, 200)]
    (folder / "accounts.csv").write_text("id,name\n" + "\n".join(lines) + "\n")
    found = {row[ROW]: row for row in rows(connect)}
    assert sorted(found) == list(range(1, 200))
    for number, row in found.items():
        assert (row[PROBLEM] is not None) == (number % 7 == 3)
        assert row["id"] == (None if number % 7 == 3 else str(number))


def test_a_file_of_which_no_row_can_be_read_is_refused(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("id,name\n1,a,\n2,b,\n3,c,\n")
    error = refused(connect)
    assert "row 1: it has 3 values" in str(error)
    assert "all rows down to row 3" in str(error)
    assert error.row == 1


def test_empty_lines_do_not_move_the_numbers_of_ragged_rows(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 64)
    lines = ["ragged\n\n" if number % 5 == 2 else f"\n{number},x" for number in range(1, 100)]
    (folder / "accounts.csv").write_text("\nid,name\n" + "\n".join(lines) + "\n\n")
    found = {row[ROW]: row["id"] for row in rows(connect)}
    assert found == {n: None if n % 5 == 2 else str(n) for n in range(1, 100)}


def test_a_last_row_with_too_many_values_is_not_torn(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("id,name\n1,a\n2,b,c")
    assert "row 2: it has 3 values" in rows(connect)[1][PROBLEM]


def test_many_ragged_rows_at_the_end_are_reported(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text("id,name\n1,a\n2\n3\n4\n")
    assert [row[ROW] for row in rows(connect)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("id,name\n1,a\n2", 2),  # half a row
        ('id,name\n1,a\n2,"b\n3,c\n', 2),  # a quote is never closed
        ('id,name\n1,a\n2,"b', 2),
        ('id,name\n1,a\n"2,b\n3,c\n', 2),
        ('id,name\n1,"a\n', 1),
    ],
)
def test_a_truncated_file_is_refused_with_its_row(
    folder: Path, connect: Connect, content: str, row: int
) -> None:
    (folder / "accounts.csv").write_text(content)
    error = refused(connect)
    assert f"crm/accounts.csv, row {row}: the file ends in the middle of this row" in str(error)
    assert (error.origin, error.row) == ("accounts.csv", row)


def test_a_file_cut_inside_a_character_is_truncated(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_bytes("id,name\n1,a\n2,é".encode()[:-1])
    assert "row 2: the file ends in the middle" in str(refused(connect))


def test_an_unclosed_quote_in_a_long_file_is_found(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 256)
    lines = [f"{number},{number}" for number in range(1, 300)]
    lines[99] = '100,"open'
    (folder / "accounts.csv").write_text("id,name\n" + "\n".join(lines) + "\n")
    error = refused(connect)
    assert error.row == 100
    assert "a quote is never closed" in str(error)


def test_a_record_too_long_to_be_one_is_refused(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 256)
    (folder / "accounts.csv").write_text(f'id,name\n1,a\n2,"{"x" * 2000}"\n3,c\n')
    assert "a record is longer than" in str(refused(connect))


def test_the_last_row_needs_no_line_end(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text('id,name\n1,a\n2,"b"')
    assert [row["name"] for row in rows(connect)] == ["a", "b"]


def test_a_quote_inside_a_value_is_a_character(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_text('id,name\n1,5" pipe\n2,b\n')
    assert [row["name"] for row in rows(connect)] == ['5" pipe', "b"]


def test_bytes_of_another_encoding_are_refused_with_their_row(
    folder: Path, connect: Connect
) -> None:
    (folder / "accounts.csv").write_bytes(b"id,name\n1,a\n2,M\xfcller\n3,c\n")
    error = refused(connect)
    assert "crm/accounts.csv, row 2: this is not utf-8 text; set the stream's “encoding”" in str(
        error
    )
    assert error.row == 2
    assert rows(connect, encoding="cp1252")[1]["name"] == "Müller"


def test_bytes_that_a_code_page_does_not_have_are_refused(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_bytes(b"id,name\n1,a\n2,\x81\n")
    error = refused(connect, encoding="cp1252")
    assert "row 2: this is not cp1252 text" in str(error)


def test_text_without_the_mark_that_its_encoding_begins_with_is_refused(
    folder: Path, connect: Connect
) -> None:
    (folder / "accounts.csv").write_bytes("id,name\n1,Müller\n".encode("cp1252"))
    assert "this is not utf-16 text" in str(refused(connect, encoding="utf-16"))


def test_an_undecodable_header_is_refused(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_bytes(b"id,name,Gr\xf6\xdfe\n1,a,2\n")
    assert "this is not utf-8 text" in str(refused(connect))


def test_half_a_utf16_character_is_refused(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_bytes("id,name\n1,a\n".encode("utf-16")[:-1])
    assert isinstance(refused(connect), RejectedError)


def test_control_characters_survive(folder: Path, connect: Connect) -> None:
    (folder / "accounts.csv").write_bytes(b"id,name\n1,a\x00b\x0bc\n")
    assert rows(connect)[0]["name"] == "a\x00b\x0bc"
