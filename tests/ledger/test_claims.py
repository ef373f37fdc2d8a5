"""What a claim costs does not grow with what waits, on either engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from crmsync.ledger.claims import claim_ready
from crmsync.ledger.schema import effect, enrolment, run
from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
BACKLOG = 3000
INDEX = "ix_effect_state_connection_not_before_id"


@pytest.fixture
def ledger(ledger_at: Path | str) -> Iterator[Ledger]:
    """Most of it waits for later, some has been done, some is for another connection."""
    with Ledger(ledger_at) as opened:
        with opened.writing() as connection:
            _fill(connection)
        if "://" in str(ledger_at):
            with opened.writing() as connection:
                connection.execute(sa.text("ANALYZE effect"))
        yield opened


def _fill(connection: sa.Connection) -> None:
    connection.execute(sa.insert(run).values(kind="run", at=AT, started_at=AT, counts={}))
    connection.execute(
        sa.insert(enrolment).values(
            rule="r",
            rule_version="1",
            subject="crm:1",
            key="k",
            steps=[],
            status="active",
            entered_at=AT,
        )
    )

    def row(number: int) -> dict[str, Any]:
        key = f"key-{number}"
        return {
            "key": key,
            "run_id": 1,
            "enrolment_id": 1,
            "step": key,
            "connection": "mail" if number % 10 == 0 else "crm",
            "kind": "note",
            "payload": {"kind": "note", "key": key, "text": "Seen"},
            "state": State.DONE if number % 10 == 1 else State.READY,
            "attempts": 0,
            "in_doubt": False,
            "not_before": None if number % 10 == 2 else AT + timedelta(hours=number % 3 - 1),
            "created_at": AT,
            "updated_at": AT,
        }

    connection.execute(sa.insert(effect), [row(number) for number in range(BACKLOG)])


def _claim(connection: sa.Connection, limit: int = 100, now: datetime = AT) -> list[int]:
    claimed = claim_ready(
        connection, "crm", worker="w", now=now, lease_until=now + timedelta(hours=1), limit=limit
    )
    return [one.id for one in claimed]


def _plans(ledger: Ledger, statement: str, parameters: Any) -> list[str]:
    with ledger.writing() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            return [row[3] for row in rows]
        # As for a backlog in which reading or sorting all of it would never do.
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        connection.execute(sa.text("SET LOCAL enable_sort = off"))
        rows = connection.exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {statement}", parameters
        ).scalar_one()
        return [json.dumps(rows)]


def test_a_claim_and_its_settlement_use_indexes_alone(ledger: Ledger) -> None:
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        seen.append((statement, parameters[0] if many else parameters))

    engine = ledger._database.engine  # noqa: SLF001  to see what it executes
    sa.event.listen(engine, "before_cursor_execute", note)
    with ledger.writing() as connection:
        assert len(_claim(connection)) == 100
        # Before anything is due, those come that wait for nothing.
        assert len(_claim(connection, now=AT - timedelta(days=2))) == 100
        connection.rollback()
    sa.event.remove(engine, "before_cursor_execute", note)
    about_effects = [one for one in seen if "effect" in one[0] and one[0][:6] != "INSERT"]
    assert sum("LIMIT" in statement for statement, _ in about_effects) == 3
    assert len(about_effects) == 5
    for statement, parameters in about_effects:
        plan = "\n".join(_plans(ledger, statement, parameters))
        assert "SCAN effect" not in plan, statement
        assert "Seq Scan" not in plan, statement
        if "LIMIT" in statement:
            assert INDEX in plan, statement
            assert "Sort" not in plan
            assert "TEMP B-TREE" not in plan


def test_due_ones_come_first_then_the_oldest_and_nothing_early(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        claimed = _claim(connection, BACKLOG)
    states = {one.id: one for one in ledger.effects()}
    left = [one for one in states.values() if one.state is State.READY and one.connection == "crm"]
    assert claimed
    assert left
    assert all(one.not_before is not None and one.not_before > AT for one in left)
    assert len(claimed) + len(left) == BACKLOG * 8 // 10
    with ledger.writing() as connection:
        assert _claim(connection) == []
        assert len(_claim(connection, now=AT + timedelta(hours=2))) == 100
