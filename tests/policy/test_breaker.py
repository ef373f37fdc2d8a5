from __future__ import annotations

import pytest

from crmsync.config.policy import Policy
from crmsync.config.settings import Company
from crmsync.model.actions import ActionKind, CreateTask
from crmsync.policy.breaker import circuit_breaker
from crmsync.policy.drafts import Draft

COMPANY = Company(name="Vendor", email="hello@vendor.example")


def drafts(accounts: int, *, each: int = 1, rule: str = "renewal-at-risk") -> list[Draft]:
    return [
        Draft(
            rule=rule,
            subject=f"crm:{account}",
            step=f"task-{step}",
            connection="crm",
            action=CreateTask(key=f"{rule}-{account}-{step}", subject="Call"),
            abilities={ActionKind.TASK},
            company=COMPANY,
            account={"id": f"crm:{account}"},
        )
        for account in range(accounts)
        for step in range(each)
    ]


def test_a_run_within_its_limits_may_go() -> None:
    policy = Policy(most_actions_per_run=60, most_share_of_accounts=0.3)
    assert circuit_breaker(drafts(30, each=2), accounts=100, policy=policy) is None
    assert circuit_breaker([], accounts=0, policy=policy) is None


def test_one_action_too_many_stops_everything_and_names_the_rule() -> None:
    policy = Policy(most_actions_per_run=60)
    too_many = [*drafts(11, rule="small"), *drafts(50, rule="large")]
    reason = circuit_breaker(too_many, accounts=1000, policy=policy)
    assert reason is not None
    assert "61 actions, 50 of them by the rule “large”" in reason
    assert "most_actions_per_run is 60" in reason
    assert "crmsync plan" in reason
    assert circuit_breaker(too_many[1:], accounts=1000, policy=policy) is None


def test_too_large_a_share_of_the_accounts_stops_everything() -> None:
    policy = Policy(most_share_of_accounts=0.3)
    reason = circuit_breaker(drafts(31, each=3), accounts=100, policy=policy)
    assert reason is not None
    assert "31 of 100 accounts (31%)" in reason
    assert "policy.most_share_of_accounts is 30%" in reason


@pytest.mark.parametrize(("touched", "stops"), [(19, False), (20, True)])
def test_a_share_of_few_accounts_says_nothing(touched: int, stops: bool) -> None:
    policy = Policy(most_share_of_accounts=0.5, share_counts_from=20)
    reason = circuit_breaker(drafts(touched), accounts=20, policy=policy)
    assert (reason is not None) == stops


def test_what_belongs_to_no_account_counts_as_actions_only() -> None:
    homeless = [
        Draft(
            rule="r",
            subject=f"crm:{n}",
            step="task",
            connection="crm",
            action=CreateTask(key=f"{n}", subject="Call"),
            abilities={ActionKind.TASK},
            company=COMPANY,
        )
        for n in range(40)
    ]
    assert circuit_breaker(homeless, accounts=1, policy=Policy(share_counts_from=1)) is None
    assert circuit_breaker(homeless, accounts=1, policy=Policy(most_actions_per_run=39)) is not None
