"""A field is written back in the remote's own words, and compared with them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.config.mapping import FieldMapping
from support.commands import call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT = "2026-03-02T09:00+00:00"
_RULE = """\
rule: upgrade
subject: account
when:
  - renewal_date: {{in_next: 60 days}}
then:
  - update:
      fields: {{{fields}}}
"""


def company(folder: Path, fields: str, mapping: str) -> Path:
    head, tail = CONFIG.split("tier: tier, renewal_date: renewal}")
    config = f"{head}{mapping}, renewal_date: renewal}}{tail}"
    config += "policy: {share_counts_from: 100}\n"
    return make_company(folder, config=config, renewal_at_risk=_RULE.format(fields=fields))


def updates(config: Path) -> list[tuple[str, str, str, str]]:
    call_json("run", "--config", config, "--at", _AT)
    path = config.parent / "crm" / "updates.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    return [(row["id"], row["field"], row["expected"], row["new"]) for row in rows]


def held(config: Path) -> set[str]:
    plan: Any = call_json("plan", "--config", config, "--at", _AT)
    return {one["reason"] for one in plan["held"]}


def test_words_are_the_remotes_own(tmp_path: Path) -> None:
    mapping = "tier: {column: tier, values: {gold: premium, silver: basic}}"
    config = company(tmp_path, "tier: premium", mapping)
    assert updates(config) == [("A1", "tier", "gold", "gold"), ("A2", "tier", "silver", "gold")]


def test_what_no_line_of_values_names_stays_as_it_is(tmp_path: Path) -> None:
    mapping = "tier: {column: tier, values: {gold: premium}}"
    config = company(tmp_path, "tier: bronze", mapping)
    assert updates(config) == [
        ("A1", "tier", "gold", "bronze"),
        ("A2", "tier", "silver", "bronze"),
    ]


def test_a_word_that_stands_for_several_is_not_compared(tmp_path: Path) -> None:
    mapping = "tier: {column: tier, values: {gold: paying, silver: paying, free: trial}}"
    config = company(tmp_path, "tier: trial", mapping)
    assert updates(config) == [("A1", "tier", "", "free"), ("A2", "tier", "", "free")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            "tier: paying",
            "account.tier “paying” is several words of crm: “gold”, “silver”; nobody knows which",
        ),
        ("tier: other", "account.tier “other” has no word of crm, so it cannot be written back"),
        ("tier: gold", "account.tier “gold” has no word of crm, so it cannot be written back"),
    ],
)
def test_what_nobody_can_tell_is_held(tmp_path: Path, fields: str, reason: str) -> None:
    mapping = 'tier: {column: tier, values: {gold: paying, silver: paying, "*": other}}'
    config = company(tmp_path, fields, mapping)
    assert held(config) == {reason}
    assert updates(config) == []


def test_references_are_the_remotes_own_ids(tmp_path: Path) -> None:
    config = company(tmp_path, "owner: crm:U2", "tier: tier")
    (tmp_path / "crm" / "users.csv").write_text(
        "id,name,email\nU1,Jo Meyer,jo@vendor.example\nU2,Al,al@vendor.example\n", encoding="utf-8"
    )
    assert updates(config) == [("A1", "owner", "U1", "U2"), ("A2", "owner", "U1", "U2")]


def test_truths_are_no_texts() -> None:
    mapping = FieldMapping.model_validate(
        {"column": "IsClosed", "values": {"true": False, "false": True}}
    )
    assert mapping.remote_words(value=True) == (False,)
    assert mapping.remote_words(value=False) == (True,)
    assert mapping.remote_words(value=None) == (None,)
    words = {"column": "OptIn", "values": {"no": True, "": False, "yes": False}}
    assert FieldMapping.model_validate(words).remote_words(value=False) == (None, "yes")
    assert FieldMapping.model_validate(words).remote_words(value=None) == ()
