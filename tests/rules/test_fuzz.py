from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.errors import InvalidInputError
from crmsync.rules.conditions import Operator, Quantifier
from rules.rules_world import rules_from
from rules.test_load import BAD, SMALLEST

_WORDS = [
    *Operator,
    *Quantifier,
    *("any", "all", "not", "none_of", "segment", "if_unknown", "of", "where", "is", "field"),
    *("tier", "renewal_date", "last_contact", "owner.active", "open_tickets", "account.tier"),
    *("tickets", "deals.amount", "activities", "status", "at", "count", ".", "..", "a.b.c.d.e.f.g"),
    *("30 days", "3 business days", "today", "2026-02-30", "yes", "(", "a|*", "2026-03-01T25:00"),
]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(_WORDS),
    st.text(max_size=5),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(_WORDS), st.text(max_size=4)), inner, max_size=3),
    ),
    max_leaves=8,
)
_KEYS = ["rule", "subject", "when", "then", "once_per", "cooldown", "labels", "priority"]
_KEYS += ["for", "expires", "existing", "description"]


def loads_or_tells(texts: dict[str, str], segments: dict[str, str] | None = None) -> None:
    with TemporaryDirectory() as folder:
        try:
            rules_from(Path(folder), texts, segments)
        except InvalidInputError as error:
            assert error.problems  # noqa: PT017  both outcomes are fine, a third is not
            for problem in error.problems:
                assert problem.startswith(("rules/", "segments/"))


@settings(max_examples=200, deadline=None)
@given(when=VALUES, then=VALUES, key=st.sampled_from(_KEYS), value=VALUES, segment=VALUES)
def test_whatever_yaml_says_it_loads_or_is_told(
    when: object, then: object, key: str, value: object, segment: object
) -> None:
    rule = {"rule": "r", "subject": "account", "when": when, "then": then}
    changed = {"rule": "s", "subject": "deal", "when": when, "then": then, key: value}
    tiers = {"segment": "tier", "subject": "account", "when": segment}
    loads_or_tells({"r": json.dumps(rule), "s": json.dumps(changed)}, {"tier": json.dumps(tiers)})


@settings(max_examples=150, deadline=None)
@given(
    text=st.sampled_from([SMALLEST, *BAD.values()]),
    at=st.integers(0, 400),
    cut=st.integers(0, 8),
    put=st.one_of(
        st.text(max_size=4), st.sampled_from(["\t", "'", '"', "&a", "*a", "[", "{", "- "])
    ),
)
def test_a_file_with_a_slip_of_the_keyboard_loads_or_is_told(
    text: str, at: int, cut: int, put: str
) -> None:
    slipped = text[:at] + put + text[at + cut :]
    loads_or_tells({"r": slipped.encode("utf-8", "replace").decode()})
