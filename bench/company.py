"""A large company for benchmarks: its records, straight into a warehouse, and mixed rules about it.

Each rule is written three times: in YAML, as one query of its own, and as its part of a query that
shares aggregates among all rules, tiered by how far back they look.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PER_ACCOUNT = 20
CONNECTION = "crm"
STREAMS = {(CONNECTION, name): name for name in ("account", "activity", "activity_link")}
_LIVE = "deleted_at IS NULL"
_BASE = f"'{CONNECTION}' AS connection, timestamptz '2026-03-01' AS updated_at, "

# Hashes, not random(), so that it is the same company each time.
_ACCOUNTS = f"""
    INSERT INTO records.account BY NAME
    SELECT printf('crm:A%07d', i) AS id, {_BASE} 'Account ' || i AS name,
        ['gold', 'silver', 'bronze', NULL][h % 4 + 1] AS tier,
        ['active', 'onboarding', 'churned'][h // 4 % 3 + 1] AS status,
        (h // 12 % 100000)::DECIMAL(18, 4) AS recurring_revenue,
        CASE WHEN h // 7 % 10 > 0 THEN date '2026-03-01' + (h // 70 % 365 - 30)::INT END
            AS renewal_date,
        printf('crm:U%d', h % 40) AS owner
    FROM (SELECT range AS i, (hash(range) >> 8)::BIGINT AS h FROM range($accounts)) ORDER BY h
"""
_ACTIVITIES = f"""
    INSERT INTO records.activity BY NAME
    SELECT printf('crm:%09d', i * 7919 % $rows) AS id, {_BASE}
        printf('crm:A%07d', h % $accounts * (h // $accounts % 64 + 1) // 64) AS account,
        ['call', 'email', 'email', 'email', 'meeting', 'note', 'task'][h // 64 % 7 + 1] AS kind,
        ['inbound', 'outbound'][h // 448 % 2 + 1] AS direction,
        timestamptz '2024-03-01' + to_milliseconds(i * 63072000000 // $rows) AS "at",
        h // 896 % 11 = 0 AS automated,
        ['completed', 'completed', NULL, 'planned'][h // 9856 % 4 + 1] AS status
    FROM (SELECT range AS i, (hash(range) >> 8)::BIGINT AS h FROM range($rows))
"""


def write_company(path: Path, accounts: int) -> None:
    """A warehouse with these records, every stream read a moment ago."""
    import duckdb

    from crmsync.warehouse.store import ReadNote, Warehouse

    warehouse = Warehouse(path, streams=STREAMS)
    with warehouse.writing() as writer:
        notes = [
            ReadNote(connection=connection, stream=stream, table=table, read_at=NOW)
            for (connection, stream), table in STREAMS.items()
        ]
        writer.note_reads(notes)
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for query in (_ACCOUNTS, _ACTIVITIES):
            sized = query.replace("$accounts", str(accounts))
            connection.execute(sized.replace("$rows", str(accounts * PER_ACCOUNT))).fetchall()
        connection.execute("CHECKPOINT").fetchall()


Test = tuple[str, str, object]


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A test of an account's own field.

    Attributes:
        tests: the same for engines that are given facts: name, operator and operand of each.
    """

    yaml: str
    sql: str
    tests: tuple[Test, ...]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """So many activities of a kind within some days, or ever."""

    kind: str
    direction: str | None
    days: int | None
    at_least: int  # 0: none at all

    @property
    def which(self) -> str:
        """The condition of a single activity."""
        parts = [f"kind = '{self.kind}'"]
        if self.direction:
            parts.append(f"direction = '{self.direction}'")
        if self.days is not None:
            parts.append(f'"at" >= {_ago(self.days)} AND "at" <= {_ago(0)}')
        return " AND ".join(parts)

    @property
    def yaml(self) -> str:
        """As a rule has it."""
        where = [f"kind: {self.kind}"]
        if self.direction:
            where.append(f"direction: {self.direction}")
        if self.days is not None:
            where.append(f"at: {{in_last: {self.days} days}}")
        listed = ", ".join(f"{{{part}}}" for part in where)
        if self.at_least == 0:
            return f"none: {{of: activities, where: [{listed}]}}"
        if self.at_least == 1:
            return f"some: {{of: activities, where: [{listed}]}}"
        return f"count: {{of: activities, where: [{listed}], is: {{at_least: {self.at_least}}}}}"

    @property
    def measure(self) -> str:
        """As an aggregate of an account's activities."""
        return f"count(*) FILTER (WHERE {self.which})"

    def wide(self, column: str) -> str:
        """As a predicate over its aggregate."""
        if self.at_least == 0:
            return f"coalesce({column}, 0) = 0"
        return f"{column} >= {self.at_least}"

    @property
    def alone(self) -> str:
        """As a predicate of a query of its own."""
        found = f"SELECT account FROM records.activity WHERE {_LIVE} AND {self.which}"
        if self.at_least == 0:
            return f"NOT EXISTS (FROM ({found}) x WHERE x.account = a.id)"
        if self.at_least > 1:
            found += f" GROUP BY account HAVING count(*) >= {self.at_least}"
        return f"a.id IN ({found})"


_CONVERSATION = (
    "kind IN ('call', 'email', 'meeting') AND NOT coalesce(automated, false) "
    "AND coalesce(status, 'completed') NOT IN ('planned', 'cancelled') "
    "AND coalesce(ended_at, \"at\") <= timestamptz '2026-03-01 12:00:00'"
)


@dataclass(frozen=True, kw_only=True)
class Contacted:
    """Whether the latest contact is older than some days, or not."""

    days: int
    older: bool

    @property
    def yaml(self) -> str:
        """As a rule has it."""
        operator = "older_than" if self.older else "in_last"
        return f"last_contact: {{{operator}: {self.days} days}}"

    @property
    def measure(self) -> str:
        """As an aggregate of an account's activities."""
        return f'max("at") FILTER (WHERE {_CONVERSATION} AND "at" <= {_ago(0)})'

    def wide(self, column: str) -> str:
        """As a predicate over its aggregate."""
        if self.older:
            return f"({column} IS NULL OR {column} <= {_ago(self.days)})"
        return f"{column} >= {_ago(self.days)}"

    @property
    def alone(self) -> str:
        """As a predicate of a query of its own."""
        since = f'"at" > {_ago(self.days)}' if self.older else f'"at" >= {_ago(self.days)}'
        found = (
            f"FROM records.activity x WHERE x.account = a.id AND {_LIVE} AND {since} "
            f'AND "at" <= {_ago(0)} AND {_CONVERSATION}'
        )
        return f"{'NOT ' if self.older else ''}EXISTS ({found})"


def _ago(days: int) -> str:
    return f"(timestamptz '2026-03-01 12:00:00' - INTERVAL {24 * days} HOUR)"


@dataclass(frozen=True, kw_only=True)
class Written:
    """A rule, and what it is made of."""

    name: str
    clauses: tuple[Plain | Counted | Contacted, ...]

    @property
    def yaml(self) -> str:
        """The rule's file."""
        when = "".join(f"  - {clause.yaml}\n" for clause in self.clauses)
        return (
            f"rule: {self.name}\nsubject: account\nwhen:\n{when}then: [{{note: {{text: hello}}}}]\n"
        )

    @property
    def alone(self) -> str:
        """One query for this rule."""
        parts = [c.sql if isinstance(c, Plain) else c.alone for c in self.clauses]
        return f"SELECT id FROM records.account a WHERE {_LIVE} AND {' AND '.join(parts)}"


def rules(count: int, seed: int = 1) -> list[Written]:
    """Mixed rules of about four clauses; fewer are the first ones of more."""
    dice = random.Random(seed)
    return [_rule(dice, number) for number in range(count)]


def more(written: Sequence[Written], count: int, seed: int = 1) -> tuple[list[Written], ...]:
    """Further rules: some that need no aggregate but what others need, and some that do."""
    dice = random.Random(seed)
    known: list[Written] = []
    for number in range(len(written), len(written) + count):
        first, second = dice.sample(written, 2)
        plain = [clause for clause in first.clauses if isinstance(clause, Plain)]
        others = [clause for clause in second.clauses if not isinstance(clause, Plain)]
        known.append(Written(name=f"rule-{number:03}", clauses=(*plain, *others)))
    new: list[Written] = []
    for number, rule in enumerate(known):
        days = 20 + 13 * number  # a length that no other window has
        own = Counted(kind="meeting", direction="inbound", days=days, at_least=1)
        name = f"rule-{len(written) + count + number:03}"
        new.append(Written(name=name, clauses=(*rule.clauses, own)))
    return known, new


def _rule(dice: random.Random, number: int) -> Written:
    windows = [7, 14, 30, 60, 90, 180, 270]
    clauses: list[Plain | Counted | Contacted] = []
    tiers = dice.sample(["gold", "silver", "bronze"], dice.randint(1, 2))
    listed = ", ".join(f"'{tier}'" for tier in tiers)
    clauses.append(
        Plain(
            yaml=f"tier: [{', '.join(tiers)}]",
            sql=f"tier IN ({listed})",
            tests=(("tier", "in", tuple(tiers)),),
        )
    )
    if dice.random() < 0.5:
        days = dice.choice([15, 30, 60])
        sql = f"renewal_date BETWEEN date '2026-03-01' AND date '2026-03-01' + {days}"
        tests = (("days_to_renewal", ">=", 0), ("days_to_renewal", "<=", days))
        clauses.append(Plain(yaml=f"renewal_date: {{in_next: {days} days}}", sql=sql, tests=tests))
    else:
        least = dice.choice([60000, 80000, 95000])
        clauses.append(
            Plain(
                yaml=f"recurring_revenue: {{over: {least}}}",
                sql=f"recurring_revenue > {least}",
                tests=(("recurring_revenue", ">", least),),
            )
        )
    if dice.random() < 0.7:
        clauses.append(Contacted(days=dice.choice(windows[1:5]), older=dice.random() < 0.6))
    for _ in range(dice.choice([1, 1, 2])):
        days_back = dice.choice([*windows, None])
        most = 1 if days_back is not None and days_back <= 30 else 3
        counted = Counted(
            kind=dice.choice(["call", "email", "meeting"]),
            direction=dice.choice(["inbound", "outbound", None]),
            days=days_back,
            at_least=dice.randint(0, most),
        )
        clauses.append(counted)
    return Written(name=f"rule-{number:03}", clauses=tuple(clauses))


def shared(written: Sequence[Written]) -> str:
    """One query for all rules, by a careful hand: each activity aggregate once, in three passes."""
    columns: dict[str, str] = {}
    tiers: dict[int, list[str]] = {}
    for rule in written:
        for clause in rule.clauses:
            if isinstance(clause, Plain) or clause.measure in columns:
                continue
            days = clause.days if isinstance(clause, Counted) else None
            tier = 0 if days is None else 366 if days > 90 else 90
            columns[clause.measure] = f"f{len(columns)}"
            tiers.setdefault(tier, []).append(clause.measure)
    passes, joins = [], []
    for tier, measures in sorted(tiers.items()):
        since = f' AND "at" >= {_ago(tier)}' if tier else ""
        chosen = ", ".join(f"{measure} AS {columns[measure]}" for measure in measures)
        passes.append(
            f"t{tier} AS (SELECT account, {chosen} FROM records.activity "
            f"WHERE {_LIVE} AND account IS NOT NULL{since} GROUP BY account)"
        )
        joins.append(f" LEFT JOIN t{tier} ON t{tier}.account = a.id")
    wide = (
        "wide AS MATERIALIZED (SELECT a.id, a.tier, a.renewal_date, a.recurring_revenue, "
        f"{', '.join(columns.values())} FROM records.account a{''.join(joins)} WHERE a.{_LIVE})"
    )
    selects = []
    for number, rule in enumerate(written):
        parts = [
            c.sql if isinstance(c, Plain) else c.wide(columns[c.measure]) for c in rule.clauses
        ]
        selects.append(
            f"SELECT {number}::SMALLINT AS rule, id FROM wide WHERE {' AND '.join(parts)}"
        )
    return f"WITH {', '.join([*passes, wide])} {' UNION ALL '.join(selects)}"
