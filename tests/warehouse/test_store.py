from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import ibis.expr.datatypes as dt
import pytest
from ibis.common.exceptions import TableNotFound

from crmsync.errors import StoreBusyError, StoreError
from crmsync.model.records import Compiled, Given
from crmsync.model.tables import CANONICAL_TABLES, Field, FieldType
from crmsync.warehouse import schema
from crmsync.warehouse.database import BOOKS, Database
from crmsync.warehouse.store import Warehouse
from warehouse.warehouse_world import Store

AT_ONCE = timedelta()

_HOLD = """
import sys, pathlib
from crmsync.warehouse.store import Warehouse
warehouse = Warehouse(pathlib.Path(sys.argv[1]))
with getattr(warehouse, sys.argv[2])():
    print("holding", flush=True)
    sys.stdin.read()
"""

_MERGE_FOR_EVER = """
import itertools, sys, pathlib
sys.path.insert(0, sys.argv[2])
from warehouse.warehouse_world import Store
from crmsync.warehouse.store import Warehouse
store = Store(Warehouse(pathlib.Path(sys.argv[1])))
for number in itertools.count(1):
    rows = [{"id": str(number * 100 + i), "tier": str(number)} for i in range(50)]
    rows += [{"id": str(i), "tier": str(number)} for i in range(50)]
    store.cursors = number - 1
    store.merge(*rows)
    print(number, flush=True)
"""


def _rows_of_merge(number: int) -> list[dict[str, str]]:
    """What the process above merges."""
    new = [{"id": str(number * 100 + i), "tier": str(number)} for i in range(50)]
    return new + [{"id": str(i), "tier": str(number)} for i in range(50)]


def _other_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_reading_before_anything_was_written_gives_empty_tables(tmp_path: Path) -> None:
    streams = {("crm", "accounts"): "account"}
    warehouse = Warehouse(tmp_path / "new" / "warehouse.duckdb", CANONICAL_TABLES, streams)
    with warehouse.reading() as records:
        assert records.counts() == {}
        (state,) = records.stream_states()
        assert records.rows("account", []) == {}
        assert records.quarantine().counts == {}
    assert (state.connection, state.stream, state.table) == ("crm", "accounts", "account")
    assert state.read_at is None


def test_several_read_at_once_and_make_temporary_tables(store: Store) -> None:
    store.merge({"id": "1"})
    with store.warehouse.reading() as one, store.warehouse.reading(AT_ONCE) as other:
        one.backend.create_table("mine", one.table("account").select("id"), temp=True)
        assert one.backend.to_pyarrow(one.backend.table("mine")).num_rows == 1
        with pytest.raises(TableNotFound):
            other.backend.table("mine")


@pytest.mark.parametrize(
    ("held", "wanted", "doing"),
    [("reading", "writing", "reads it"), ("writing", "reading", "merges records into it")],
)
def test_a_busy_store_names_the_process(store: Store, held: str, wanted: str, doing: str) -> None:
    store.merge({"id": "1"})
    with _other_process(_HOLD, str(store.warehouse.path), held) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holding\n"
        with (
            pytest.raises(StoreBusyError) as caught,
            getattr(store.warehouse, wanted)(timedelta(seconds=0.1)),
        ):
            pass
        other.communicate("")
    assert f"process {other.pid}" in str(caught.value)
    assert doing in str(caught.value)
    with getattr(store.warehouse, wanted)(AT_ONCE):
        pass


def test_whoever_waits_gets_the_store_when_it_is_free(store: Store) -> None:
    store.merge({"id": "1"})
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with store.warehouse.writing():
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    threading.Timer(0.2, release.set).start()
    with store.warehouse.reading(timedelta(seconds=10)) as records:
        assert records.counts() == {("crm", "accounts"): 1}
    thread.join()


def test_custom_fields_are_added_to_what_is_there(store: Store) -> None:
    store.merge({"id": "1", "name": "A"})
    health = Field(name="health score", type=FieldType.NUMBER)
    tables = CANONICAL_TABLES | {"account": CANONICAL_TABLES["account"].with_fields((health,))}
    wider = Store(Warehouse(store.warehouse.path, tables))
    assert wider.live()["1"]["health score"] is None
    assert wider.merge({"id": "1", "name": "A", "health score": 3}).changed == 1
    assert wider.live()["1"]["health score"] == 3
    text = Field(name="health score", type=FieldType.TEXT)
    tables |= {"account": CANONICAL_TABLES["account"].with_fields((text,))}
    with (
        pytest.raises(StoreError, match="“health score” of account is kept as DECIMAL"),
        Warehouse(store.warehouse.path, tables).reading(),
    ):
        pass


def test_an_older_file_is_migrated_and_a_newer_one_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.merge({"id": "1", "name": "A"})

    def second(database: Database) -> None:
        database.create("notes", BOOKS, {"text": dt.string})

    older = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*older, second))
    newer = Store(Warehouse(store.warehouse.path))
    assert newer.live()["1"]["name"] == "A"
    assert newer.book("notes") == []
    assert newer.book("schema_version") == [{"version": len(older) + 1}]
    monkeypatch.setattr(schema, "MIGRATIONS", older)
    refused = Warehouse(store.warehouse.path)
    with pytest.raises(StoreError, match="written by a newer crmsync"), refused.reading():
        pass


def test_a_damaged_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreError, match="could not be read"), Warehouse(path).reading():
        pass


def test_a_killed_merge_leaves_what_was_committed(store: Store) -> None:
    tests = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120  an argument
    with _other_process(_MERGE_FOR_EVER, str(store.warehouse.path), tests) as other:
        assert other.stdout is not None
        for _ in range(3):
            told = int(other.stdout.readline())
        other.send_signal(signal.SIGKILL)
    (state,) = store.book("stream_state")
    merged = int(state["cursor"])
    assert merged >= told
    live = store.live()
    assert len(live) == 50 + 50 * merged
    assert {live[str(i)]["tier"] for i in range(50)} == {str(merged)}
    assert len(store.history()) == 50 * (merged - 1)
    # What goes on from there ends as if nothing had happened.
    whole = Store(Warehouse(store.warehouse.path.with_name("whole.duckdb"), CANONICAL_TABLES))
    for number in range(1, merged + 3):
        rows = _rows_of_merge(number)
        if number > merged:
            store.cursors = number - 1
            store.merge(*rows)
        whole.merge(*rows)
    assert store.kept() == whole.kept()
    assert store.history() == whole.history()
    assert store.book("stream_state") == whole.book("stream_state")


def test_a_full_disk_is_told_in_a_sentence_and_leaves_nothing_half_written(store: Store) -> None:
    store.merge({"id": "1", "name": "A"})
    code = (
        "import resource, signal, sys, pathlib\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from warehouse.warehouse_world import Store\n"
        "from crmsync.warehouse.store import Warehouse\n"
        "from crmsync.errors import StoreError\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "store = Store(Warehouse(path))\n"
        "rows = [{'id': str(i), 'name': str(hash(str(i)) ** 9)} for i in range(60_000)]\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "most = path.stat().st_size + 200_000\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))\n"
        "try:\n"
        "    store.merge(*rows)\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    tests = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120  an argument
    with _other_process(code, str(store.warehouse.path), tests) as other:
        told, _ = other.communicate()
    assert "could not be written" in told
    assert "nothing was half-written" in told
    assert set(store.live()) == {"1"}


def test_a_record_whose_newest_row_cannot_be_used_is_named_until_it_can(tmp_path: Path) -> None:
    streams = {("crm", "accounts"): "account", ("crm", "contacts"): "contact"}
    store = Store(Warehouse(tmp_path / "warehouse.duckdb", CANONICAL_TABLES, streams))
    store.merge({"id": "1", "name": "One"}, {"id": "2", "name": "Two"})
    bad = {"id": "1", "_problem": "accounts.csv, row 1: bad", "_row": 1}
    store.merge(bad, {"_problem": "accounts.csv, row 2: no key", "_row": 2})

    def unread(table: str = "account") -> dict[str, str]:
        with store.warehouse.reading() as records:
            return records.unread(table, ["crm:1", "crm:2"])

    assert unread() == {"crm:1": "accounts.csv, row 1: bad"}
    assert unread("contact") == {}
    store.merge({"id": "1", "name": "Uno", "_row": 1})
    assert unread() == {}


def test_a_query_of_any_length_has_its_rows_in_their_order() -> None:
    database = Database(Path(":memory:"), read_only=False)
    text = "SELECT n, getvariable('given').more AS more FROM range(3) AS r (n) WHERE n <> 1"
    given = Given(values={"more": 7})
    padding = "n IN (" + ", ".join(["5"] * 5000) + ")"
    for query in (text, f"{text} AND NOT ({padding})", f"{text} AND n <> 0 AND NOT ({padding})"):
        rows = database.query(Compiled(text=f"{query} ORDER BY n DESC"), given).to_pylist()
        assert [row["n"] for row in rows] == ([2] if "n <> 0" in query else [2, 0])
        assert {row["more"] for row in rows} == {7}
    database.close()
