"""What becomes of those inside when the text of their rule changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.ledger.store import Ledger
from crmsync.ledger.values.enrolments import EnrolmentStatus
from support.changing import Changing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WHEN = "[{tier: gold}]"


def text(
    *notes: str,
    when: str = WHEN,
    more: str = "",
    on_change: str | None = None,
    wait: str = "2 days",
) -> str:
    """A rule that writes these notes, days apart."""
    way = [f"  - note: {{text: {note}}}\n" for note in notes]
    said = f"on_change: {on_change}\n" if on_change else ""
    steps = f"  - wait: {wait}\n".join(way)
    return f"rule: r\nsubject: account\nwhen: {when}\n{more}{said}then:\n{steps}"


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Changing]:
    """One gold account."""
    records = {"account": [{"id": "a", "name": "Acme", "tier": "gold"}]}
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield Changing(folder=tmp_path, ledger=ledger, records=records)


def days(company: Changing, count: int) -> list[str]:
    """What lands in so many days, with a run each day."""
    return [landed for _ in range(count) for landed in company.run(hours=24)]


def status(company: Changing) -> list[EnrolmentStatus]:
    return [enrolment.status for enrolment in company.ledger.enrolments()]


def test_who_is_inside_stays_on_the_text_of_entering(company: Changing) -> None:
    company.says(text("one", "two"))
    assert company.run() == ["one"]
    company.says(text("one", "other", "new"))
    assert days(company, 3) == ["two"]
    assert days(company, 5) == []
    company.records["account"].append({"id": "b", "name": "Blue", "tier": "gold"})
    assert days(company, 6) == ["one", "other", "new"]


def test_the_conditions_of_entering_count_for_staying(company: Changing) -> None:
    company.says(text("one", "two"))
    assert company.run() == ["one"]
    company.says(text("one", "two", when="[{tier: silver}]"))
    assert days(company, 3) == ["two"]
    company.records["account"][0]["tier"] = "tin"
    assert days(company, 1) == []
    assert status(company) == [EnrolmentStatus.ENDED]


def test_who_leaves_is_new_only_once_the_present_conditions_did_not_hold(
    company: Changing,
) -> None:
    company.says(text("one"))
    assert company.run() == ["one"]
    company.says(text("one", when="[{tier: [gold, silver]}]"))
    company.records["account"][0]["tier"] = "silver"
    assert days(company, 2) == []
    assert status(company) == [EnrolmentStatus.OVER]
    company.records["account"][0]["tier"] = "tin"
    assert days(company, 1) == []
    company.records["account"][0]["tier"] = "silver"
    assert days(company, 1) == ["one"]


def test_a_segment_is_part_of_the_text(company: Changing) -> None:
    segment = "segment: good\nsubject: account\nwhen: [{tier: gold}]\n"
    company.says(text("one", "two", when="[{segment: good}]"), {"good": segment})
    assert company.run() == ["one"]
    changed = segment.replace("gold", "platinum")
    company.says(text("one", "two", when="[{segment: good}]"), {"good": changed})
    assert days(company, 3) == ["two"]


@pytest.mark.parametrize(
    "more",
    ["description: x\n", "priority: 70\n", "cooldown: 9 days\n", "expires: 2027-01-01\n"],
)
def test_what_says_nothing_of_those_inside_is_no_change(company: Changing, more: str) -> None:
    company.says(text("one", "two"))
    assert company.run() == ["one"]
    company.says(text("one", "two", more=more, on_change="stop"))
    assert days(company, 3) == ["two"]


def test_stop_ends_what_the_old_text_began(company: Changing) -> None:
    company.says(text("one", "two"))
    assert company.run() == ["one"]
    company.says(text("one", "three", on_change="stop"))
    assert days(company, 3) == []
    assert status(company) == [EnrolmentStatus.OVER]
    (ended,) = company.ledger.enrolments()
    assert ended.end_reason == "the text of the rule has changed, and it says “on_change: stop”"


def test_restart_begins_anew_and_drops_what_waits(company: Changing) -> None:
    company.says(text("one", "two"))
    assert company.run() == ["one"]
    assert days(company, 1) == []
    company.says(text("one", "three", on_change="restart"))
    assert company.run() == ["one"]
    assert days(company, 3) == ["three"]
    assert days(company, 5) == []
    assert len({effect.key for effect in company.ledger.effects()}) == 3


def test_restart_under_once_per_keeps_the_key(company: Changing) -> None:
    company.says(text("one", more="once_per: tier\n"))
    assert company.run() == ["one"]
    company.says(text("two", more="once_per: tier\n", on_change="restart"))
    assert days(company, 2) == ["two"]
    assert len(company.ledger.enrolments()) == 1


def test_who_does_not_match_any_more_does_not_begin_anew(company: Changing) -> None:
    until = "until: [{industry: gambling}]\n"
    company.says(text("one", "two", more=until))
    assert company.run() == ["one"]
    company.records["account"][0]["tier"] = "tin"
    company.says(text("one", "three", more=until, on_change="restart"))
    assert days(company, 3) == []
    assert status(company) == [EnrolmentStatus.ENDED]


def test_a_cooldown_comes_before_a_restart(company: Changing) -> None:
    company.says(text("one", more="cooldown: 3 days\n"))
    assert company.run() == ["one"]
    company.says(text("two", more="cooldown: 3 days\n", on_change="restart"))
    assert days(company, 2) == []
    assert company.held() == ["it was enrolled within the cooldown of 3 days"]
    assert days(company, 1) == ["two"]


def test_nothing_begins_anew_while_it_is_not_known_whether_it_matches(company: Changing) -> None:
    when = "[{last_contact: {older_than: 3 days}}]"
    company.says(text("one", when=when))
    assert company.run() == ["one"]
    company.says(text("two", when=when, on_change="restart"))
    assert company.run(hours=1, unread=["activity"]) == []
    assert company.run(hours=1) == ["two"]


def test_the_way_back_to_the_first_text_is_no_change(company: Changing) -> None:
    company.says(text("one", "two"))
    assert company.run() == ["one"]
    company.says(text("one", "three", on_change="stop"))
    company.says(text("one", "two", on_change="stop"))
    assert days(company, 3) == ["two"]


def test_a_text_that_cannot_be_read_any_more_is_told(company: Changing) -> None:
    company.says(text("one", "two"))
    assert company.run() == ["one"]
    company.says(text("one", "three"))
    with company.ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE rule_text SET source = replace(source, 'tier', 'teir')")
    assert days(company, 3) == []
    (reason,) = company.held()
    assert "rules/r.yaml (as it was):3:9: an account has no field or fact “teir”" in reason
    company.says(text("one", "three", on_change="stop"))
    assert days(company, 1) == []
    assert status(company) == [EnrolmentStatus.OVER]


def test_until_of_the_text_of_entering_ends_it(company: Changing) -> None:
    def until(industry: str) -> str:
        return f"until: [{{industry: {industry}, goal: true}}]\n"

    company.says(text("one", "two", more=until("steel")))
    assert company.run() == ["one"]
    company.says(text("one", "two", more=until("gas")))
    company.records["account"][0]["industry"] = "gas"
    assert days(company, 1) == []
    company.records["account"][0]["industry"] = "steel"
    assert days(company, 3) == []
    (ended,) = company.ledger.enrolments()
    assert ended.goal


def test_other_values_of_once_per_are_another_enrolment_by_the_present_text(
    company: Changing,
) -> None:
    more = "once_per: industry\n"
    company.records["account"][0]["industry"] = "steel"
    company.says(text("one", more=more))
    assert company.run() == ["one"]
    company.says(text("two", more=more))
    assert days(company, 1) == []
    company.records["account"][0]["industry"] = "gas"
    assert days(company, 1) == ["two"]


def test_a_rule_about_other_records_ends_what_it_was_about(company: Changing) -> None:
    company.says(text("one", "two"))
    assert company.run() == ["one"]
    company.says(text("one", "two", when="[{role: x}]").replace("account", "contact"))
    assert days(company, 3) == []
    assert status(company) == [EnrolmentStatus.ENDED]


def explained(company: Changing) -> Sequence[str]:
    return [why for action in company.decide().plan.actions for why in action.why]


def test_a_plan_tells_the_clauses_of_the_text_of_entering(company: Changing) -> None:
    company.says(text("one", "two", wait="1 day"))
    company.run()
    company.says(text("one", "two", when="[{tier: silver}]"))
    company.run(hours=1)
    company.now = company.now.replace(day=3, hour=12)
    assert any("gold" in why for why in explained(company))
