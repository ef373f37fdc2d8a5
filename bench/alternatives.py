"""What a user would pick instead: rule engines, compiled lambdas, pandas, for company.py's rules.

Everything that can be compiled is compiled before. All but pandas are given the facts of accounts,
counted in plain Python; an absent value is a number out of reach, which is quickest for each.
"""

from __future__ import annotations

import functools
import json
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import business_rules
import company
import pandas as pd
import rule_engine
import zen
from business_rules.actions import BaseActions, rule_action
from business_rules.fields import FIELD_NUMERIC
from business_rules.variables import BaseVariables, numeric_rule_variable, string_rule_variable
from json_logic import jsonLogic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Row = dict[str, Any]
Facts = dict[str, Any]
Tests = tuple[company.Test, ...]
Engine = Callable[[Sequence[Facts]], list[list[int]]]  # of each account, the rules that match

NEVER = 10**15
NOW = company.NOW.replace(tzinfo=None)  # all in UTC: what has no zone is compared quickest
MILLISECOND = timedelta(milliseconds=1)
BATCH = 1000
_CONVERSATIONS = ("call", "email", "meeting")
_NOT_HELD = ("planned", "cancelled")
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
}


def tests(rule: company.Written) -> Tests:
    """A rule as tests of facts, all of which must hold."""
    found: list[company.Test] = []
    for clause in rule.clauses:
        match clause:
            case company.Plain():
                found += clause.tests
            case company.Contacted():
                age = timedelta(days=clause.days) // MILLISECOND
                found.append(("contact_age", ">=" if clause.older else "<=", age))
            case company.Counted():
                found.append((_name(clause), ">=" if clause.at_least else "==", clause.at_least))
    return tuple(found)


def _name(counted: company.Counted) -> str:
    return f"{counted.kind}_{counted.direction or 'any'}_{counted.days or 'ever'}"


def _counted(rules: Iterable[company.Written]) -> dict[str, company.Counted]:
    """What the rules count, each once."""
    clauses = [clause for rule in rules for clause in rule.clauses]
    return {_name(clause): clause for clause in clauses if isinstance(clause, company.Counted)}


class PlainFacts:
    """Facts by one pass over an account's activities; quicker than a pass for each fact."""

    def __init__(self, rules: Sequence[company.Written]) -> None:
        counted = _counted(rules)
        self._none = dict.fromkeys(counted, 0)
        self._counts: dict[tuple[str, str], list[tuple[str, datetime]]] = {}
        for name, clause in counted.items():
            days = clause.days
            since = datetime.min if days is None else NOW - timedelta(days=days)  # noqa: DTZ901  UTC
            for direction in [clause.direction] if clause.direction else ["inbound", "outbound"]:
                self._counts.setdefault((clause.kind, direction), []).append((name, since))

    def of(self, account: Row, activities: Iterable[Row]) -> Facts:
        """The facts of one account."""
        renewal = account["renewal_date"]
        facts: Facts = {
            "tier": account["tier"] or "",
            "recurring_revenue": account["recurring_revenue"],
            "days_to_renewal": -NEVER if renewal is None else (renewal - NOW.date()).days,
            **self._none,
        }
        counts = self._counts
        last = None
        for activity in activities:
            at = activity["at"]
            if at > NOW:
                continue
            kind = activity["kind"]
            for name, since in counts.get((kind, activity["direction"]), ()):
                if at >= since:
                    facts[name] += 1
            if (
                kind in _CONVERSATIONS
                and not activity["automated"]
                and activity["status"] not in _NOT_HELD
                and (activity["ended_at"] or at) <= NOW
                and (last is None or at > last)
            ):
                last = at
        facts["contact_age"] = NEVER if last is None else (NOW - last) // MILLISECOND
        return facts


def lambdas(rules: Sequence[Tests]) -> Engine:
    """Each rule a compiled Python function."""
    compiled: list[Callable[[Facts], bool]] = []
    for rule in rules:
        text = " and ".join(f"f[{name!r}] {test} {operand!r}" for name, test, operand in rule)
        compiled.append(eval(f"lambda f: {text}"))  # noqa: S307  texts of this folder
    return lambda facts: [
        [number for number, matches in enumerate(compiled) if matches(one)] for one in facts
    ]


def _zen_text(rule: Tests) -> str:
    return " and ".join(f"{name} {test} {json.dumps(operand)}" for name, test, operand in rule)


def zen_expression(rules: Sequence[Tests]) -> Engine:
    """All rules in one expression, since to hand over the facts for each costs most."""
    compiled = zen.compile_expression(f"[{', '.join(map(_zen_text, rules))}]")
    return lambda facts: [
        [number for number, matches in enumerate(compiled.evaluate(one)) if matches]
        for one in facts
    ]


def zen_table(rules: Sequence[Tests]) -> Engine:
    """A decision table with a row for each rule, asked in batches."""
    names = sorted({name for rule in rules for name, _, _ in rule})
    content = {
        "hitPolicy": "collect",
        "inputs": [{"id": name, "name": name, "field": name} for name in names],
        "outputs": [{"id": "rule", "name": "rule", "field": "rule"}],
        "rules": [
            {"_id": str(number), "rule": str(number)} | {name: _cell(rule, name) for name in names}
            for number, rule in enumerate(rules)
        ],
    }
    kinds = {"request": "inputNode", "rules": "decisionTableNode", "response": "outputNode"}
    nodes = [
        {"id": name, "name": name, "type": kind, "position": {"x": 0, "y": 0}}
        for name, kind in kinds.items()
    ]
    nodes[1]["content"] = content
    edges = [
        {"id": source, "type": "edge", "sourceId": source, "targetId": target}
        for source, target in (("request", "rules"), ("rules", "response"))
    ]
    graph = {
        "contentType": "application/vnd.gorules.decision",
        "nodes": nodes,
        "edges": edges,
    }
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {"rules": graph}}})

    def evaluated(facts: Sequence[Facts]) -> list[list[int]]:
        found: list[list[int]] = []
        for start in range(0, len(facts), BATCH):
            batch = [{"key": "rules", "context": one} for one in facts[start : start + BATCH]]
            answers = engine.evaluate_batch(batch)
            found += [[row["rule"] for row in answer["data"]["result"]] for answer in answers]
        return found

    return evaluated


def _cell(rule: Tests, asked: str) -> str:
    """What a decision table says of one fact; empty for anything."""
    parts = []
    for name, test, operand in rule:
        if name == asked and isinstance(operand, tuple):
            parts.append(", ".join(map(json.dumps, operand)))
        elif name == asked:
            parts.append(f"{test} {operand}")
    return " and ".join(parts)


def json_logic(rules: Sequence[Tests]) -> Engine:
    """Each rule a tree of JSON."""
    trees = [
        {
            "and": [
                {test: [{"var": name}, list(operand) if isinstance(operand, tuple) else operand]}
                for name, test, operand in rule
            ]
        }
        for rule in rules
    ]
    return lambda facts: [
        [number for number, tree in enumerate(trees) if jsonLogic(tree, one)] for one in facts
    ]


def rule_engine_rules(rules: Sequence[Tests]) -> Engine:
    """Each rule parsed; without declared types, which make it slower."""
    compiled = []
    for rule in rules:
        texts = [
            f"{name} {test} {list(operand) if isinstance(operand, tuple) else operand}"
            for name, test, operand in rule
        ]
        compiled.append(rule_engine.Rule(" and ".join(texts)))
    return lambda facts: [
        [number for number, rule in enumerate(compiled) if rule.matches(one)] for one in facts
    ]


_VENMO = {
    ">": "greater_than",
    ">=": "greater_than_or_equal_to",
    "<=": "less_than_or_equal_to",
    "==": "equal_to",
}


def business_rules_run(rules: Sequence[Tests]) -> Engine:
    """Each rule a tree of conditions over a class of variables, with an action that notes it."""

    def variable(name: str) -> object:
        kind = string_rule_variable if name == "tier" else numeric_rule_variable
        return kind(label=name)(lambda self: self.facts[name])

    def keep(self: Any, **given: object) -> None:  # noqa: ANN401  an instance of the classes below
        self.__dict__ |= given

    def match(self: Any, number: int) -> None:  # noqa: ANN401  likewise
        self.found.append(number)

    names = {name for rule in rules for name, _, _ in rule}
    members = {"__init__": keep} | {name: variable(name) for name in names}
    variables = type("Variables", (BaseVariables,), members)
    noted = rule_action(params={"number": FIELD_NUMERIC})(match)
    actions = type("Actions", (BaseActions,), {"__init__": keep, "match": noted})
    listed = [
        {
            "conditions": {"all": [_condition(*test) for test in rule]},
            "actions": [{"name": "match", "params": {"number": number}}],
        }
        for number, rule in enumerate(rules)
    ]

    def evaluated(facts: Sequence[Facts]) -> list[list[int]]:
        answers: list[list[int]] = []
        for one in facts:
            found: list[int] = []
            business_rules.run_all(
                rule_list=listed,
                defined_variables=variables(facts=one),
                defined_actions=actions(found=found),
                stop_on_first_trigger=False,
            )
            answers.append(found)
        return answers

    return evaluated


def _condition(name: str, test: str, operand: object) -> dict[str, Any]:
    if isinstance(operand, tuple):
        equal = [{"name": name, "operator": "equal_to", "value": value} for value in operand]
        return {"any": equal}
    return {"name": name, "operator": _VENMO[test], "value": operand}


class Frames:
    """Accounts and activities as pandas reads them, and the rules over all of them at once."""

    def __init__(
        self, accounts: pd.DataFrame, activities: pd.DataFrame, rules: Sequence[company.Written]
    ) -> None:
        self.accounts = accounts
        self._read = activities
        self._counted = _counted(rules)
        self._tests = [tests(rule) for rule in rules]

    def _activities(self) -> pd.DataFrame:
        """Each names its account by the row, and texts are categories: both pay for themselves."""
        codes = pd.Categorical(self._read["account"], categories=self.accounts["id"]).codes
        categories = dict.fromkeys(("kind", "direction", "status"), "category")
        return self._read.assign(account=codes).astype(categories)

    def facts(self) -> Mapping[str, pd.Series]:
        """The columns of all accounts; each kind and direction is looked for once."""
        accounts, activities = self.accounts, self._activities()
        wide = {name: accounts[name] for name in ("tier", "recurring_revenue")}
        days = (accounts["renewal_date"] - pd.Timestamp(NOW.date())).dt.days
        wide["days_to_renewal"] = days.fillna(-NEVER)
        wide["contact_age"] = self._contact_age(activities)
        until_now = activities[activities["at"] <= NOW]
        of_kind: dict[tuple[str, str | None], pd.DataFrame] = {}
        for name, clause in self._counted.items():
            key = (clause.kind, clause.direction)
            if key not in of_kind:
                chosen = until_now["kind"] == clause.kind
                if clause.direction:
                    chosen &= until_now["direction"] == clause.direction
                of_kind[key] = until_now.loc[chosen, ["account", "at"]]
            found = of_kind[key]
            if clause.days is not None:
                found = found[found["at"] >= NOW - timedelta(days=clause.days)]
            counts = found["account"].value_counts(sort=False)
            wide[name] = counts.reindex(accounts.index, fill_value=0)
        return wide

    def _contact_age(self, activities: pd.DataFrame) -> pd.Series:
        held = (
            activities["kind"].isin(_CONVERSATIONS)
            & ~activities["automated"]
            & ~activities["status"].isin(_NOT_HELD)
            & (activities["ended_at"].fillna(activities["at"]) <= NOW)
            & (activities["at"] <= NOW)
        )
        last = activities.loc[held].groupby("account")["at"].max().reindex(self.accounts.index)
        return ((NOW - last) / MILLISECOND).fillna(NEVER)

    def evaluated(self) -> list[pd.Series]:
        """The ids that match, of each rule."""
        facts = self.facts()
        ids = self.accounts["id"]
        found = []
        for rule in self._tests:
            masks = [
                facts[name].isin(operand)
                if isinstance(operand, tuple)
                else _OPERATORS[test](facts[name], operand)
                for name, test, operand in rule
            ]
            found.append(ids[functools.reduce(operator.and_, masks)])
        return found

    def pairs(self) -> Counter[tuple[int, str]]:
        """The same as pairs of a rule's number and an id."""
        found = enumerate(self.evaluated())
        return Counter((number, i) for number, ids in found for i in ids)
