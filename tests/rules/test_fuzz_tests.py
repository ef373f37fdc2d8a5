"""Whatever a file of rule tests holds, it is read or told."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.errors import InvalidInputError
from crmsync.rules.unit_tests.expectations import ACTION_KEYS, EXPECTED
from crmsync.rules.unit_tests.load import STAGE_KEYS, TEST_KEYS, load_rule_tests
from rules.rules_world import CATALOG, THEN, rules_from

_WORDS = [
    *TEST_KEYS,
    *STAGE_KEYS,
    *EXPECTED,
    *ACTION_KEYS,
    *(key for keys in ACTION_KEYS.values() for key in keys),
    *("a", "b", "account", "nothing", "contains", "step", "reason", "history", "known_since"),
    *("was", "until", "tier", "renewal_date", "3 days", "2026-03-01", "2026-03-09T25:00", "id"),
]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.sampled_from(_WORDS),
    st.text(max_size=4),
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(_WORDS), inner, max_size=3)
    ),
    max_leaves=8,
)
_STAGES = st.lists(
    st.fixed_dictionaries(
        {}, optional={key: st.one_of(_VALUES, st.just("3 days")) for key in STAGE_KEYS}
    ),
    max_size=2,
)
_EXPECT = st.one_of(_VALUES, st.fixed_dictionaries({}, optional=dict.fromkeys(EXPECTED, _VALUES)))


@settings(max_examples=250, deadline=None)
@given(expect=_EXPECT, later=_STAGES, key=st.sampled_from(TEST_KEYS), value=_VALUES)
def test_whatever_a_test_says_it_is_read_or_told(
    expect: object, later: object, key: str, value: object
) -> None:
    test: dict[str, Any] = {
        "rule": "r",
        "at": "2026-03-01",
        "records": {"account": [{"id": "a"}, {"id": "b"}]},
        "expect": expect,
        "later": later,
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        rules = rules_from(folder, {"r": f"rule: r\nsubject: account\nwhen: [{{tier: x}}]\n{THEN}"})
        tests = folder / "rules" / "tests"
        tests.mkdir()
        for file, data in (("one", test), ("two", [test, {**test, key: value}]), ("x", value)):
            (tests / f"{file}.yaml").write_text(json.dumps(data), encoding="utf-8")
        try:
            load_rule_tests(
                tests,
                rules,
                CATALOG,
                zone=ZoneInfo("UTC"),
                country=None,
                shown_relative_to=folder,
            )
        except InvalidInputError as error:
            problems = error.problems
            assert problems
            assert all(problem.startswith("rules/tests/") for problem in problems)
