"""Evaluates the rules of bench/rules.py as a user would without crmsync.

End to end is from what is stored to the verdicts, for all alike: crmsync reads its warehouse, and
so do the others. Rule engines and lambdas get its rows as Python has them, count facts in plain
Python, and then evaluate what they compiled before; pandas gets frames. Beside it stands what they
take when all rows are in memory already, those of each account together, while crmsync still reads.
Each of the others has a sample of its own, large enough to be stable, and must name the pairs of
rule and account that crmsync names; times are compared for each account. What reading costs them is
taken of the first rows that come, neither sorted nor looked for.
The targets are of time passed end to end, with as many threads as each takes of its own accord; the
time of all cores together is printed beside it, since that depends less on what else the machine
does. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import alternatives
import company

from rules import ACCOUNTS, ROUNDS, Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from alternatives import Engine, Frames, Row, Tests

RULES = 100
OURS = "crmsync"
FACTS = "facts"
ROWS = "rows"  # reading them
FRAMES = "frames"
READ = {ROWS: 20_000, FRAMES: 200_000}  # accounts whose rows are read, to tell what that costs


@dataclass(frozen=True, kw_only=True)
class Other:
    """What is compared with.

    Attributes:
        distribution: its name where it is installed from; None: Python itself.
        times: how many times its time crmsync's must at least go into.
        sample: accounts that it gets.
        compiled: makes what evaluates facts; None: pandas, which makes its own.
    """

    name: str
    distribution: str | None
    times: int
    sample: int
    compiled: Callable[[Sequence[Tests]], Engine] | None


OTHERS = (
    Other(
        name="zen-engine, a decision table",
        distribution="zen-engine",
        times=100,
        sample=4000,
        compiled=alternatives.zen_table,
    ),
    Other(
        name="zen-engine, one expression",
        distribution="zen-engine",
        times=100,
        sample=8000,
        compiled=alternatives.zen_expression,
    ),
    Other(
        name="json-logic",
        distribution="json-logic-qubit",
        times=100,
        sample=2000,
        compiled=alternatives.json_logic,
    ),
    Other(
        name="business-rules",
        distribution="business-rules",
        times=100,
        sample=2000,
        compiled=alternatives.business_rules_run,
    ),
    Other(
        name="rule-engine",
        distribution="rule-engine",
        times=100,
        sample=2000,
        compiled=alternatives.rule_engine_rules,
    ),
    Other(
        name="compiled lambdas",
        distribution=None,
        times=20,
        sample=20_000,
        compiled=alternatives.lambdas,
    ),
    Other(
        name="pandas",
        distribution="pandas",
        times=5,
        sample=200_000,
        compiled=None,
    ),
)

# By a hash, so that any sample has about as many activities for each account as all have.
_SAMPLE = "(SELECT * FROM records.account ORDER BY hash(id), id LIMIT {limit})"
_ACCOUNT = "SELECT id, tier, renewal_date, recurring_revenue::BIGINT AS recurring_revenue "
_ACTIVITY = (
    'SELECT account, kind, direction, "at" AT TIME ZONE \'UTC\' AS "at", automated, status, '
    "ended_at AT TIME ZONE 'UTC' AS ended_at FROM records.activity "
)
_ACCOUNTS = f"{_ACCOUNT}FROM {{sample}} ORDER BY hash(id), id"
_ACTIVITIES = f'{_ACTIVITY}WHERE account IN (SELECT id FROM {{sample}}) ORDER BY activity."at"'


def _asked(bench: Bench, query: str, limit: int) -> Any:  # noqa: ANN401  a relation of DuckDB's
    sample = _SAMPLE.format(limit=limit)
    return bench.records.backend.con.sql(query.format(sample=sample))


def _first(bench: Bench, accounts: int) -> tuple[Any, Any]:
    """The first rows that come, as many as so many accounts have: theirs, and activities."""
    sql = bench.records.backend.con.sql
    activities = accounts * company.PER_ACCOUNT
    of_accounts = sql(f"{_ACCOUNT}FROM records.account LIMIT {accounts}")
    return of_accounts, sql(f"{_ACTIVITY}LIMIT {activities}")


def read_rows(bench: Bench, accounts: int) -> dict[str, list[Row]]:
    """The rows of so many accounts as Python has them, in the quickest way that was found."""
    of_accounts, activities = (
        [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]
        for rows in _first(bench, accounts)
    )
    found: dict[str, list[Row]] = {row["id"]: [] for row in of_accounts}
    for row in activities:
        found.setdefault(row["account"], []).append(row)
    return found


def read_frames(bench: Bench, accounts: int) -> list[Any]:
    """The same as pandas has them."""
    return [rows.df() for rows in _first(bench, accounts)]


class Sampled:
    """The rows of a sample as Python has them, and what the others make of them."""

    def __init__(self, bench: Bench) -> None:
        self.rules = bench.written
        self._facts = alternatives.PlainFacts(self.rules)
        most = max(other.sample for other in OTHERS if other.compiled)
        self.accounts: list[Row] = _asked(bench, _ACCOUNTS, most).to_arrow_table().to_pylist()
        self._activities: dict[str, list[Row]] = {row["id"]: [] for row in self.accounts}
        for row in _asked(bench, _ACTIVITIES, most).to_arrow_table().to_pylist():
            self._activities[row["account"]].append(row)

    def evaluated(self, engine: Engine, sample: int) -> list[list[int]]:
        """The rules that match, of each of so many accounts."""
        of, activities = self._facts.of, self._activities
        facts = [of(account, activities[account["id"]]) for account in self.accounts[:sample]]
        return engine(facts)

    def counted(self) -> None:
        """What all engines share."""
        self.evaluated(lambda _facts: [], len(self.accounts))

    def pairs(self, engine: Engine, sample: int) -> Counter[tuple[int, str]]:
        """The same as pairs of a rule's number and an id."""
        found = zip(self.accounts, self.evaluated(engine, sample), strict=False)
        return Counter((int(number), one["id"]) for one, numbers in found for number in numbers)


def _frames(bench: Bench, sample: int) -> Frames:
    accounts = _asked(bench, _ACCOUNTS, sample).df()
    return alternatives.Frames(accounts, _asked(bench, _ACTIVITIES, sample).df(), bench.written)


def _same(other: Other, found: Counter[tuple[int, str]], ids: Iterable[str], ours: Any) -> None:  # noqa: ANN401  pairs
    """End here where it does not name the pairs that crmsync names of these accounts."""
    wanted = set(ids)
    expected = Counter(pair for pair in ours if pair[1] in wanted)
    if found != expected:
        wrong = sorted((found - expected) + (expected - found))
        sys.exit(f"{other.name}: {len(wrong)} pairs are not crmsync's, the first is {wrong[0]}")


@dataclass(kw_only=True)
class Timed:
    """Seconds passed, and seconds of all cores, of each round by what was done."""

    passed: dict[str, list[float]] = field(default_factory=dict)
    cores: dict[str, list[float]] = field(default_factory=dict)

    def run(self, what: str, way: Callable[[], object]) -> None:
        """Do it, and note how long it took."""
        passed, cores = time.perf_counter(), time.process_time()
        way()
        self.cores.setdefault(what, []).append(time.process_time() - cores)
        self.passed.setdefault(what, []).append(time.perf_counter() - passed)

    def each(self, what: str, accounts: int) -> Cost:
        """What one of so many accounts took, as the median of the rounds."""
        passed, cores = (statistics.median(one[what]) for one in (self.passed, self.cores))
        return Cost(passed=passed / accounts * 1e6, cores=cores / accounts * 1e6)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one account, in µs."""

    passed: float
    cores: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(passed=self.passed + other.passed, cores=self.cores + other.cores)


def measure(bench: Bench, accounts: int, rounds: int) -> dict[str, bool]:
    """The targets, each as a sentence, and whether it is met."""
    sampled = Sampled(bench)
    ours = bench.ours(bench.rules)  # also compiles them
    tests = [alternatives.tests(rule) for rule in bench.written]
    ways: dict[str, Callable[[], object]] = {
        OURS: partial(bench.evaluated, bench.rules),
        FACTS: sampled.counted,
        ROWS: partial(read_rows, bench, READ[ROWS]),
        FRAMES: partial(read_frames, bench, READ[FRAMES]),
    }
    for other in OTHERS:
        if other.compiled is None:
            frames = _frames(bench, other.sample)
            _same(other, frames.pairs(), frames.accounts["id"], ours)
            ways[other.name] = frames.evaluated
        else:
            engine = other.compiled(tests)
            ids = [row["id"] for row in sampled.accounts[: other.sample]]
            _same(other, sampled.pairs(engine, other.sample), ids, ours)
            ways[other.name] = partial(sampled.evaluated, engine, other.sample)
    del ours
    gc.collect()
    gc.freeze()  # the rows in memory are not to be searched for garbage while others are measured
    done = Timed()
    for _ in range(rounds):
        for what, way in ways.items():
            done.run(what, way)
    gc.unfreeze()
    return _told(done, accounts, len(sampled.accounts))


def _told(done: Timed, accounts: int, counted: int) -> dict[str, bool]:
    """Print what was measured; the targets."""
    own = done.each(OURS, accounts)
    ends = f"{'end to end':>13} {'crmsync':>9} {'cores':>9} {'crmsync':>9}"
    beside = f"{'from memory':>13} {'crmsync':>9} {'cores':>9} {'crmsync':>9}"
    print(f"  {'µs for each account':30} {'version':9} {'sample':>9} {ends} {beside}")
    _row(OURS, _version("crmsync"), accounts, (own, own), own)
    reading = {what: done.each(what, min(read, accounts)) for what, read in READ.items()}
    targets: dict[str, bool] = {}
    for other in OTHERS:
        sample = min(other.sample, accounts)
        memory = done.each(other.name, sample)
        end = memory + reading[ROWS if other.compiled else FRAMES]
        version = _version(other.distribution) if other.distribution else platform.python_version()
        _row(other.name, version, sample, (end, memory), own)
        sentence = f"crmsync is {end.passed / own.passed:.1f} × faster than {other.name}"
        targets[f"{sentence}; at least {other.times}"] = end.passed >= other.times * own.passed
    facts = done.each(FACTS, counted)
    print(
        f"  of which all but crmsync and pandas take {reading[ROWS].passed:.1f} µs to read rows "
        f"and {facts.passed:.1f} µs to count facts; pandas takes {reading[FRAMES].passed:.1f} µs "
        "to read frames"
    )
    return targets


def _row(name: str, version: str, sample: int, costs: tuple[Cost, ...], own: Cost) -> None:
    """Costs: end to end, and from memory."""
    each = [
        f"{cost.passed:13.1f} {cost.passed / own.passed:7.1f} × "
        f"{cost.cores:9.1f} {cost.cores / own.cores:7.1f} ×"
        for cost in costs
    ]
    print(f"  {name:30} {version:9} {sample:9,} {' '.join(each)}")


def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)


def compare(accounts: int, rounds: int) -> bool:
    """Print the figures; whether all targets are met."""
    from crmsync.warehouse.store import Warehouse

    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"{accounts:,} accounts, {accounts * company.PER_ACCOUNT:,} activities, {RULES} rules; "
        f"median of {rounds} rounds\n"
        f"  Python {platform.python_version()}, DuckDB {_version('duckdb')}, "
        f"{os.cpu_count()} cores, load before {load}"
    )
    with tempfile.TemporaryDirectory(prefix="crmsync-bench-") as name:
        folder = Path(name)
        company.write_company(folder / "w.duckdb", accounts)
        with Warehouse(folder / "w.duckdb", streams=company.STREAMS).reading() as records:
            bench = Bench(records, company.rules(RULES), folder)
            targets = measure(bench, accounts, rounds)
    for sentence, met in targets.items():
        print(f"  {'met   ' if met else 'MISSED'} {sentence}")
    return all(targets.values())


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    sys.exit(0 if compare(arguments.accounts, arguments.rounds) else 1)


if __name__ == "__main__":
    main()
