from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.rules.reading.way import histories
from rules.rules_world import rule_of, verdicts_of

if TYPE_CHECKING:
    from pathlib import Path

# The present of these tests is 2026-03-01 12:00 UTC.
GOLD_TO_SILVER = {"tier": [{"was": "gold", "until": "2026-02-19T12:00"}]}


def verdict(folder: Path, clause: str, **account: Any) -> str:
    rule = rule_of(folder, f"  - {clause}")
    unread = account.pop("unread", [])
    records = {"account": [{"id": "a", "tier": "silver", **account}]}
    said = verdicts_of(rule, records, unread=unread)
    if said.unknown:
        assert all(said.unknown.values()), "an unknown verdict has a reason"
    return "yes" if said.matches else "unknown" if said.unknown else "no"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("in_last: 10 days", "yes"),  # the bound is included
        ("in_last: 239 hours", "no"),
        ("in_last: 7 business days", "yes"),  # back to the begin of Thursday 2026-02-19
        ("in_last: 6 business days", "no"),
        ("from: gold", "yes"),
        ("from: [basic, gold], to: silver, in_last: 30 days", "yes"),
        ("from: silver", "no"),
        ("to: gold", "no"),
        ("from: gold, to: [basic, bronze]", "no"),
    ],
)
def test_changed(tmp_path: Path, change: str, expected: str) -> None:
    clause = f"tier: {{changed: {{{change}}}, if_unknown: hold}}"
    assert verdict(tmp_path, clause, history=GOLD_TO_SILVER) == expected


def test_an_earlier_change_fits_where_the_latest_does_not(tmp_path: Path) -> None:
    steps = [
        {"was": "gold", "until": "2026-02-01T12:00"},
        {"was": "basic", "until": "2026-02-20T12:00"},
    ]
    clause = "tier: {changed: {from: gold, in_last: 30 days}}"
    assert verdict(tmp_path, clause, history={"tier": steps}) == "yes"
    clause = "tier: {changed: {from: gold, in_last: 20 days}}"
    assert verdict(tmp_path, clause, history={"tier": steps}) == "no"


@pytest.mark.parametrize(
    ("window", "account", "expected"),
    [
        # Known from before the window began, or exactly then.
        ("in_last: 30 days", {"history": {"known_since": "2026-01-30T12:00"}}, "no"),
        ("in_last: 30 days", {"history": {"known_since": "2026-01-30T12:00:01"}}, "unknown"),
        # A fitting change is a change, however little else is known.
        (
            "in_last: 30 days",
            {"history": GOLD_TO_SILVER | {"known_since": "2026-02-19T12:00"}},
            "yes",
        ),
        # Born within the window, and known from birth: nothing was missed.
        (
            "in_last: 30 days",
            {"created_at": "2026-02-20T10:00", "history": {"known_since": "2026-02-20T10:00"}},
            "no",
        ),
        (
            "in_last: 30 days",
            {"created_at": "2026-02-20T10:00", "history": {"known_since": "2026-02-20T10:05"}},
            "unknown",
        ),
        # Ever: only a record that is known from birth has never changed.
        ("from: gold", {"history": {"known_since": "2020-01-01"}}, "unknown"),
        (
            "from: gold",
            {"created_at": "2020-01-01", "history": {"known_since": "2020-01-01"}},
            "no",
        ),
        # What was not read lately may have changed since; what changed, changed.
        ("in_last: 30 days", {"unread": ["account"]}, "unknown"),
        ("in_last: 30 days", {"unread": ["account"], "history": GOLD_TO_SILVER}, "yes"),
    ],
)
def test_changed_is_no_only_where_everything_is_known(
    tmp_path: Path, window: str, account: dict[str, Any], expected: str
) -> None:
    clause = f"tier: {{changed: {{{window}}}, if_unknown: hold}}"
    assert verdict(tmp_path, clause, **account) == expected


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ("value: gold, at: 11 days", "yes"),
        ("value: gold, at: 10 days", "no"),  # from that instant on it is silver
        ("value: silver, at: 10 days", "yes"),
        ("value: [basic, gold], at: 300 days", "yes"),
        ("value: gold, at: 2026-02-18", "yes"),
        ("value: gold, at: 2026-02-19", "no"),  # a day is meant to its end
        ("value: gold, at: '2026-02-19T11:59:59'", "yes"),
        ("value: gold, at: '2026-02-19T12:59:59+01:00'", "yes"),
        ("value: silver, at: '2026-02-19T12:00'", "yes"),
        ("value: silver, at: 2026-03-01", "yes"),  # today, as far as it has passed
        ("value: silver, at: 2026-03-02", "unknown"),
        ("value: gold, at: 6 business days", "no"),
        ("value: gold, at: 7 business days", "yes"),  # the begin of that Thursday
    ],
)
def test_was(tmp_path: Path, past: str, expected: str) -> None:
    clause = f"tier: {{was: {{{past}}}, if_unknown: hold}}"
    assert verdict(tmp_path, clause, history=GOLD_TO_SILVER) == expected


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({}, "yes"),  # it never changed
        ({"tier": None}, "no"),  # it was empty, so it was not silver
        ({"history": {"known_since": "2026-02-01T12:00"}}, "unknown"),
        ({"history": {"known_since": "2026-01-30T12:00"}}, "yes"),
        # There was no such account then.
        (
            {"created_at": "2026-02-01T12:00", "history": {"known_since": "2026-02-01T12:00"}},
            "no",
        ),
    ],
)
def test_what_something_was_before_it_is_known(
    tmp_path: Path, account: dict[str, Any], expected: str
) -> None:
    clause = "tier: {was: {value: silver, at: 30 days}, if_unknown: hold}"
    assert verdict(tmp_path, clause, **account) == expected


def test_a_field_can_have_been_empty(tmp_path: Path) -> None:
    past = {"tier": [{"was": None, "until": "2026-02-19"}, {"was": "x", "until": "2026-02-20"}]}
    assert verdict(tmp_path, "tier: {changed: {to: x}}", history=past) == "yes"
    assert verdict(tmp_path, "tier: {changed: {from: [gold, x], to: x}}", history=past) == "no"
    assert verdict(tmp_path, "tier: {was: {value: x, at: '2026-02-18'}}", history=past) == "no"


@pytest.mark.parametrize("clause", ["changed: {in_last: 9 days}", "was: {value: x, at: 9 days}"])
def test_what_is_not_known_of_the_past_never_makes_a_rule_match(
    tmp_path: Path, clause: str
) -> None:
    account = {"history": {"known_since": "2026-02-28"}}
    assert verdict(tmp_path, f"tier: {{{clause}}}", **account) == "no"
    assert verdict(tmp_path, f"not: [{{tier: {{{clause}}}}}]", **account) == "no"
    assert verdict(tmp_path, f"tier: {{{clause}, if_unknown: yes}}", **account) == "yes"


def test_changes_after_the_present_have_not_happened(tmp_path: Path) -> None:
    past = {"tier": [{"was": "gold", "until": "2026-03-01T12:00:01"}]}
    assert verdict(tmp_path, "tier: {changed: {from: gold}}", history=past) == "no"
    # What the record says is later than what is asked for.
    assert verdict(tmp_path, "tier: {was: {value: gold, at: 0 days}}", history=past) == "yes"


def test_a_day_is_that_of_the_records_zone(tmp_path: Path) -> None:
    # 2026-02-19 ends at 11:00 UTC in Auckland, and at 08:00 UTC on the 20th in Los Angeles.
    rule = rule_of(tmp_path, "  - tier: {was: {value: gold, at: 2026-02-19}}")
    accounts = [
        {"id": zone, "tier": "silver", "time_zone": zone, "history": GOLD_TO_SILVER}
        for zone in ("Pacific/Auckland", "America/Los_Angeles")
    ]
    assert set(verdicts_of(rule, {"account": accounts}).matches) == {"Pacific/Auckland"}


@pytest.mark.parametrize(
    "operand", ["was: {value: %s, at: 2026-02-20}", "changed: {in_last: 9 business days, to: %s}"]
)
def test_one_day_can_be_asked_about_more_than_once(tmp_path: Path, operand: str) -> None:
    either = ", ".join(f"{{tier: {{{operand % tier}}}}}" for tier in ("gold", "silver"))
    rule = rule_of(tmp_path, f"  - any: [{either}]")
    zones = ("Pacific/Auckland", "America/Los_Angeles")
    accounts = [
        {"id": z, "tier": "silver", "time_zone": z, "history": GOLD_TO_SILVER} for z in zones
    ]
    assert set(verdicts_of(rule, {"account": accounts}).matches) == set(zones)


def test_the_past_of_other_records(tmp_path: Path) -> None:
    tickets = [
        {"id": "t1", "account": "a", "status": "open", "history": {"status": []}},
        {
            "id": "t2",
            "account": "b",
            "status": "open",
            "history": {"status": [{"was": "closed", "until": "2026-02-28"}]},
        },
    ]
    users = [
        {"id": "u", "active": False, "history": {"active": [{"was": True, "until": "2026-02-28"}]}}
    ]
    accounts = [{"id": "a", "owner": "u"}, {"id": "b"}]
    records: dict[str, list[dict[str, Any]]] = {
        "account": accounts,
        "ticket": tickets,
        "user": users,
    }
    reopened = "  - some: {of: tickets, where: [{status: {changed: {from: closed}}}]}"
    assert set(verdicts_of(rule_of(tmp_path, reopened), records).matches) == {"b"}
    left = "  - owner.active: {changed: {in_last: 7 days, to: false}}"
    assert set(verdicts_of(rule_of(tmp_path, left), records).matches) == {"a"}
    stayed = "  - none: {of: tickets, where: [{status: {was: {value: closed, at: 3 days}}}]}"
    assert set(verdicts_of(rule_of(tmp_path, stayed), records).matches) == {"a"}


@pytest.mark.parametrize(
    ("history", "sentence"),
    [
        ({"name": []}, "no history is kept of account.name"),
        ({"tir": []}, "did you mean “tier”"),
        ({"tier": {}}, r"written \[\{was: VALUE, until: TIME\}\]"),
        ({"tier": [{"was": "x"}]}, r"written \[\{was: VALUE, until: TIME\}\]"),
        ({"tier": [{"was": 1, "until": "2026-01-01"}]}, "account.tier is of type text"),
        ({"tier": [{"was": "x", "until": "soon"}]}, "is of type instant, which “soon” does not"),
        ({"tier": [{"was": "x", "until": None}]}, "lacks a time"),
        (
            {"tier": [{"was": "x", "until": "2026-02-01"}, {"was": "y", "until": "2026-01-01"}]},
            "oldest first",
        ),
        ([], "“history” of a record of account is"),
    ],
)
def test_mistakes_in_a_written_past(tmp_path: Path, history: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        verdict(tmp_path, "tier: {changed: {in_last: 9 days}}", history=history)


def test_a_past_can_be_told_in_instants(tmp_path: Path) -> None:
    known = datetime.fromisoformat("2026-02-01T12:00+00:00")
    clause = "tier: {changed: {in_last: 60 days}, if_unknown: hold}"
    assert verdict(tmp_path, clause, history={"known_since": known}) == "unknown"


def test_whose_past_rules_ask_for(tmp_path: Path) -> None:
    rule = rule_of(
        tmp_path,
        "  - owner: {changed: {in_last: 1 day}}\n"
        "  - some: {of: tickets, where: [{status: {was: {value: open, at: 7 days}}}]}\n"
        "  - tier: gold",
        more="until:\n  - any: [{status: {changed: {to: churned}}}]\n",
    )
    assert histories([rule]) == {("account", "owner"), ("ticket", "status"), ("account", "status")}
