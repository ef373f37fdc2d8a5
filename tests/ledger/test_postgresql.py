"""What only PostgreSQL does: servers that go away, passwords, schemas."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from crmsync.errors import StoreBusyError, StoreError, StoreUnreachableError
from crmsync.ledger.store import Ledger
from crmsync.observe import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.postgres import Schemas

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def at(schemas: Schemas) -> str:
    return schemas.empty()


@pytest.fixture
def ledger(at: str) -> Iterator[Ledger]:
    with Ledger(at, wait_seconds=1) as opened:
        yield opened


def end_all_sessions(at: str) -> None:
    """As a server does that is restarted."""
    engine = sa.create_engine(
        sa.make_url(at).set(drivername="postgresql+psycopg"),
        poolclass=sa.NullPool,
        connect_args={"application_name": "the test"},
    )
    with engine.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name LIKE 'crmsync%'"
            )
        )


def begin(connection: sa.Connection) -> None:
    connection.execute(sa.text("INSERT INTO rule_state VALUES ('begun', now(), NULL)"))


def test_writers_and_readers_are_isolated_as_they_say(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == "read committed"
        assert connection.scalar(sa.text("SHOW lock_timeout")) == "1s"
    with ledger.reading() as connection:
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == "repeatable read"
        assert connection.scalar(sa.text("SHOW transaction_read_only")) == "on"
        assert connection.scalar(sa.text("SHOW timezone")) == "UTC"
    with ledger.writing() as connection:
        assert connection.scalar(sa.text("SHOW transaction_read_only")) == "off"


def test_a_reader_sees_one_state(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        before = connection.scalar(sa.text("SELECT count(*) FROM run"))
        ledger.start_run("run", at=AT, started_at=AT)
        assert connection.scalar(sa.text("SELECT count(*) FROM run")) == before


def test_a_connection_that_died_between_two_steps_is_replaced(ledger: Ledger, at: str) -> None:
    ledger.start_run("run", at=AT, started_at=AT)
    end_all_sessions(at)
    assert len(ledger.last_runs()) == 1
    end_all_sessions(at)
    ledger.start_run("run", at=AT, started_at=AT)
    assert len(ledger.last_runs()) == 2


def test_a_connection_that_dies_in_a_step_is_a_sentence_and_leaves_nothing(
    ledger: Ledger, at: str
) -> None:
    def break_off() -> None:
        with ledger.writing() as connection:
            begin(connection)
            end_all_sessions(at)
            begin(connection)

    said = r"the database “\w+” cannot be reached .*; nothing of this step was recorded"
    with pytest.raises(StoreUnreachableError, match=said):
        break_off()
    assert ledger.enrolment_snapshot().seen_rules == {}


def test_a_step_whose_connection_died_is_begun_anew(ledger: Ledger, at: str) -> None:
    attempts = 0

    def work(connection: sa.Connection) -> str:
        nonlocal attempts
        attempts += 1
        begin(connection)
        if attempts == 1:
            end_all_sessions(at)
            connection.scalar(sa.text("SELECT 1"))
        return "done"

    assert ledger.write(work) == "done"
    assert attempts == 2
    assert ledger.enrolment_snapshot().seen_rules.keys() == {"begun"}


def test_a_connection_that_dies_again_and_again_is_given_up(ledger: Ledger, at: str) -> None:
    attempts = 0

    def work(connection: sa.Connection) -> None:
        nonlocal attempts
        attempts += 1
        end_all_sessions(at)
        begin(connection)

    with pytest.raises(StoreUnreachableError):
        ledger.write(work)
    assert attempts == 3


def test_a_commit_that_got_no_answer_is_not_repeated_and_says_so(ledger: Ledger, at: str) -> None:
    attempts = 0

    def work(connection: sa.Connection) -> None:
        nonlocal attempts
        attempts += 1
        begin(connection)
        end_all_sessions(at)

    with pytest.raises(StoreError, match="as a whole or not at all; run again") as told:
        ledger.write(work)
    assert not isinstance(told.value, StoreUnreachableError)
    assert attempts == 1


def test_a_row_that_another_holds_is_waited_for_and_then_told(at: str) -> None:
    lock = sa.text("LOCK TABLE rule_state")
    with Ledger(at) as other, other.writing() as connection:
        connection.execute(lock)
        with (
            Ledger(at, wait_seconds=0.05) as impatient,
            pytest.raises(StoreBusyError, match="another process is writing to the database"),
            impatient.writing() as late,
        ):
            late.execute(lock)


def test_two_schemas_of_one_database_are_two_ledgers(ledger: Ledger, schemas: Schemas) -> None:
    ledger.start_run("run", at=AT, started_at=AT)
    with schemas.new() as elsewhere, Ledger(elsewhere) as other:
        assert other.last_runs() == ()
        with ledger.evaluating(since=AT), other.evaluating(since=AT):
            pass


def test_a_daemon_whose_server_was_restarted_takes_its_lock_again(ledger: Ledger, at: str) -> None:
    with ledger.serving(since=AT) as keep:
        told = ledger.daemon(now=AT)
        assert told is not None
        keep()
        assert ledger.daemon(now=AT) == told, "it is not asked in the session that has the lock"
        end_all_sessions(at)
        keep()
        assert ledger.daemon(now=AT) is not None
        end_all_sessions(at)
        with Ledger(at) as second:
            with second.serving(since=AT):
                for _ in range(2):
                    with pytest.raises(StoreBusyError, match="a crmsync daemon serves"):
                        keep()
            keep()
            with pytest.raises(StoreBusyError):
                second.serving(since=AT).__enter__()
    assert ledger.daemon(now=AT) is None


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("127.0.0.1:1", "cannot be reached .*; see that the server runs"),
        ("nowhere.invalid", "cannot be reached"),
    ],
)
def test_a_server_that_is_not_there_is_a_sentence_without_the_password(
    host: str, sentence: str
) -> None:
    with pytest.raises(StoreUnreachableError, match=sentence) as told:
        Ledger(f"postgresql://us:s3cr3t-word@{host}/crm", wait_seconds=0.05)
    assert "s3cr3t" not in str(told.value)
    assert redact("FATAL s3cr3t-word") == "FATAL [redacted]"


def test_a_server_that_starts_late_is_waited_for(at: str, tmp_path: Path) -> None:
    socket = Path(sa.make_url(at).query["host"]) / ".s.PGSQL.5432"  # type: ignore[arg-type]  # one
    elsewhere = sa.make_url(at).update_query_dict({"host": str(tmp_path)})
    later = threading.Timer(0.3, lambda: (tmp_path / socket.name).symlink_to(socket))
    later.start()
    with Ledger(elsewhere.render_as_string(hide_password=False), wait_seconds=10) as ledger:
        assert ledger.last_runs() == ()
    later.join()


def test_a_database_that_is_not_there_is_named(at: str) -> None:
    url = sa.make_url(at).set(database="nobody_made_it").render_as_string(hide_password=False)
    with pytest.raises(
        StoreError, match=r"“nobody_made_it” lets nobody in: .*does not exist; look"
    ):
        Ledger(url, wait_seconds=0.05)


@pytest.mark.parametrize(
    "url", ["", "s3cr3t", "mysql://us:s3cr3t@db/crm", "postgresql://a:b:c:s3cr3t"]
)
def test_what_is_no_url_is_told_and_not_repeated(url: str) -> None:
    with pytest.raises(StoreError, match="write postgresql://USER@HOST/DATABASE") as told:
        Ledger(url)
    assert "s3cr3t" not in str(told.value)


def test_without_the_driver_it_is_said_what_to_install() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from crmsync.ledger.store import Ledger\n"
        "from crmsync.errors import StoreError\n"
        "try: Ledger('postgresql://us@db/crm')\n"
        "except StoreError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert "install crmsync[postgres]" in done.stdout
