"""What only a SQLite file does."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from crmsync.errors import StoreBusyError, StoreError
from crmsync.ledger.store import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


def test_every_commit_is_flushed_and_readers_do_not_block(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1


def test_a_file_that_is_no_ledger_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text("Dear diary, " * 100)
    with pytest.raises(StoreError, match="damaged or no ledger"):
        Ledger(path)
    assert path.read_text().startswith("Dear diary")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"the folder .*nowhere does not exist"):
        Ledger(tmp_path / "nowhere" / "ledger.sqlite")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(StoreError, match=r"ledger\.sqlite cannot be opened.*check its permissions"):
        Ledger(tmp_path / "ledger.sqlite")


def test_a_full_disk_is_one_sentence_and_half_of_nothing(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        pages = connection.scalar(sa.text("PRAGMA page_count"))
        connection.execute(sa.text(f"PRAGMA max_page_count = {pages + 1}"))
    insert = sa.text("INSERT INTO rule_state VALUES (:rule, '2026-01-01', NULL)")
    rows = [{"rule": f"{number}" * 500} for number in range(100)]
    full = "is full; nothing of this step was recorded"
    with pytest.raises(StoreError, match=full), ledger.writing() as connection:
        connection.execute(insert, rows)
    assert ledger.enrolment_snapshot().seen_rules == {}


def test_another_writer_is_waited_for_and_then_named(path: Path) -> None:
    Ledger(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Ledger(path, wait_seconds=0.05) as impatient:
        busy = "another process is writing"
        with pytest.raises(StoreBusyError, match=busy), impatient.writing():
            pass
        assert impatient.enrolment_snapshot().open == ()
        other.execute("ROLLBACK")
        with impatient.writing():
            pass
    other.close()


def test_a_process_that_is_making_the_file_is_waited_for_too(tmp_path: Path) -> None:
    # SQLite answers a switch to WAL with “busy” at once while another process writes.
    path = tmp_path / "ledger.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE early (number)")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError, match="another process is writing"):
        Ledger(path, wait_seconds=0.1)
    release = threading.Timer(0.2, other.execute, ["ROLLBACK"])
    release.start()
    with Ledger(path, wait_seconds=10) as opened:
        assert opened.effects() == ()
    release.join()
    other.close()
