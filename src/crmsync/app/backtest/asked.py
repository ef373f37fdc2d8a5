"""Reads what a backtest is asked: the outcome to warn of, and the threshold to sweep."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.config.yaml import parse_yaml
from crmsync.errors import InvalidInputError, UsageError
from crmsync.rules.conditions import Column, Comparison, clauses
from crmsync.rules.language import Rule
from crmsync.rules.reading.text import condition_of
from crmsync.rules.reading.variants import find_threshold, operand_of, variant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.catalog import Catalog
    from crmsync.rules.conditions import Condition
    from crmsync.rules.reading.segments import Segment

_CALLED = "--outcome"
_ACCOUNT = "account"


@dataclass(frozen=True, kw_only=True)
class OutcomeWanted:
    """An outcome, and whom it is about.

    Attributes:
        about: the table: the rule's subject, or account.
        rule: its conditions as a rule.
        tracked: the fields whose history tells when it came about; empty where it does not.
    """

    text: str
    about: str
    rule: Rule
    tracked: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SweepWanted:
    """A threshold and the rule with each of its values, in the order in which they were given."""

    address: str
    values: tuple[str, ...]
    variants: tuple[Rule, ...]


def outcome_wanted(
    text: str, subject: str, catalog: Catalog, segments: Mapping[str, Segment]
) -> OutcomeWanted:
    """The outcome that a text means.

    It is about the rule's subject. Where every condition begins with ``account.``, or where it can
    only be read about accounts, it is about the subject's account.

    Raises:
        InvalidInputError: it holds mistakes; all of them are named.
    """
    has_account = subject != _ACCOUNT and catalog.relation(subject, _ACCOUNT) is not None
    own = _without_account(text) if has_account else None
    if own is not None:
        return _wanted(text, own, _ACCOUNT, catalog, segments)
    try:
        return _wanted(text, text, subject, catalog, segments)
    except InvalidInputError:
        if has_account:
            try:
                return _wanted(text, text, _ACCOUNT, catalog, segments)
            except InvalidInputError:
                pass
        raise


def _without_account(text: str) -> str | None:
    """The same conditions about the account; None where they are not all about it."""
    data = parse_yaml(text, _CALLED).data
    items = data if isinstance(data, list) else [data]
    prefix = f"{_ACCOUNT}."
    if not all(
        isinstance(item, dict) and item and all(str(key).startswith(prefix) for key in item)
        for item in items
    ):
        return None
    stripped = [{str(k).removeprefix(prefix): v for k, v in item.items()} for item in items]
    return json.dumps(stripped)  # which is YAML as well


def _wanted(
    text: str, read: str, about: str, catalog: Catalog, segments: Mapping[str, Segment]
) -> OutcomeWanted:
    when = condition_of(read, about, catalog, segments, called=_CALLED)
    rule = Rule(
        name=_CALLED,  # no rule's name begins so
        description="",
        subject=about,
        when=when,
        way=(),
        version=hashlib.sha256(read.encode()).hexdigest(),
        place=when.place,
    )
    return OutcomeWanted(text=text, about=about, rule=rule, tracked=_tracked(when, catalog))


def _tracked(when: Condition, catalog: Catalog) -> tuple[str, ...]:
    fields = []
    for clause in clauses(when):
        if not isinstance(clause, Comparison) or isinstance(clause.test.operand, Column):
            return ()
        column = clause.column
        if column.hops or column.fact or not catalog.is_tracked(column.table, column.name):
            return ()
        fields.append(column.name)
    return tuple(dict.fromkeys(fields))


def sweep_wanted(rule: Rule, text: str, catalog: Catalog) -> SweepWanted:
    """The threshold and the values that a text means: ``THRESHOLD=VALUE,VALUE``.

    Raises:
        UsageError: there is no such threshold, or a value does not fit it.
    """
    address, equals, listed = text.partition("=")
    values = [value.strip() for value in listed.split(",") if value.strip()]
    if not equals or not values:
        raise UsageError(
            "--sweep names a threshold and its values, for example "
            "--sweep 'last_contact.older_than=7 days,14 days,30 days'"
        )
    threshold = find_threshold(rule, address.strip())
    tests = [operand_of(threshold, value, catalog) for value in dict.fromkeys(values)]
    return SweepWanted(
        address=threshold.address,
        values=tuple(dict.fromkeys(values)),
        variants=tuple(
            variant(rule, threshold, test, number=number) for number, test in enumerate(tests, 1)
        ),
    )
