"""Who is held out stays held out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.config.policy import Policy
from crmsync.ledger.values.runs import Answer
from crmsync.model.actions import AddNote
from crmsync.policy.drafts import PASS
from crmsync.policy.holdout import held_out, holdout
from crmsync.policy.staleness import staleness
from policy.draft_world import DRAFT, MAIL, NOW, TASK

_EVERYBODY = Policy.model_validate({"holdout": {"percent": 100}})


@given(st.text(), st.text(), st.floats(0, 100), st.floats(0, 100))
def test_a_larger_share_holds_the_same_and_more(
    account: str, seed: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))
    if held_out(account, percent=small, seed=seed):
        assert held_out(account, percent=large, seed=seed)
    assert held_out(account, percent=100, seed=seed)
    assert not held_out(account, percent=0, seed=seed)


@pytest.mark.parametrize("percent", [1, 5, 10, 50])
def test_the_share_is_about_the_one_that_was_asked_for(percent: int) -> None:
    accounts = [f"crm:{number}" for number in range(20_000)]
    count = sum(held_out(account, percent=percent, seed="2026") for account in accounts)
    # Five standard deviations.
    assert abs(count / 200 - percent) < 5 * (percent * (100 - percent) / 20_000) ** 0.5


def test_it_rests_on_the_account_and_the_seed_alone() -> None:
    accounts = [f"crm:{number}" for number in range(1000)]

    def chosen(seed: str) -> set[str]:
        return {account for account in accounts if held_out(account, percent=10, seed=seed)}

    assert chosen("a") == chosen("a")
    assert chosen("a") != chosen("b")
    # Fixed for ever: who was held out by an older version is so by this one.
    assert sorted(chosen("2026"))[:3] == ["crm:1", "crm:109", "crm:119"]


def test_accounts_that_are_held_out_get_nothing_and_the_reason_says_so() -> None:
    for action in (MAIL, TASK, AddNote(key="k", text="")):
        ruling = holdout(replace(DRAFT, action=action), _EVERYBODY, NOW)
        assert (ruling.answer, ruling.gate) == (Answer.DROP, "holdout")
        assert "one of the 100 % that get nothing" in ruling.reason
    assert holdout(DRAFT, Policy(), NOW) == PASS


def test_service_mails_and_what_belongs_to_no_account_are_not_held_out() -> None:
    service = replace(DRAFT, action=replace(MAIL, email_class="service"))
    assert holdout(service, _EVERYBODY, NOW) == PASS
    assert holdout(replace(DRAFT, account=None), _EVERYBODY, NOW) == PASS


@pytest.mark.parametrize(
    ("waited", "answer"),
    [
        (timedelta(days=5), Answer.PASS),
        (timedelta(days=5, microseconds=1), Answer.DROP),
    ],
)
def test_a_mail_that_comes_too_late_is_dropped(waited: timedelta, answer: Answer) -> None:
    policy = Policy.model_validate({"stale_after": "5 days"})
    late = replace(DRAFT, due_since=NOW - waited)
    assert staleness(late, policy, NOW).answer is answer
    assert staleness(late, Policy(), NOW) == PASS
    assert staleness(replace(late, action=TASK), policy, NOW) == PASS
    assert staleness(replace(late, contact=None), policy, NOW) == PASS
