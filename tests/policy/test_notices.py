from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.config.policy import Policy
from crmsync.ledger.values.runs import Answer
from crmsync.model.actions import CreateTask
from crmsync.model.notices import NoticeKind
from crmsync.policy.correspondence import Correspondence, Notice
from crmsync.policy.drafts import PASS, Ruling
from crmsync.policy.gates import ask_gates
from policy.draft_world import DRAFT, MAIL, NOW

if TYPE_CHECKING:
    from crmsync.policy.drafts import Draft

HARD, SOFT, COMPLAINT, AWAY = NoticeKind
DAY = timedelta(days=1)


def notice(kind: NoticeKind, days: float = 1, **more: object) -> Notice:
    return Notice(kind=kind, at=NOW - days * DAY, **more)  # type: ignore[arg-type]  # its fields


def ask(
    *notices: Notice, heard: float | None = None, wrote: float | None = None, now: datetime = NOW
) -> Ruling:
    """``heard`` and ``wrote`` are days ago."""
    told = Correspondence(
        notices=notices,
        heard_at=None if heard is None else NOW - heard * DAY,
        wrote_at=None if wrote is None else NOW - wrote * DAY,
    )
    return asked(replace(DRAFT, correspondence=told), now)


def asked(draft: Draft, now: datetime = NOW) -> Ruling:
    return ask_gates(draft, Policy(), now)


def test_a_dead_address_is_held_until_it_is_corrected() -> None:
    ruling = ask(notice(HARD, reason="no such address"))
    assert (ruling.answer, ruling.gate) == (Answer.HOLD, "notices")
    assert ruling.reason == (
        "mail to ann@customer.example came back on 2026-03-01: no such address; "
        "correct the address in the CRM"
    )
    assert "came back on 2026-03-01; correct" in ask(notice(HARD)).reason


def test_mail_from_an_address_shows_that_it_lives() -> None:
    assert ask(notice(HARD, 3), heard=2) == PASS
    assert ask(notice(HARD, 3), heard=4).answer is Answer.HOLD
    # It died since.
    assert ask(notice(HARD, 3), notice(HARD, 1), heard=2).reason.count("2026-03-01") == 1


@pytest.mark.parametrize(
    ("notices", "answer"),
    [
        ([notice(SOFT, reason="no such address")], Answer.PASS),
        ([notice(SOFT, days, reason="no such address") for days in (1, 1.1)], Answer.PASS),
        ([notice(SOFT, days, reason="No such address ") for days in (1, 2)], Answer.HOLD),
        ([notice(SOFT, days, reason="the mailbox is full") for days in (1, 2, 3)], Answer.PASS),
        ([notice(SOFT, days) for days in (1, 2, 3)], Answer.PASS),
    ],
)
def test_soft_bounces_count_when_they_say_on_two_days_that_there_is_no_such_address(
    notices: list[Notice], answer: Answer
) -> None:
    assert ask(*notices).answer is answer
    assert ask(*notices, heard=0.5) == PASS


def test_a_complaint_ends_all_mail_to_the_address_for_good() -> None:
    ruling = ask(notice(COMPLAINT, 900), notice(HARD), heard=0.5, wrote=0.5)
    assert (ruling.answer, ruling.gate) == (Answer.DROP, "notices")
    assert ruling.reason == "ann@customer.example called a mail of ours spam on 2023-09-14"
    service = replace(MAIL, email_class="service")
    told = Correspondence(notices=[notice(COMPLAINT)])
    assert asked(replace(DRAFT, action=service, correspondence=told)).answer is Answer.DROP


def test_who_is_away_gets_mail_when_they_are_back() -> None:
    away = notice(AWAY, until=date(2026, 3, 6))
    ruling = ask(away)
    assert (ruling.answer, ruling.gate) == (Answer.DEFER, "absence")
    assert ruling.until == datetime(2026, 3, 7, tzinfo=UTC)
    assert ruling.reason == ("the contact wrote on 2026-03-01 that they are away, until 2026-03-06")
    assert ask(away, now=datetime(2026, 3, 7, tzinfo=UTC)) == PASS
    told = Correspondence(notices=[away])
    zurich = {"id": "crm:c1", "time_zone": "Europe/Zurich"}
    there = asked(replace(DRAFT, contact=zurich, correspondence=told))
    assert there.until == datetime(2026, 3, 6, 23, tzinfo=UTC)


def test_who_does_not_say_until_when_counts_as_away_for_a_few_days() -> None:
    ruling = ask(notice(AWAY, 1))
    assert (ruling.answer, ruling.until) == (Answer.DEFER, NOW + 2 * DAY)
    assert "did not say until when; that counts for 3 days" in ruling.reason
    assert ask(notice(AWAY, 3)) == PASS


def test_the_newest_absence_counts() -> None:
    longer, shorter = notice(AWAY, 5, until=date(2026, 3, 20)), notice(AWAY, 1, until=NOW.date())
    assert ask(longer, shorter).until == datetime(2026, 3, 3, tzinfo=UTC)
    assert ask(longer, notice(AWAY, 4)) == PASS


def test_who_has_written_since_is_there() -> None:
    away = notice(AWAY, 5, until=date(2026, 3, 20))
    assert ask(away, wrote=4) == PASS
    assert ask(away, wrote=6).answer is Answer.DEFER
    # An automatic reply is none of a person's.
    assert ask(away, heard=1).answer is Answer.DEFER


def test_nobody_is_away_for_ever() -> None:
    ruling = ask(notice(AWAY, until=date.max))
    assert ruling.until == datetime(2027, 3, 3, tzinfo=UTC)


def test_only_mail_to_customers_is_concerned() -> None:
    told = Correspondence(notices=[notice(COMPLAINT), notice(HARD), notice(AWAY)])
    task = CreateTask(key="k", subject="Call")
    assert asked(replace(DRAFT, action=task, correspondence=told)) == PASS
    assert asked(replace(DRAFT, contact=None, correspondence=told)) == PASS
