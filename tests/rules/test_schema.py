"""The schemas for editors say what the loader says, wherever it is a matter of shape."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from crmsync.config.yaml import load_yaml, parse_yaml
from crmsync.errors import InvalidInputError
from crmsync.rules.reading.rule import RULE_FILE
from crmsync.rules.reading.segments import SEGMENT_FILE
from crmsync.rules.schema import Names, rule_schema, rule_test_schema, segment_schema
from rules.rules_world import CATALOG, rules_from
from rules.test_fuzz import VALUES
from rules.test_load import BAD, BAD_SEGMENTS, SMALLEST
from rules.test_oracle import CONDITIONS, SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHIPPED = Path(__file__).parents[2]
_MOST_BYTES = 2_200_000
# Mistakes that a schema cannot tell: they lie in what a value means, not in how it is written.
_OF_MEANING = (
    "there is no segment",
    "write the lower one first",
    "has more than four decimal places",
    "is not a regular expression",
    "is too long to count in business days",
    "is longer than 100 years",
    "stands at another step already",
    "conditions nest deeper than",
    "in “when” nobody is enrolled yet",
    "stands directly in the list behind an “if” of a step",
    "before this",  # a step that others are asked about
    "can be asked",
    "a branch is written",
)
_WAY: dict[str, Any] = {
    "rule": "way",
    "subject": "account",
    "when": [{"tier": "gold"}],
    "repeat_every": "10 days",
    "on_change": "restart",
    "until": [{"last_reply": {"after": "enrolled"}, "goal": True}, {"tier": "silver"}],
    "then": [
        {"id": "brief", "task": {"assign_to": "owner", "subject": "x"}},
        {"wait": "2 days"},
        {"wait": {"until": [{"tier": "tin"}], "at_most": "2 business days", "clock": "owner"}},
        {"if": [{"steps.brief": ["done", "dropped"]}, {"tier": "x"}], "note": {"text": "x"}},
        {
            "after": "3 business days",
            "clock": "account",
            "note": {"text": "y", "requires": "today"},
        },
        {
            "choose": [
                {"if": {"tier": "gold"}, "then": [{"note": {"text": "z"}}]},
                {"otherwise": [{"wait": "1 day"}, {"note": {"text": "z"}}]},
            ]
        },
        {"email": {"to": "primary_contact", "template": "t", "despite_contact": True}},
        {"email": {"to": "primary_contact", "template": "t", "thread": "last"}},
        {"task": {"assign_to": "owner", "subject": "x", "requires": ["account.name", "today"]}},
        {"task": {"assign_to": "owner", "subject": "x", "if_exists": "skip"}},
    ],
}
_GOOD_STEP = [{"note": {"text": "hello"}}]
_TEAMS = ("renewals", "success", "support")
_GOOD_RULES = [
    parse_yaml(SMALLEST, "x.yaml").data,
    _WAY,
    {
        "rule": "all-of-it",
        "subject": "ticket",
        "labels": ["a", "b"],
        "priority": 70,
        "once_per": ["ticket", "account.renewal_date"],
        "cooldown": "10 days",
        "existing": "enrol",
        "when": [
            {"opened_at": {"older_than": "3 business days", "if_unknown": "no"}},
            {"account.recurring_revenue": {"between": [1, 2.5]}},
            {"account.owner.manager.active": True},
            {"any": [{"account.tier": ["gold", "silver"]}, {"not": {"status": {"not_in": ["x"]}}}]},
            {"some": {"of": "account.deals", "where": [{"amount": {"over": 3}}]}},
            {"sum": {"of": "account.deals.amount", "is": {"at_least": 3}, "if_unknown": "yes"}},
            {"max": {"of": "account.orders", "field": "at", "is": {"in_last": "12h"}}},
            {"min": {"of": "account.deals", "field": "close_date", "is": {"after": "today"}}},
            {"latest": {"of": "account.feedback", "is": [{"score": {"at_most": 6}}]}},
            {"count": {"of": "contact.activities", "where": {"kind": "call"}, "is": [1, 2]}},
            {"account.usage_30d": {"under": "account.usage_previous_30d"}},
            {"opened_at": {"before": "account.created_at", "present": True}},
        ],
        "then": [
            {"id": "a", "task": {"assign_to": ["owner", "team.renewals"], "subject": "x"}},
            {"email": {"to": {"role": "champion", "otherwise": "contact"}, "template": "t"}},
            {"email": {"to": "contact", "template": "t", "from": "company", "class": "service"}},
            {"update": {"record": "account", "fields": {"status": "x", "renewal_date": None}}},
            {"update": {"fields": {"status": "{{ x }}", "opened_at": "2026-03-01T09:30"}}},
            {"note": {"text": "hello"}},
        ],
    },
]


@cache
def _schema(kind: str) -> dict[str, Any]:
    make = {"rule": rule_schema, "segment": segment_schema, "test": rule_test_schema}[kind]
    return make(CATALOG, Names(teams=_TEAMS))


@cache
def _validator(kind: str) -> Draft7Validator:
    Draft7Validator.check_schema(_schema(kind))
    return Draft7Validator(_schema(kind))


def _fits(data: object, kind: str = "rule") -> bool:
    return bool(_validator(kind).is_valid(data))


# JSON writes a rare character as two halves, which YAML does not know.
_PAIRS = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")


def _as_one(pair: re.Match[str]) -> str:
    high, low = (int(half, 16) for half in pair.groups())
    return rf"\U{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:08x}"


def _loads(data: object, segments: dict[str, str] | None = None) -> str | None:
    """None where the loader takes a rule, else what it says."""
    with TemporaryDirectory() as folder:
        try:
            rules_from(Path(folder), {"r": _PAIRS.sub(_as_one, json.dumps(data))}, segments)
        except InvalidInputError as error:
            return "; ".join(error.problems)
    return None


@pytest.mark.parametrize(
    ("kind", "folder", "tests"),
    [("rule", "rules", False), ("segment", "segments", False), ("test", "rules/tests", True)],
)
def test_what_ships_fits_its_schema(kind: str, folder: str, *, tests: bool) -> None:
    found = sorted((_SHIPPED / folder).rglob("*.yaml"))
    files = [file for file in found if tests or file.parent.name != "tests"]
    assert files
    for file in files:
        mistakes = [
            f"{file}: {error.json_path}: {error.message[:200]}"
            for error in _validator(kind).iter_errors(load_yaml(file).data)
        ]
        assert mistakes == []


def test_the_schemas_are_of_a_size_that_editors_take() -> None:
    for kind in ("rule", "segment", "test"):
        text = json.dumps(_schema(kind), separators=(",", ":"))
        assert len(text) < _MOST_BYTES, kind


def test_every_key_of_a_rule_has_a_shape() -> None:
    """A key of which the schema knows nothing lets everything through."""
    for kind in (RULE_FILE, SEGMENT_FILE):
        properties = _schema(kind.name)["properties"]
        assert list(properties) == list(kind.keys)
        assert [key for key, shape in properties.items() if not shape] == []


def test_every_operator_and_every_key_of_a_step_has_a_shape() -> None:
    definitions = _schema("rule")["definitions"]
    for name, shape in definitions.items():
        if name.startswith("test."):
            asked = (shape["then"] if "else" in shape else shape)["properties"]
            assert [key for key, operand in asked.items() if not operand] == []
        if name.startswith("step."):
            for kind, step in shape["properties"].items():
                assert [k for k, v in step.get("properties", {}).items() if not v] == [], kind


def _single_mistakes() -> Iterator[tuple[str, dict[str, Any]]]:
    """The bad rules of the loader's tests, taken apart: one with each condition, step and key."""
    for name, text in BAD.items():
        try:
            data = parse_yaml(text, name).data
        except InvalidInputError:
            continue  # no YAML
        if not isinstance(data, dict) or set(RULE_FILE.needed) - set(data):
            yield name, data
            continue
        good = {"rule": "r", "subject": "account", "when": [{"tier": "x"}], "then": _GOOD_STEP}
        if data["subject"] not in CATALOG.tables:
            yield name, data
            continue
        for i, condition in enumerate(data["when"]):
            yield f"{name} when {i} {json.dumps(condition)}", {**good, "when": [condition]}
        for i, step in enumerate(data["then"]):
            yield f"{name} then {i} {json.dumps(step)}", {**good, "then": [step]}
        for key in set(data) - {"subject", "when", "then"}:
            yield f"{name} {key} {json.dumps(data[key])}", {**good, key: data[key]}


def test_what_the_loader_refuses_for_its_shape_the_schema_refuses() -> None:
    mistakes = list(_single_mistakes())
    assert len(mistakes) > 90
    for name, data in mistakes:
        _assert_alike(data, name)


def test_segments_too() -> None:
    for text in BAD_SEGMENTS.values():
        data = parse_yaml(text, "x.yaml").data
        assert _fits(data, "segment") is ("tire" not in text)
        assert not _fits({**data, "then": []}, "segment")


def _assert_alike(data: object, note: object) -> None:
    """The schema refuses what the loader refuses, unless it is a matter of meaning."""
    told = _loads(data)
    fits = _fits(data)
    if told is None:
        assert fits, (note, [e.message[:300] for e in _validator("rule").iter_errors(data)])
    elif fits:
        assert any(phrase in told for phrase in _OF_MEANING), (note, told)


@settings(max_examples=40, deadline=None)
@given(when=CONDITIONS)
def test_random_rules_that_load_fit(when: list[dict[str, Any]]) -> None:
    data = {"rule": "r", "subject": "account", "when": when, "then": _GOOD_STEP}
    assert _loads(data, SEGMENTS) is None
    assert _fits(data)


@settings(max_examples=60, deadline=None)
@given(when=VALUES, then=VALUES)
def test_whatever_stands_there_is_judged_alike(when: object, then: object) -> None:
    rule = {"rule": "r", "subject": "account"}
    _assert_alike({**rule, "when": when, "then": _GOOD_STEP}, when)
    _assert_alike({**rule, "when": [{"tier": "x"}], "then": then}, then)


@settings(max_examples=250, deadline=None)
@given(data=st.data(), rule=st.sampled_from(_GOOD_RULES), other=VALUES)
def test_a_slip_is_judged_alike(data: st.DataObject, rule: dict[str, Any], other: object) -> None:
    slipped = copy.deepcopy(rule)
    places = list(_places(slipped))
    holder, key = data.draw(st.sampled_from(places))
    slip = data.draw(st.sampled_from(["drop", "misspell", "replace", "wrap", "add"]))
    if slip == "drop":
        del holder[key]
    elif slip == "misspell" and isinstance(holder, dict):
        holder[f"{key}s"] = holder.pop(key)
    elif slip == "replace":
        holder[key] = other
    elif slip == "wrap":
        holder[key] = [holder[key]]
    elif isinstance(holder, dict):
        holder["somthing"] = other
    else:
        holder.append(other)
    _assert_alike(slipped, slipped)


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every key and every item, with what holds it."""
    keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    for key in list(keys):
        yield data, key
        yield from _places(data[key])


def test_the_tests_of_the_docs_fit() -> None:
    page = (_SHIPPED / "docs" / "rule-tests.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    tests = [data for data in (parse_yaml(b, "x.yaml").data for b in blocks) if "expect" in data]
    assert tests
    for test in tests:
        assert [e.message[:200] for e in _validator("test").iter_errors(test)] == []
        assert not _fits({**test, "expects": {}}, "test")
        assert not _fits({**test, "records": {"acount": []}}, "test")
        assert not _fits({**test, "records": {"account": [{"id": "a", "teir": "gold"}]}}, "test")


_TEST: dict[str, Any] = {"rule": "r", "at": "2026-03-01", "records": {"account": [{"id": "a"}]}}


@pytest.mark.parametrize(
    ("expect", "later"),
    [
        ({"matches": ["a"]}, []),
        ({"actions": ["task"]}, []),
        ({"actions": {"a": "tsk"}}, []),
        ({"actions": {"a": {"task": {"asign_to": "jo"}}}}, []),
        ({"actions": {"a": {"task": {"due": "soon"}}}}, []),
        ({"actions": {"a": {"task": {}, "note": {}}}}, []),
        ({"actions": {"a": {"email": {"to": {"contains": "x"}}}}}, []),
        ({"actions": {"a": {"email": {"text": {"contains": []}}}}}, []),
        ({"held": {"a": {"steps": "x"}}}, []),
        ({"match": ["a"]}, [{"expect": {"match": "a"}}]),
        ({"match": ["a"]}, [{"advance": "1 day", "at": "2026-03-02"}]),
        ({"match": ["a"]}, [{"advance": "3 moons"}]),
        ({"match": ["a"]}, [{"advance": "1 day", "deleted": {"acount": ["a"]}}]),
        ({"match": ["a"]}, [{"advance": "1 day", "new_rule": True}]),
    ],
)
def test_mistakes_in_what_a_test_expects_do_not_fit(expect: object, later: object) -> None:
    assert not _fits({**_TEST, "expect": expect, "later": later}, "test")


def test_what_a_test_can_expect_fits() -> None:
    expect = {
        "match": "a",
        "not_enrolled": ["b"],
        "actions": {
            "a": ["task", {"step": "x", "email": {"to": "c", "text": {"contains": ["x", "y"]}}}],
            "b": "nothing",
            "c": {"update": {"record": "a", "fields": {"tier": None}}},
        },
        "held": {"a": "why", "b": [{"step": "x", "reason": {"contains": "y"}}], "c": "nothing"},
    }
    later = [{"advance": "3 business days", "unread": [], "deleted": {"account": "a"}}]
    assert _fits({**_TEST, "expect": expect, "later": later}, "test")
    assert _fits({**_TEST, "later": {"at": "2026-04-01", "expect": {"match": "a"}}}, "test")
    assert not _fits(_TEST, "test")
