from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from crmsync.config.policy import Policy
from crmsync.ledger.values.runs import Answer
from crmsync.model.actions import ActionKind, AddNote, CreateTask, SendEmail
from crmsync.policy.drafts import PASS, Draft, Ruling
from crmsync.policy.gates import GATES, as_decision, ask_gates
from policy.draft_world import DRAFT, MAIL, NOW

ACCOUNT: dict[str, Any] = {"id": "crm:a1", "name": "Customer", "do_not_contact": False}
CONTACT: dict[str, Any] = {"id": "crm:c1", "name": "Ann", "email": "ann@customer.example"}


def mail(email_class: str = "commercial", to: str = "Ann <ann@customer.example>") -> SendEmail:
    return replace(MAIL, recipient=to, email_class=email_class)


def draft(*, account: dict[str, Any] | None = None, contact: dict[str, Any] | None = None) -> Draft:
    return replace(
        DRAFT,
        action=mail(),
        account=ACCOUNT | (account or {}),
        contact=CONTACT | (contact or {}),
    )


def ask(one: Draft) -> Ruling:
    return ask_gates(one, Policy(), NOW)


def test_what_nothing_speaks_against_passes() -> None:
    assert ask(draft()) == PASS


@pytest.mark.parametrize("empty", [None, False])
def test_an_empty_mark_is_no_mark(empty: object) -> None:
    marks = {"unsubscribed": empty, "bounced": empty, "do_not_contact": empty}
    assert ask(draft(account={"do_not_contact": empty}, contact=marks)) == PASS


@pytest.mark.parametrize(
    ("account", "contact", "answer", "words"),
    [
        ({"do_not_contact": True}, {}, Answer.DROP, "the account is marked do-not-contact"),
        ({}, {"do_not_contact": True}, Answer.DROP, "the contact is marked do-not-contact"),
        ({}, {"unsubscribed": True}, Answer.DROP, "has unsubscribed"),
        ({}, {"bounced": True}, Answer.HOLD, "correct the address in the CRM"),
        ({}, {"bounced": True, "unsubscribed": True}, Answer.DROP, "has unsubscribed"),
    ],
)
def test_a_mail_that_is_not_wanted_is_not_sent(
    account: dict[str, Any], contact: dict[str, Any], answer: Answer, words: str
) -> None:
    ruling = ask(draft(account=account, contact=contact))
    assert (ruling.answer, ruling.gate) == (answer, "suppression")
    assert words in ruling.reason


@pytest.mark.parametrize(
    ("email_class", "answer"),
    [("commercial", Answer.DROP), ("service", Answer.PASS), ("newsletter", Answer.DROP)],
)
def test_only_what_is_plainly_service_reaches_the_unsubscribed(
    email_class: str, answer: Answer
) -> None:
    one = replace(draft(contact={"unsubscribed": True}), action=mail(email_class))
    assert ask(one).answer is answer


@pytest.mark.parametrize(
    ("mark", "answer"),
    [
        ("do_not_contact", Answer.DROP),
        ("unsubscribed", Answer.DROP),
        ("bounced", Answer.HOLD),
    ],
)
def test_a_mark_on_another_contact_with_the_same_address_counts(mark: str, answer: Answer) -> None:
    others: list[dict[str, Any]] = [{"id": "crm:c2", mark: None}, {"id": "crm:c3", mark: True}]
    ruling = ask(replace(draft(), same_address=others))
    assert (ruling.answer, ruling.gate) == (answer, "suppression")
    assert "crm:c3, who has the same address," in ruling.reason


def test_service_mail_reaches_an_address_that_another_contact_has_unsubscribed() -> None:
    others = [{"id": "crm:c2", "unsubscribed": True}]
    assert ask(replace(draft(), action=mail("service"), same_address=others)) == PASS


def test_a_customer_of_whom_something_newer_may_be_known_gets_no_mail() -> None:
    doubts = ("the contact stream of crm was never read",)
    ruling = ask(replace(draft(), doubts=doubts))
    assert (ruling.answer, ruling.gate) == (Answer.HOLD, "freshness")
    assert ruling.reason.endswith(": the contact stream of crm was never read")
    assert ask(replace(draft(), doubts=doubts, contact=None)) == PASS
    task = CreateTask(key="k", subject="Call")
    assert ask(replace(draft(), doubts=doubts, action=task)) == PASS


@pytest.mark.parametrize("mark", ["do_not_contact", "bounced"])
def test_service_mail_respects_the_other_marks(mark: str) -> None:
    one = replace(draft(contact={mark: True}), action=mail("service"))
    assert ask(one).answer is not Answer.PASS


@pytest.mark.parametrize("action", [CreateTask(key="k", subject="Call"), AddNote(key="k", text="")])
def test_tasks_and_notes_reach_colleagues_only_so_they_pass(action: CreateTask | AddNote) -> None:
    marked = {"unsubscribed": True, "bounced": True, "do_not_contact": True}
    one = draft(account={"do_not_contact": True}, contact=marked)
    assert ask(replace(one, action=action)) == PASS


def test_mail_to_a_colleague_is_not_suppressed_with_the_customer() -> None:
    one = replace(draft(account={"do_not_contact": True}), contact=None)
    assert ask(one) == PASS


BAD_ADDRESSES = [
    "",
    "Ann",
    "Ann <>",
    "@customer.example",
    "ann@",
    "ann@customer..example",
    "ann@ü..example",
    "an n@customer.example",
    "ann@customer .example",
    '"an n"@customer.example',
    "ann@customer.example\u00a0",
    "ann@customer.example\nBcc: all@customer.example",
    "ann@customer.example\u2028",
    "ann@customer.example, ben@customer.example",
    "ann@customer.example;ben@customer.example",
    "Smith, Ann <ann@customer.example>",
    "ann@ben@customer.example",
    "änn@",
]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_a_mail_needs_one_address_that_mail_systems_take(address: str) -> None:
    ruling = ask(replace(draft(), action=mail(to=address)))
    assert (ruling.answer, ruling.gate) == (Answer.HOLD, "recipient")
    assert ruling.reason.startswith("the recipient “")
    assert ruling.reason.isprintable() or "\u00a0" in address
    from_it = ask(replace(draft(), action=replace(mail(), sender=address)))
    assert (from_it.answer, from_it.gate) == (Answer.HOLD, "sender")


@pytest.mark.parametrize(
    "address",
    [
        "ann@customer.example",
        "Ann <ann@ümlaut.example>",
        '"Smith, Ann" <ann+x@customer.example>',
        "änn@ümlaut.example",
    ],
)
def test_what_mail_systems_take_passes(address: str) -> None:
    assert ask(replace(draft(), action=mail(to=address))) == PASS


def test_an_inactive_colleague_gets_nothing() -> None:
    bob = {"id": "crm:u1", "name": "Bob", "active": False}
    one = replace(draft(), action=CreateTask(key="k", subject="Call"), colleague=bob)
    assert ask(one).reason == "Bob is no longer active"
    assert ask(replace(one, colleague=bob | {"active": None})) == PASS


def test_what_must_be_approved_waits_for_that() -> None:
    one = replace(draft(), approver="Jo Meyer")
    ruling = ask(one)
    assert (ruling.answer, ruling.gate) == (Answer.ASK, "approval")
    assert ruling.reason == "Jo Meyer must approve it first"
    assert ask(replace(one, approved=True)) == PASS
    # Who may not be written to at all is not shown to anybody for approval.
    unwanted = replace(one, contact=CONTACT | {"do_not_contact": True})
    assert ask(unwanted).gate == "suppression"


def test_a_connection_is_asked_only_for_what_it_can_do() -> None:
    ruling = ask(replace(draft(), abilities={ActionKind.TASK, ActionKind.NOTE}))
    assert (ruling.answer, ruling.gate) == (Answer.HOLD, "ability")
    advice = "name one that does with “mail” in the config"
    assert ruling.reason == f"the connection “crm” sends no mail; {advice}"
    task = CreateTask(key="k", subject="Call")
    ruling = ask(replace(draft(), action=task, abilities={ActionKind.EMAIL, ActionKind.NOTE}))
    assert ruling.reason == "the connection “crm” cannot do “task”; it can do: email, note"
    ruling = ask(replace(draft(), action=task, abilities=()))
    assert ruling.reason.endswith("it can do: nothing")


def test_the_first_gate_that_does_not_pass_answers_and_later_ones_are_not_asked() -> None:
    asked: list[str] = []

    def gate(name: str, answer: Answer) -> Any:
        def rule(_draft: Draft, _policy: Policy, now: datetime) -> Ruling:
            asked.append(name)
            return Ruling(answer=answer, gate=name, until=now + timedelta(hours=1))

        return rule

    gates = [
        gate("first", Answer.PASS),
        gate("second", Answer.DEFER),
        gate("third", Answer.DROP),
    ]
    ruling = ask_gates(draft(), Policy(), NOW, gates=gates)
    assert asked == ["first", "second"]
    assert (ruling.gate, ruling.until) == ("second", NOW + timedelta(hours=1))


def test_whom_nobody_may_write_to_is_dropped_before_addresses_are_complained_about() -> None:
    one = replace(draft(contact={"do_not_contact": True}), action=mail(to="Ann"))
    assert ask(one).gate == "suppression"
    assert [gate.__name__ for gate in GATES] == [
        "ability",
        "suppression",
        "notices",
        "inhibition",
        "holdout",
        "staleness",
        "freshness",
        "recipient",
        "sender",
        "approval",
        "absence",
        "hours",
        "caps",
    ]


def test_a_ruling_becomes_a_decision_with_all_it_says() -> None:
    one = draft(contact={"unsubscribed": True})
    decision = as_decision(one, ask(one))
    assert (decision.rule, decision.subject, decision.step) == (one.rule, one.subject, one.step)
    assert (decision.answer, decision.gate) == (Answer.DROP, "suppression")
    assert "unsubscribed" in decision.reason
    assert as_decision(one, PASS).reason == "every gate let it pass"
