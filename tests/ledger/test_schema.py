from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from crmsync.errors import StoreError
from crmsync.ledger.migrate import SCHEMA_REVISION, alembic_config
from crmsync.ledger.schema import metadata
from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger, open_database
from crmsync.ledger.values.enrolments import EnrolmentStatus

if TYPE_CHECKING:
    from pathlib import Path


def differences(ledger: Ledger) -> list[object]:
    with ledger.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))


def test_the_schema_is_the_sum_of_its_migrations(unmade_ledger_at: Path | str) -> None:
    with Ledger(unmade_ledger_at) as ledger:
        assert differences(ledger) == []


def test_a_difference_would_be_seen(unmade_ledger_at: Path | str) -> None:
    with Ledger(unmade_ledger_at) as ledger:
        with ledger.writing() as connection:
            connection.execute(sa.text("DROP INDEX ix_effect_enrolment_id"))
            connection.execute(sa.text("ALTER TABLE run ADD COLUMN mood TEXT"))
        assert len(differences(ledger)) == 2


def test_the_known_revision_is_the_last_migration(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
    assert scripts.get_heads() == [SCHEMA_REVISION]


def test_opening_again_keeps_what_is_there(unmade_ledger_at: Path | str) -> None:
    with Ledger(unmade_ledger_at) as ledger, ledger.writing() as connection:
        connection.execute(sa.text("INSERT INTO rule_state VALUES ('kept', '2026-01-01', NULL)"))
    with Ledger(unmade_ledger_at) as again:
        assert again.enrolment_snapshot().seen_rules.keys() == {"kept"}


def test_what_an_earlier_version_has_recorded_is_kept(unmade_ledger_at: Path | str) -> None:
    database = open_database(unmade_ledger_at, wait_seconds=30)
    with database.writing() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.execute(
            sa.text(
                "INSERT INTO enrolment"
                " (rule, rule_version, subject, key, steps, status, entered_at) VALUES"
                " ('r', '1', 'crm:1', 'k', '[]', 'previewed', '2026-03-01 00:00:00.000000')"
            )
        )
    database.close()
    with Ledger(unmade_ledger_at) as again:
        (enrolment,) = again.enrolments()
        assert (enrolment.status, enrolment.holds_since) == (EnrolmentStatus.PREVIEWED, None)
        assert differences(again) == []


def test_the_history_of_an_earlier_version_is_kept(unmade_ledger_at: Path | str) -> None:
    database = open_database(unmade_ledger_at, wait_seconds=30)
    at = datetime(2026, 3, 1, tzinfo=UTC).isoformat(" ")
    with database.writing() as connection:
        command.upgrade(alembic_config(connection), "0010")
        names = ("effect_id", "before", "after", "at", "reason", "actor")
        lines = sa.table("transition", *map(sa.column, names))
        told = [
            (7, None, "planned", at, "its step is due", "run 1"),
            (8, None, "planned", at, "its step is due", "run 1"),
            (7, "planned", "ready", at, "every gate let it pass", "run 1"),
        ]
        connection.execute(sa.insert(lines), [dict(zip(names, line, strict=True)) for line in told])
    database.close()
    with Ledger(unmade_ledger_at) as again:
        kept = [(move.before, move.after, move.reason) for move in again.history_of(7)]
        assert kept == [
            (None, State.PLANNED, "its step is due"),
            (State.PLANNED, State.READY, "every gate let it pass"),
        ]
        assert [move.actor for move in again.history_of(8)] == ["run 1"]


def test_a_ledger_from_the_future_is_refused(unmade_ledger_at: Path | str) -> None:
    with Ledger(unmade_ledger_at) as ledger, ledger.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer version of crmsync .*9999.*update crmsync"):
        Ledger(unmade_ledger_at)


OPEN_AT_A_SIGN = """
import pathlib, sys, time
from crmsync.ledger.store import Ledger, open_database
folder, name, at = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
(folder / f"ready-{name}").touch()
while len(list(folder.glob("ready-*"))) < 3:
    time.sleep(0.001)
Ledger(at if "://" in at else pathlib.Path(at)).close()
"""


def test_several_processes_may_open_a_new_ledger_at_once(
    unmade_ledger_at: Path | str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", OPEN_AT_A_SIGN, str(tmp_path)]
    racing = [subprocess.Popen([*command, str(n), str(unmade_ledger_at)]) for n in range(3)]
    assert [process.wait(60) for process in racing] == [0, 0, 0]
    with Ledger(unmade_ledger_at) as opened:
        assert differences(opened) == []
