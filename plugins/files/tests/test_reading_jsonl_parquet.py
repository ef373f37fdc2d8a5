from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crmsync.errors import RejectedError
from crmsync.model.pages import PROBLEM, ROW
from crmsync.model.tables import FieldType
from crmsync_files import reading
from crmsync_files.connector import FilesConnector
from crmsync_files.formats import json_lines, parquet

if TYPE_CHECKING:
    from pathlib import Path

Connect = Callable[..., FilesConnector]

JSONL = "accounts.jsonl"
PARQUET = "accounts.parquet"


def records(connector: FilesConnector, since: str | None = None) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name != "_origin"}
        for page in connector.read("accounts", since)
        for row in page.records.to_pylist()
    ]


def lines(*objects: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in objects)


# JSON Lines


def test_json_keeps_its_types_and_nested_values_become_text(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text(
        lines(
            {"id": 1, "n": 1.5, "b": True, "t": "Łódź\n", "o": {"a": [1, None]}, "l": []},
            {"id": 2, "n": 2, "b": None, "o": "plain", "l": [1, {"x": "é"}]},
        )
    )
    connector = connect(file=JSONL, columns=("id", "n", "b", "t", "o", "l", "never"))
    assert records(connector) == [
        {"id": 1, "n": 1.5, "b": True, "t": "Łódź\n", "o": '{"a":[1,null]}', "l": "[]",
         "never": None, ROW: 1},
        {"id": 2, "n": 2.0, "b": None, "t": None, "o": "plain", "l": '[1,{"x":"é"}]',
         "never": None, ROW: 2},
    ]  # fmt: skip


def test_values_that_do_not_agree_become_text(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text(
        lines({"id": 1, "name": "a"}, {"id": "x", "name": 7}, {"id": 2**63, "name": False})
    )
    assert [(r["id"], r["name"]) for r in records(connect(file=JSONL))] == [
        ("1", "a"),
        ("x", "7"),
        (str(2**63), "false"),
    ]


def test_types_may_differ_from_page_to_page(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "_PIECE_ROWS", 2)
    names = [None, None, 1, 2, 2.5, None, "x", "y", None, None]
    (folder / JSONL).write_text(
        lines(*({"id": number, "name": name} for number, name in enumerate(names)))
    )
    pages = list(connect(file=JSONL).read("accounts", None))
    assert [value for page in pages for value in page.records["name"].to_pylist()] == names
    assert [page.records.schema.field("name").type for page in pages] == [
        pa.int64(),
        pa.float64(),
        pa.string(),
    ]


def test_a_broken_line_loses_no_other(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text('{"id":1}\n\n{"id":2,\n[3]\n{"id":4}\n"five"\n')
    found = {row[ROW]: row for row in records(connect(file=JSONL))}
    assert {number: row["id"] for number, row in found.items()} == {
        1: 1,
        2: None,
        3: None,
        4: 4,
        5: None,
    }
    assert found[1][PROBLEM] is None
    assert "crm/accounts.jsonl, row 2: it is not valid JSON" in found[2][PROBLEM]
    assert "row 3: it is no JSON object" in found[3][PROBLEM]


@pytest.mark.parametrize("end", ['{"id":2,"na', '{"id":2,"name":"a"', '"'])
def test_a_torn_last_line_is_refused(folder: Path, connect: Connect, end: str) -> None:
    (folder / JSONL).write_text('{"id":1}\n' + end)
    with pytest.raises(RejectedError, match="row 2: the file ends in the middle") as error:
        records(connect(file=JSONL))
    assert error.value.row == 2


def test_the_last_line_needs_no_line_end(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text('{"id":1}\r\n{"id":2}')
    assert [row["id"] for row in records(connect(file=JSONL))] == [1, 2]


@pytest.mark.parametrize("text", ['[{"id":1},{"id":2}]\n', '[\n{"id":1},\n{"id":2}\n]\n'])
def test_a_json_array_is_told_apart(folder: Path, connect: Connect, text: str) -> None:
    (folder / JSONL).write_text(text)
    with pytest.raises(RejectedError, match="this is one JSON array, not JSON Lines"):
        records(connect(file=JSONL))


def test_indented_json_is_refused_as_a_whole(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text(json.dumps({"id": 1, "name": "a"}, indent=1) + "\n")
    with pytest.raises(RejectedError, match="so it is with all rows down to row 4"):
        records(connect(file=JSONL))


def test_a_line_too_long_to_be_a_record(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "_MOST_BYTES", 100)
    (folder / JSONL).write_text(lines({"id": 1}, {"id": 2, "name": "x" * 200}))
    with pytest.raises(RejectedError, match="row 2: the line is longer than"):
        records(connect(file=JSONL))


def test_json_in_other_encodings(folder: Path, connect: Connect) -> None:
    text = '{"id":1,"name":"Müller"}\n{"id":2,"name":"b"}\n'
    (folder / JSONL).write_text(text, encoding="utf-16")
    assert [row["name"] for row in records(connect(file=JSONL))] == ["Müller", "b"]
    (folder / JSONL).write_text(text, encoding="cp1252")
    assert records(connect(file=JSONL, encoding="cp1252"))[0]["name"] == "Müller"
    with pytest.raises(RejectedError, match="row 1: this is not utf-8 text"):
        records(connect(file=JSONL))


def test_a_key_that_no_record_has_is_a_mistake(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text(lines({"Id": 1}, {"Id": 2, "name": "x"}))
    with pytest.raises(RejectedError, match="no record has the field “id”; did you mean “Id”"):
        records(connect(file=JSONL))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_json_file_of_no_records_is_one_only_where_nothing_is_deleted_by_it(
    folder: Path, connect: Connect, content: bytes
) -> None:
    (folder / JSONL).write_bytes(content)
    (page,) = connect(file=JSONL).read("accounts", None)
    assert page.records.num_rows == 0
    assert page.records.column_names == ["id", "name", "_origin", ROW]
    assert list(connect(file=JSONL).read("accounts", page.cursor)) == []
    with pytest.raises(RejectedError) as error:
        records(connect(file=JSONL, complete=True))
    assert str(error.value) == (
        "crm/accounts.jsonl has no records; as a complete export it would say that every record "
        "is deleted. Export it again"
    )


def test_check_tells_of_a_json_file_of_no_records(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text("")
    for complete in (False, True):
        (finding,) = connect(file=JSONL, complete=complete).check()
        assert "crm/accounts.jsonl has no records" in finding.sentence
        assert finding.fatal is complete


def test_an_empty_parquet_file_is_refused(folder: Path, connect: Connect) -> None:
    (folder / PARQUET).write_bytes(b"")
    with pytest.raises(RejectedError, match="this is not a whole Parquet file"):
        records(connect(file=PARQUET))


def test_resuming_a_json_file(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "_PIECE_ROWS", 3)
    monkeypatch.setattr(reading, "_PAGE_ROWS", 4)
    text = lines(*({"id": number} for number in range(20))).replace('{"id": 7}', '{"id": 7')
    (folder / JSONL).write_text(text)
    connector = connect(file=JSONL)
    pages = list(connector.read("accounts", None))
    assert len(pages) == 7
    for count, page in enumerate(pages, 1):
        rest = list(connector.read("accounts", page.cursor))
        assert [p.records[ROW].to_pylist() for p in rest] == [
            p.records[ROW].to_pylist() for p in pages[count:]
        ]


def test_json_describes_what_its_first_records_have(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text(lines({"id": 1, "b": True}, {"id": 2, "b": "x", "n": {"a": 1}}))
    described = {field.name: field.type for field in connect(file=JSONL).describe("accounts")}
    assert described == {"id": FieldType.INTEGER, "b": None, "n": None}


def test_check_doubts_a_field_that_no_record_has(folder: Path, connect: Connect) -> None:
    (folder / JSONL).write_text(lines({"id": 1, "nmae": "x"}))
    (finding,) = connect(file=JSONL).check()
    assert not finding.fatal
    assert "has the field “name”; did you mean “nmae”" in finding.sentence


# Parquet


def parquet_file(path: Path, **columns: pa.Array) -> None:
    pq.write_table(pa.table(columns), path, row_group_size=5)


def test_parquet_keeps_its_types_and_nested_values_become_text(
    folder: Path, connect: Connect
) -> None:
    parquet_file(
        folder / PARQUET,
        **{
            "id": pa.array([1, 2]),
            " amount.total ": pa.array([Decimal("1.50"), None]),
            "day": pa.array([date(2026, 1, 1), None]),
            "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC), None]),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "tags": pa.array([["a", "b"], None]),
            "address": pa.array([{"city": "Łódź"}, None]),
            "raw": pa.array([b"bytes", None]),
            "nothing": pa.array([None, None]),
        },
    )
    columns = ("id", "amount.total", "day", "at", "kind", "tags", "address", "raw", "nothing")
    (page,) = connect(file=PARQUET, columns=columns).read("accounts", None)
    assert page.records.drop_columns(["_origin", "_row"]).to_pylist() == [
        {
            "id": 1,
            "amount.total": Decimal("1.50"),
            "day": date(2026, 1, 1),
            "at": datetime(2026, 1, 1, tzinfo=UTC),
            "kind": "x",
            "tags": '["a","b"]',
            "address": '{"city":"Łódź"}',
            "raw": "bytes",
            "nothing": None,
        },
        dict.fromkeys(columns) | {"id": 2, "kind": "y"},
    ]
    assert page.records.schema.field("nothing").type == pa.string()


def test_resuming_a_parquet_file(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_PIECE_ROWS", 3)
    monkeypatch.setattr(reading, "_PAGE_ROWS", 4)
    parquet_file(folder / PARQUET, id=pa.array(range(20)), name=pa.array(["x"] * 20))
    connector = connect(file=PARQUET)
    pages = list(connector.read("accounts", None))
    assert [key for page in pages for key in page.records["id"].to_pylist()] == list(range(20))
    for count, page in enumerate(pages, 1):
        rest = list(connector.read("accounts", page.cursor))
        assert [p.records[ROW].to_pylist() for p in rest] == [
            p.records[ROW].to_pylist() for p in pages[count:]
        ]


def test_parquet_update_times(folder: Path, connect: Connect) -> None:
    connector = connect(file=PARQUET, columns=("id",), updated_at="at")
    for type_ in (pa.timestamp("ns", "Europe/Zurich"), pa.timestamp("ms"), pa.date32()):
        days = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
        at = pa.array(days, pa.timestamp("us", "UTC"))
        cast = at.cast(pa.timestamp("us")).cast(type_) if type_ == pa.date32() else at.cast(type_)
        parquet_file(folder / PARQUET, id=pa.array([1, 2]), at=cast[:2])
        *_, page = connector.read("accounts", None)
        parquet_file(folder / PARQUET, id=pa.array([1, 2, 3]), at=cast)
        assert [row["id"] for row in records(connector, page.cursor)] == [2, 3], type_


@pytest.mark.parametrize("keep", [0, 3, 50, -1])
def test_a_torn_parquet_file_is_refused(folder: Path, connect: Connect, keep: int) -> None:
    parquet_file(folder / PARQUET, id=pa.array([1, 2]), name=pa.array(["x", "y"]))
    whole = (folder / PARQUET).read_bytes()
    (folder / PARQUET).write_bytes(whole[:keep])
    with pytest.raises(RejectedError, match="this is not a whole Parquet file"):
        records(connect(file=PARQUET))


def test_a_parquet_file_damaged_inside_is_refused(folder: Path, connect: Connect) -> None:
    parquet_file(folder / PARQUET, id=pa.array(range(1000)), name=pa.array(["x"] * 1000))
    damaged = bytearray((folder / PARQUET).read_bytes())
    damaged[200:2000] = b"\xff" * 1800
    (folder / PARQUET).write_bytes(damaged)
    with pytest.raises(RejectedError, match="this Parquet file is damaged"):
        records(connect(file=PARQUET))


def test_a_missing_parquet_column_names_the_nearest(folder: Path, connect: Connect) -> None:
    parquet_file(folder / PARQUET, id=pa.array([1]), nmae=pa.array(["x"]))
    with pytest.raises(RejectedError, match="no column “name”; did you mean “nmae”"):
        records(connect(file=PARQUET))
    assert [field.name for field in connect(file=PARQUET).describe("accounts")] == ["id", "nmae"]


def test_bytes_that_are_no_text_are_refused(folder: Path, connect: Connect) -> None:
    parquet_file(folder / PARQUET, id=pa.array([1]), name=pa.array([b"\xff\xfe"]))
    with pytest.raises(RejectedError, match="the column “name” holds bytes that are not text"):
        records(connect(file=PARQUET))


# Formats


def test_a_suffix_that_tells_no_format(folder: Path, connect: Connect) -> None:
    (folder / "accounts.dat").write_text("id,name\n1,a\n")
    with pytest.raises(RejectedError, match="set the stream's “format” to csv, jsonl or parquet"):
        records(connect(file="accounts.dat"))
    assert records(connect(file="accounts.dat", format="csv"))[0]["name"] == "a"
    (folder / "ACCOUNTS.CSV").write_text("id,name\n1,b\n")
    assert records(connect(file="ACCOUNTS.CSV"))[0]["name"] == "b"


def test_formats_may_be_mixed(folder: Path, connect: Connect) -> None:
    (folder / "accounts-1.csv").write_text("id,name\n1,a\n")
    (folder / "accounts-2.jsonl").write_text(lines({"id": "2", "name": "b"}))
    parquet_file(folder / "accounts-3.parquet", id=pa.array([3]), name=pa.array(["c"]))
    found = records(connect(file="accounts-*"))
    assert [(row["id"], row["name"]) for row in found] == [("1", "a"), ("2", "b"), (3, "c")]
