"""A rule may tighten the policy of the config, and never loosen it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.config.hours import WEEKDAYS, Hours
from crmsync.config.policy import Policy
from crmsync.config.tightening import RulePolicy, loosening, tightened
from crmsync.config.yaml import parse_yaml
from crmsync.errors import InvalidInputError
from crmsync.policy.hours import Openings
from crmsync.rules.reading.load import load_rules
from rules.rules_world import CATALOG

_CONFIG: dict[str, Any] = {
    "hours": {"weekdays": "08:00-18:00", "friday": ["08:00-12:00", "13:00-16:00"]},
    "caps": [{"per": "account", "at_most": 2, "within": "7 days"}],
    "stale_after": "10 days",
}
_PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


def told(own: dict[str, Any], config: dict[str, Any] | None = None) -> list[tuple[Any, str]]:
    policy = Policy.model_validate(_CONFIG if config is None else config)
    return list(loosening(policy, RulePolicy.model_validate(own)))


@pytest.mark.parametrize(
    ("own", "path", "words"),
    [
        ({"hours": {"monday": "07:59-09:00"}}, ("hours", "monday"), "has 08:00–18:00; a rule can"),
        ({"hours": {"weekdays": "09:00-15:00"}}, ("hours", "weekdays"), "on Friday policy.hours"),
        ({"hours": {"sunday": "09:00-10:00"}}, ("hours", "sunday"), "has closed; a rule can"),
        (
            {"caps": [{"per": "account", "at_most": 2, "within": "7 days"}]},
            ("caps", 0),
            "allows 2 per account within 7 days; a rule can allow fewer, and 2 is not",
        ),
        ({"stale_after": "11 days"}, ("stale_after",), "is 10 days; a rule can be stricter"),
    ],
)
def test_what_would_loosen_is_told(own: dict[str, Any], path: Any, words: str) -> None:
    ((where, sentence),) = told(own)
    assert where == path
    assert words in sentence


@pytest.mark.parametrize(
    "own",
    [
        {"hours": {"monday": "08:00-18:00", "friday": ["08:00-09:00", "14:00-16:00"]}},
        {"caps": [{"per": "account", "at_most": 1, "within": "7 days"}]},
        {"caps": [{"per": "account", "at_most": 9, "within": "30 days"}]},
        {"caps": [{"per": "account", "at_most": 9, "within": "7 days", "of": "task"}]},
        {"stale_after": "10 days"},
        {},
    ],
)
def test_what_is_as_tight_or_tighter_is_not(own: dict[str, Any]) -> None:
    assert told(own) == []
    # Where the config says nothing, anything is tighter.
    assert told({"hours": {"sunday": "00:00-24:00"}, "stale_after": "99 days"}, {}) == []


def test_what_a_rule_does_not_say_is_as_in_the_config() -> None:
    policy = Policy.model_validate({**_CONFIG, "most_actions_per_run": 7})
    assert tightened(policy, None) is policy
    own = RulePolicy.model_validate({"caps": [{"per": "owner", "at_most": 1, "within": "1 day"}]})
    tight = tightened(policy, own)
    assert (tight.hours, tight.stale_after) == (policy.hours, policy.stale_after)
    assert tight.caps == (*policy.caps, *own.caps)
    assert tight.most_actions_per_run == 7


def test_hours_of_a_rule_keep_all_but_the_days_of_the_config() -> None:
    general = {
        "weekdays": "08:00-18:00",
        "unknown_zone": "company",
        "any_time_for": ["service"],
        "quiet_dates": ["12-24"],
    }
    policy = Policy.model_validate({"hours": general})
    own = RulePolicy.model_validate({"hours": {"tuesday": "09:00-10:00", "quiet_dates": ["12-22"]}})
    expected = {**general, "weekdays": None, "tuesday": "09:00-10:00"}
    expected["quiet_dates"] = ["12-24", "12-22"]
    tight = tightened(policy, own).hours
    assert tight is not None
    assert tight.by_weekday == Hours.model_validate(expected).by_weekday
    for name in Hours.model_fields.keys() - {*WEEKDAYS, "weekdays"}:
        assert getattr(tight, name) == getattr(Hours.model_validate(expected), name)


_hour = st.integers(0, 23)
_spans = st.tuples(_hour, _hour).map(lambda ends: f"{min(ends):02}:00-{max(ends) + 1:02}:00")
_days = st.dictionaries(st.sampled_from(("weekdays", *WEEKDAYS)), _spans, min_size=1)


@settings(max_examples=60, deadline=None)
@given(_days, _days)
def test_hours_that_are_not_told_to_loosen_are_open_in_no_other_hour(
    general: dict[str, str], own: dict[str, str]
) -> None:
    policy = Policy.model_validate({"hours": general})
    asked = RulePolicy.model_validate({"hours": own})
    tight = tightened(policy, asked).hours
    assert policy.hours is not None
    assert tight is not None
    place, narrow = (
        Openings(hours=hours, zone=ZoneInfo("UTC"), country=None) for hours in (policy.hours, tight)
    )
    week = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=n) for n in range(7 * 24)]
    opened = [at for at in week if narrow.is_open(at) and not place.is_open(at)]
    assert bool(opened) == bool(list(loosening(policy, asked)))


def test_check_tells_it_with_its_place_and_the_snippet_of_the_page_is_read(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```yaml\n# in a rule\n(policy:.*?)```", _PAGE, re.DOTALL)
    (tmp_path / "rules").mkdir()
    rule = "rule: a\nsubject: account\nwhen: [{tier: gold}]\nthen: [{note: {text: Look}}]\n"
    (tmp_path / "rules" / "a.yaml").write_text(rule + snippet, encoding="utf-8")
    policy = Policy.model_validate({**_CONFIG, "hours": {"weekdays": "08:00-18:00"}})

    def load(policy: Policy) -> RulePolicy | None:
        folder = tmp_path / "rules"
        loaded = load_rules(folder, tmp_path / "none", CATALOG, [], tmp_path, policy=policy)
        return loaded.rules[0].policy

    written = parse_yaml(snippet, "x.yaml").data["policy"]
    assert load(policy) == RulePolicy.model_validate(written)
    with pytest.raises(InvalidInputError, match=r"rules/a.yaml:6:\d+: on Monday policy.hours"):
        load(Policy.model_validate({"hours": {"weekdays": "10:00-12:00"}}))
    with pytest.raises(InvalidInputError, match=r"rules/a.yaml:9:16: policy.stale_after of the"):
        load(Policy.model_validate({"stale_after": "1 day"}))
