from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from crmsync.errors import StoreBusyError, StoreError
from crmsync.ledger.migrate import SCHEMA_REVISION, alembic_config
from crmsync.ledger.schema import metadata
from crmsync.ledger.store import Ledger

if TYPE_CHECKING:
    from pathlib import Path


def differences(ledger: Ledger) -> list[object]:
    with ledger.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))


def test_the_schema_is_the_sum_of_its_migrations(ledger: Ledger) -> None:
    assert differences(ledger) == []


def test_a_difference_would_be_seen(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        connection.execute(sa.text("DROP INDEX ix_effect_state"))
        connection.execute(sa.text("ALTER TABLE run ADD COLUMN mood TEXT"))
    assert len(differences(ledger)) == 2


def test_the_known_revision_is_the_last_migration(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
    assert scripts.get_heads() == [SCHEMA_REVISION]


def test_opening_again_keeps_what_is_there(tmp_path: Path, ledger: Ledger) -> None:
    with ledger.writing() as connection:
        connection.execute(sa.text("INSERT INTO rule_state VALUES ('kept', '2026-01-01')"))
    with Ledger(tmp_path / "ledger.sqlite") as again:
        assert again.enrolment_snapshot().seen_rules == {"kept"}


def test_every_commit_is_flushed_and_readers_do_not_block(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1


def test_a_ledger_from_the_future_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    with ledger.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer version of crmsync .*9999.*update crmsync"):
        Ledger(tmp_path / "ledger.sqlite")


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
    insert = sa.text("INSERT INTO rule_state VALUES (:rule, '2026-01-01')")
    rows = [{"rule": f"{number}" * 500} for number in range(100)]
    full = "is full; nothing of this step was recorded"
    with pytest.raises(StoreError, match=full), ledger.writing() as connection:
        connection.execute(insert, rows)
    assert ledger.enrolment_snapshot().seen_rules == set()


def test_another_writer_is_waited_for_and_then_named(ledger: Ledger) -> None:
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Ledger(ledger.path, wait_seconds=0.05) as impatient:
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


OPEN_AT_A_SIGN = """
import pathlib, sys, time
from crmsync.ledger.store import Ledger
folder = pathlib.Path(sys.argv[1])
(folder / f"ready-{sys.argv[2]}").touch()
while len(list(folder.glob("ready-*"))) < 3:
    time.sleep(0.001)
Ledger(folder / "ledger.sqlite").close()
"""


def test_several_processes_may_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_AT_A_SIGN, str(tmp_path)]
    racing = [subprocess.Popen([*command, str(n)]) for n in range(3)]  # noqa: S603  our own
    assert [process.wait(60) for process in racing] == [0, 0, 0]
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        assert differences(opened) == []
