"""Evaluates the rules of bench/rules.py as a user would without crmsync, end to end.

Rule engines and lambdas get rows that are in memory already, those of each account together, count
facts in plain Python, and then evaluate what they compiled before; pandas gets frames as they were
read. crmsync reads its warehouse.
Each of the others has a sample of its own, large enough to be stable, and must name the pairs of
rule and account that crmsync names; times are compared for each account.
The targets are of time passed, with as many threads as each takes of its own accord; the time of
all cores together is printed beside it, since that depends less on what else the machine does.
Exit code 1 where a target is missed.
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
_ACCOUNTS = (
    "SELECT id, tier, renewal_date, recurring_revenue::BIGINT AS recurring_revenue "
    "FROM {sample} ORDER BY hash(id), id"
)
_ACTIVITIES = (
    'SELECT account, kind, direction, "at" AT TIME ZONE \'UTC\' AS "at", automated, status, '
    "ended_at AT TIME ZONE 'UTC' AS ended_at FROM records.activity "
    'WHERE account IN (SELECT id FROM {sample}) ORDER BY activity."at"'
)


def _asked(bench: Bench, query: str, limit: int) -> Any:  # noqa: ANN401  a relation of DuckDB's
    sample = _SAMPLE.format(limit=limit)
    return bench.records.backend.con.sql(query.format(sample=sample))


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


def measure(bench: Bench, accounts: int, rounds: int) -> dict[str, bool]:
    """The targets, each as a sentence, and whether it is met."""
    sampled = Sampled(bench)
    ours = bench.ours(bench.rules)  # also compiles them
    tests = [alternatives.tests(rule) for rule in bench.written]
    ways: dict[str, Callable[[], object]] = {
        OURS: partial(bench.evaluated, bench.rules),
        FACTS: sampled.counted,
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
    titles = f"{'version':9} {'accounts':>9} {'µs each':>9} {'1M take':>9} {'crmsync':>9}"
    print(f"  {'':30} {titles} {'cores µs':>9} {'crmsync':>9}")
    _row(OURS, _version("crmsync"), accounts, own, own)
    targets: dict[str, bool] = {}
    for other in OTHERS:
        sample = min(other.sample, accounts)
        each = done.each(other.name, sample)
        version = _version(other.distribution) if other.distribution else platform.python_version()
        _row(other.name, version, sample, each, own)
        sentence = f"crmsync is {each.passed / own.passed:.1f} × faster than {other.name}"
        targets[f"{sentence}; at least {other.times}"] = each.passed >= other.times * own.passed
    each = done.each(FACTS, counted)
    print(f"  of which all but crmsync and pandas take {each.passed:.1f} µs to count the facts")
    return targets


def _row(name: str, version: str, accounts: int, each: Cost, own: Cost) -> None:
    print(
        f"  {name:30} {version:9} {accounts:9,} {each.passed:9.1f} {each.passed:7.0f} s "
        f"{each.passed / own.passed:7.1f} × {each.cores:9.1f} {each.cores / own.cores:7.1f} ×"
    )


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
