"""Opening the file again and again, in engines that rest in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
import sqlglot.expressions as sge

from crmsync.model.records import Compiled, Given
from crmsync.warehouse.database import BOOKS, Database

if TYPE_CHECKING:
    from pathlib import Path

_ONE = pa.table({"id": ["1"]})


def _filled(path: Path, ids: pa.Table = _ONE) -> None:
    database = Database(path, read_only=False)
    database.create("things", BOOKS, {"id": "string"})
    database.insert("things", BOOKS, ids)
    database.close()


def _read(path: Path) -> list[str]:
    database = Database(path, read_only=True)
    try:
        ids: list[str] = database.fetch(sge.select("id").from_(f"{BOOKS}.things"))["id"].to_pylist()
        return ids
    finally:
        database.close()


def test_a_closed_file_is_whole_and_free_for_others(tmp_path: Path) -> None:
    path = tmp_path / "o'dd name.duckdb"
    _filled(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with duckdb.connect(str(path)) as other:
        other.execute("INSERT INTO books.things VALUES ('2')")
    assert _read(path) == ["1", "2"]


def test_what_was_temporary_is_gone_with_its_opening(tmp_path: Path) -> None:
    _filled(tmp_path / "a.duckdb")
    first = Database(tmp_path / "a.duckdb", read_only=True)
    first.keep("mine", _ONE)
    first.register("ours", _ONE)
    variable = Compiled(text="SELECT getvariable('given').x AS x")
    assert first.query(variable, Given(values={"x": 7}))["x"].to_pylist() == [7]
    first.close()
    second = Database(tmp_path / "a.duckdb", read_only=True)
    for name in ("mine", "ours"):
        with pytest.raises(duckdb.CatalogException):
            second.fetch(sge.select("*").from_(name))
    assert second.query(Compiled(text="SELECT getvariable('given') AS x"))["x"].to_pylist() == [
        None
    ]
    second.close()


def test_files_open_at_once_are_told_apart(tmp_path: Path) -> None:
    _filled(tmp_path / "a.duckdb")
    _filled(tmp_path / "b.duckdb", pa.table({"id": ["2"]}))
    before = Database(tmp_path / "b.duckdb", read_only=True)
    before.close()
    one = Database(tmp_path / "a.duckdb", read_only=True)
    before.close()  # for the second time: it has nothing any more to do with the engine
    assert _read(tmp_path / "b.duckdb") == ["2"]
    assert one.fetch(sge.select("id").from_(f"{BOOKS}.things"))["id"].to_pylist() == ["1"]
    one.close()


def test_a_file_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    broken.write_text("this is no warehouse\n" * 1000)
    with pytest.raises(duckdb.Error):
        Database(broken, read_only=True)
    broken.unlink()
    _filled(broken)
    assert _read(broken) == ["1"]


def test_what_does_not_fit_into_memory_lies_beside_its_own_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        database = Database(tmp_path / name / "x.duckdb", read_only=False)
        database.query(Compiled(text="SET memory_limit = '60MB'"))
        many = "SELECT i, hash(i) AS h, hash(i + 1) AS g FROM range(5000000) AS r (i)"
        database.keep(
            "many",
            sge.select("*").from_(
                sge.Anonymous(this="query", expressions=[sge.Literal.string(many)])
            ),
        )
        assert (tmp_path / name / "x.duckdb.tmp").exists()
        database.close()
        assert [file.name for file in (tmp_path / name).iterdir()] == ["x.duckdb"]
