"""Rules evaluated naively, one record at a time, in plain Python: the compiler's oracle.

Shares nothing with it but the condition tree.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

import holidays

from crmsync.model.durations import Duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import (
    All,
    AnyOf,
    Change,
    Column,
    Comparison,
    Condition,
    InSegment,
    Not,
    Operator,
    Past,
    Quantifier,
    Related,
    Test,
    Today,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Row = dict[str, Any]
_NEVER = object()  # a fact that found nothing
_NO_TIME = object()  # the same of one that tells since when


class Oracle:
    """All records, the present, and which tables were not read, or not lately.

    Args:
        unread: tables that no connection can be trusted with.
        untrusted: others, each with the connection.
        country: whose holidays are no business days.
    """

    def __init__(
        self,
        records: Mapping[str, Sequence[Row]],
        *,
        now: datetime,
        zone: str,
        unread: Sequence[str],
        untrusted: Collection[tuple[str, str]] = (),
        country: str | None = None,
    ) -> None:
        self._records = records
        self._now = now
        self._company = zone
        self._unread = unread
        self._untrusted = untrusted
        self._holidays = () if country is None else holidays.country_holidays(country)

    def verdict(self, condition: Condition, row: Row, table: str) -> bool | None:
        match condition:
            case Comparison() if isinstance(condition.test.operand, Change | Past):
                verdict = self._past(condition.column, condition.test.operand, row, table)
                return condition.unknown_as if verdict is None else verdict
            case Comparison():
                value, known = self._value(condition.column, row)
                verdict = self._passes(value, known, condition.test, row, table, condition.column)
                return condition.unknown_as if verdict is None else verdict
            case Related():
                verdict = self._related(condition, row, table)
                return condition.unknown_as if verdict is None else verdict
            case All():
                return _all([self.verdict(c, row, table) for c in condition.conditions])
            case AnyOf():
                return _any([self.verdict(c, row, table) for c in condition.conditions])
            case Not():
                return _not(self.verdict(condition.condition, row, table))
            case InSegment():
                return self.verdict(condition.condition, row, table)

    def _value(self, column: Column, row: Row | None) -> tuple[Any, bool]:
        """The value, and whether it is known; an empty field is not."""
        for hop in column.hops:
            row = self._record(hop.target, None if row is None else row.get(hop.column))
        if row is None:
            return None, False
        if column.fact is None:
            return row.get(column.name), row.get(column.name) is not None
        if not self._trusts(row, *column.fact.rests_on):
            return None, False
        return self._fact(column.name, row), True

    def _trusts(self, row: Row, *tables: str) -> bool:
        """Whether a record's connection has read these tables lately."""
        connection = row.get("connection") or "test"
        # Links belong to activities, where they are read at all.
        return not any(
            name in self._unread or (connection, name) in self._untrusted
            for table in tables
            for name in ((table, "activity_link") if table == "activity" else (table,))
        )

    def _fact(self, name: str, account: Row) -> object:
        if name == "last_contact":
            held = self._activities(account, "account")
            times = [a["at"] for a in held if self._is_contact(a)]
            return max(times, default=_NEVER)
        if name == "open_since":
            is_open = account["status"] != "closed" and account["opened_at"] is not None
            return (
                account["opened_at"] if is_open and account["opened_at"] <= self._now else _NO_TIME
            )
        assert name == "open_tickets"
        return sum(
            1
            for t in self._records["ticket"]
            if t["account"] == account["id"]
            and (t["opened_at"] is None or t["opened_at"] <= self._now)
            and t["status"] != "closed"
        )

    def _is_contact(self, activity: Row) -> bool:
        return (
            activity["kind"] in {"call", "email", "meeting"}
            and not activity.get("automated")
            and activity.get("status") not in {"planned", "cancelled"}
            and activity["at"] is not None
            and activity["at"] <= self._now
            and (activity.get("ended_at") or activity["at"]) <= self._now
        )

    def _activities(self, owner: Row, table: str) -> list[Row]:
        """Its own, those linked to it; of accounts, also those of its contacts and deals."""
        mine = {(table, owner["id"])}
        if table == "account":
            mine |= {
                (name, record["id"])
                for name in ("contact", "deal")
                for record in self._records.get(name, ())
                if record["account"] == owner["id"]
            }
        links = self._records.get("activity_link", ())
        return [
            activity
            for activity in self._records["activity"]
            if any(
                (table, row.get(table)) in mine
                for row in (activity, *(x for x in links if x["activity"] == activity["id"]))
                for table in ("account", "contact", "deal")
            )
        ]

    def _record(self, table: str, record_id: str | None) -> Row | None:
        return next((r for r in self._records.get(table, ()) if r["id"] == record_id), None)

    def _zone(self, row: Row, table: str) -> ZoneInfo:
        account = row if table == "account" else self._record("account", row.get("account"))
        name = None if account is None else account.get("time_zone")
        return ZoneInfo(name if name in available_timezones() else self._company)

    def _passes(  # noqa: PLR0917  as plain as can be
        self,
        value: Any,
        known: bool,
        test: Test,
        row: Row,
        table: str,
        column: Column,
    ) -> bool | None:
        if test.operator is Operator.PRESENT:
            if column.fact is not None and not known:
                return None
            return (known and value not in {_NEVER, _NO_TIME}) == test.operand
        if not known:
            return None
        if value is _NO_TIME:
            return test.operator is Operator.IS_NOT
        if value is _NEVER:
            if isinstance(test.operand, Column) and test.operator not in {
                Operator.OLDER_THAN,
                Operator.FURTHER_THAN,
            }:
                return False
            return test.operator in {Operator.OLDER_THAN, Operator.FURTHER_THAN}
        if isinstance(test.operand, Column):
            other, other_known = self._value(test.operand, row)
            if not other_known or other is _NEVER:
                return None
            return _compare(value, test.operator, other)
        if column.type in {FieldType.DATE, FieldType.INSTANT}:
            return self._time(value, test, self._zone(row, table))
        return _plain(value, test)

    def _past(self, column: Column, asked: Change | Past, subject: Row, table: str) -> bool | None:
        row: Row | None = subject
        for hop in column.hops:
            row = self._record(hop.target, None if row is None else row.get(hop.column))
        if row is None:
            return None
        past = row.get("history", {})
        since, created = past.get("known_since"), row.get("created_at")
        steps = [(line["was"], line["until"]) for line in past.get(column.name, ())]
        values = [*(value for value, _ in steps), row.get(column.name)]
        changes = list(zip(values, values[1:], [until for _, until in steps], strict=False))
        if isinstance(asked, Past):
            return self._was(asked, changes, row.get(column.name), (since, created), subject, table)
        zone = self._zone(subject, table)
        for old, new, at in changes:
            fits = asked.before is None or old in asked.before
            fits &= asked.after is None or new in asked.after
            lately = asked.in_last is None or at >= self._shifted(asked.in_last, -1, zone)
            if fits and lately and at <= self._now:
                return True
        if not self._trusts(row, column.owner):
            return None
        if since is None or (created is not None and since <= created):
            return False
        lately = asked.in_last is not None and since <= self._shifted(asked.in_last, -1, zone)
        return False if lately else None

    def _was(  # noqa: PLR0917  as plain as can be
        self,
        asked: Past,
        changes: list[tuple[Any, Any, datetime]],
        value: Any,
        known: tuple[datetime | None, datetime | None],
        row: Row,
        table: str,
    ) -> bool | None:
        since, created = known
        if isinstance(asked.at, Duration):
            then = self._shifted(asked.at, -1, self._zone(row, table))
        else:
            zone = self._zone(row, table)
            then = self._last(asked.at, zone, is_day=False)
            if not isinstance(asked.at, datetime) and asked.at == self._now.astimezone(zone).date():
                then = self._now
        if then > self._now:
            return None
        if since is not None and since > then:
            return False if created is not None and created > then else None
        for old, _, at in reversed(changes):
            if at > then:
                value = old
        return value in asked.values

    def _time(self, value: Any, test: Test, zone: ZoneInfo) -> bool:
        is_day = not isinstance(value, datetime)
        present: Any = self._now.astimezone(zone).date() if is_day else self._now
        operand = test.operand
        if isinstance(operand, Duration):
            match test.operator:
                case Operator.IN_NEXT:
                    return bool(present <= value <= self._shifted(operand, 1, zone, is_day))
                case Operator.IN_LAST:
                    return bool(self._shifted(operand, -1, zone, is_day) <= value <= present)
                case Operator.OLDER_THAN:
                    return bool(value <= self._shifted(operand, -1, zone, is_day))
                case _:
                    return bool(value >= self._shifted(operand, 1, zone, is_day))
        low, high = operand if isinstance(operand, tuple) else (operand, operand)
        match test.operator:
            case Operator.BEFORE:
                return bool(value < self._first(low, zone, is_day=is_day))
            case Operator.AFTER:
                return bool(value > self._last(low, zone, is_day=is_day))
            case Operator.IS:
                return bool(value == self._first(low, zone, is_day=is_day))
            case Operator.IS_NOT:
                return bool(value != self._first(low, zone, is_day=is_day))
            case _:
                first = self._first(low, zone, is_day=is_day)
                return bool(first <= value <= self._last(high, zone, is_day=is_day))

    def _shifted(self, duration: Duration, sign: int, zone: ZoneInfo, is_day: bool = False) -> Any:
        """Today or now, so much later or earlier; business days keep the time on the clock.

        On a day without work it is the midnight at which work has ended, or begins again.
        """
        local = self._now.astimezone(zone)
        if not duration.business_days:
            return (local.date() if is_day else self._now) + sign * duration.length
        day, left = local.date(), duration.business_days
        while left:
            day += timedelta(days=sign)
            left -= self._works(day)
        clock = local.time()
        if not is_day and not self._works(local.date()):
            day, clock = (day + timedelta(days=1) if sign > 0 else day), time()
        return day if is_day else datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)

    def _works(self, day: Any) -> bool:
        return day.isoweekday() <= 5 and day not in self._holidays

    def _first(self, literal: Any, zone: ZoneInfo, *, is_day: bool) -> Any:
        if isinstance(literal, Today):
            literal = self._now.astimezone(zone).date()
        if not is_day and isinstance(literal, datetime):
            return literal if literal.tzinfo else literal.replace(tzinfo=zone).astimezone(UTC)
        if is_day:
            return literal
        return datetime.combine(literal, time(), tzinfo=zone).astimezone(UTC)

    def _last(self, literal: Any, zone: ZoneInfo, *, is_day: bool) -> Any:
        first = self._first(literal, zone, is_day=is_day)
        if is_day or isinstance(literal, datetime):
            return first
        next_day = first.astimezone(zone).date() + timedelta(days=1)
        return self._first(next_day, zone, is_day=False) - timedelta(microseconds=1)

    def _related(self, clause: Related, row: Row, table: str) -> bool | None:
        target, column = clause.of.relation.target, clause.of.relation.column
        near: Row | None = row
        for hop in clause.of.hops:
            near = self._record(hop.target, None if near is None else near.get(hop.column))
        if near is None or not self._trusts(near, target):
            return None
        related = [r for r in self._records.get(target, ()) if r[column] == near["id"]]
        if target == "activity":
            related = self._activities(near, clause.of.relation.source)
        where = [
            True if clause.of.where is None else self.verdict(clause.of.where, r, target)
            for r in related
        ]
        if clause.quantifier is Quantifier.LATEST:
            return self._latest(clause, related, where)
        if clause.quantifier is Quantifier.EVERY:
            assert clause.each is not None
            each = [self.verdict(clause.each, r, target) for r in related]
            return _all([_any([_not(w), e]) for w, e in zip(where, each, strict=True)])
        if clause.quantifier is Quantifier.SOME:
            return _any(where)
        if clause.quantifier is Quantifier.NONE:
            return _not(_any(where))
        assert clause.test is not None
        if clause.column is not None:
            counting = [r for r, w in zip(related, where, strict=True) if w]
            return None if None in where else self._of_values(clause, counting, row, table)
        # Every number that the count may be, once the undecided ones are known.
        least, most = where.count(True), where.count(True) + where.count(None)
        verdicts = {_plain(count, clause.test) for count in range(least, most + 1)}
        return verdicts.pop() if len(verdicts) == 1 else None

    def _of_values(self, clause: Related, counting: list[Row], row: Row, table: str) -> bool | None:
        assert clause.column is not None
        assert clause.test is not None
        held = [(r[clause.column.name], r.get("currency")) for r in counting]
        values = [value for value, _ in held if value is not None]
        is_time = clause.column.type in {FieldType.DATE, FieldType.INSTANT}
        if clause.column.name == "amount" and len({c for v, c in held if v is not None}) > 1:
            return None
        if clause.quantifier is Quantifier.SUM:
            return _plain(sum(values, Decimal(0)), clause.test)
        if clause.test.operator is Operator.PRESENT:
            return bool(values) == clause.test.operand
        if not values:
            all_are = {Quantifier.MAX: Operator.OLDER_THAN, Quantifier.MIN: Operator.FURTHER_THAN}
            return clause.test.operator is all_are[clause.quantifier] if is_time else None
        if clause.quantifier is Quantifier.AVG:
            return _plain(sum(map(Fraction, values)) / len(values), _exactly(clause.test))
        value = min(values) if clause.quantifier is Quantifier.MIN else max(values)
        if is_time:
            return self._time(value, clause.test, self._zone(row, table))
        return _plain(value, clause.test)

    def _latest(self, clause: Related, related: list[Row], where: list[bool | None]) -> bool | None:
        assert clause.each is not None
        target = clause.of.relation.target
        time = {"ticket": "opened_at", "activity": "at", "contact": "created_at"}[target]
        dated = [
            (r[time], r["id"], r, w)
            for r, w in zip(related, where, strict=True)
            if w is not False and r[time] is not None and r[time] <= self._now
        ]
        if not dated:
            return False
        _, _, latest, counts = max(dated, key=lambda d: d[:2])
        return self.verdict(clause.each, latest, target) if counts else None


def _all(verdicts: list[bool | None]) -> bool | None:
    return False if False in verdicts else None if None in verdicts else True


def _any(verdicts: list[bool | None]) -> bool | None:
    return True if True in verdicts else None if None in verdicts else False


def _not(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict


def _compare(value: Any, operator: Operator, bound: Any) -> bool:
    return bool(
        {
            Operator.OVER: lambda: value > bound,
            Operator.AFTER: lambda: value > bound,
            Operator.UNDER: lambda: value < bound,
            Operator.BEFORE: lambda: value < bound,
            Operator.AT_LEAST: lambda: value >= bound,
            Operator.AT_MOST: lambda: value <= bound,
            Operator.IS: lambda: value == bound,
            Operator.IS_NOT: lambda: value != bound,
        }[operator]()
    )


def _exactly(test: Test) -> Test:
    """The same test of fractions."""
    given: Any = test.operand
    exact: Any = tuple(map(Fraction, given)) if isinstance(given, tuple) else Fraction(given)
    return replace(test, operand=exact)


def _plain(value: Any, test: Test) -> bool:
    operand: Any = test.operand
    match test.operator:
        case Operator.IN:
            return value in operand
        case Operator.NOT_IN:
            return value not in operand
        case Operator.BETWEEN:
            return bool(operand[0] <= value <= operand[1])
        case Operator.CONTAINS:
            return operand in value
        case Operator.STARTS_WITH:
            return bool(value.startswith(operand))
        case Operator.ENDS_WITH:
            return bool(value.endswith(operand))
        case Operator.MATCHES:
            return re.search(operand, value) is not None
        case _:
            return _compare(value, test.operator, operand)
