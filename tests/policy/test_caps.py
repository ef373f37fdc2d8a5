"""A cap defers until it has room, to the microsecond."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from crmsync.config.policy import Cap, Policy
from crmsync.ledger.values.runs import Answer
from crmsync.model.actions import AddNote
from crmsync.policy.caps import caps, counted_under
from crmsync.policy.drafts import PASS
from policy.draft_world import DRAFT, NOW, TASK

_HOUR = timedelta(hours=1)
_DRAFT = replace(
    DRAFT,
    owner={"id": "crm:u1"},
    contact={"id": "crm:c1", "email": " Ann@Customer.example "},
)


def cap(at_most: int = 2, within: str = "7 days", **more: Any) -> Cap:
    return Cap.model_validate({"per": "contact", "at_most": at_most, "within": within, **more})


def asked(counts: dict[Cap, list[datetime]], now: datetime = NOW) -> tuple[Any, ...]:
    ruling = caps(replace(_DRAFT, counts=counts), Policy(caps=tuple(counts)), now)
    return ruling.answer, ruling.until


def has_room(counts: dict[Cap, list[datetime]], now: datetime) -> bool:
    return all(
        sum(now - one.within.length < at <= now for at in times) < one.at_most
        for one, times in counts.items()
    )


_times = st.lists(st.integers(-60, 0).map(lambda hours: NOW + hours * _HOUR), max_size=8)
_counts = st.dictionaries(
    st.builds(cap, st.integers(1, 4), st.integers(1, 60).map("{} hours".format)),
    _times,
    max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(_counts)
def test_it_waits_until_every_cap_has_room_and_no_longer(counts: dict[Cap, list[datetime]]) -> None:
    answer, until = asked(counts)
    if has_room(counts, NOW):
        assert (answer, until) == (Answer.PASS, None)
        return
    assert answer is Answer.DEFER
    assert has_room(counts, until)
    assert asked(counts, until) == (Answer.PASS, None)
    before = NOW
    while before < until:
        assert not has_room(counts, before)
        before += _HOUR
    assert not has_room(counts, until - timedelta(microseconds=1))


def test_the_reason_tells_how_many_there_were() -> None:
    one = cap(2, per="account")
    draft = replace(_DRAFT, counts={one: [NOW - 2 * _HOUR, NOW - _HOUR]})
    ruling = caps(draft, Policy(caps=(one,)), NOW)
    assert (ruling.gate, ruling.until) == ("caps", NOW + timedelta(days=7) - 2 * _HOUR)
    assert ruling.reason == (
        "the account has had 2 mails within 7 days, by people or by crmsync, and a cap allows 2"
    )


def test_a_full_cap_can_drop() -> None:
    dropping = cap(1, on_full="drop")
    counts = {cap(1, "10 days"): [NOW - _HOUR], dropping: [NOW - _HOUR]}
    assert asked(counts) == (Answer.DROP, None)
    assert asked({dropping: []}) == (Answer.PASS, None)


def test_what_no_cap_counts_passes() -> None:
    assert caps(_DRAFT, Policy(), NOW) == PASS
    assert caps(_DRAFT, Policy(caps=(cap(1),)), NOW) == PASS


def test_mails_count_for_the_address_the_account_and_the_accounts_owner() -> None:
    whose = {"contact": "ann@customer.example", "account": "crm:a1", "owner": "crm:u1"}
    for per, key in whose.items():
        assert counted_under(cap(per=per), _DRAFT) == key
    nobody = replace(_DRAFT, account=None, owner=None)
    assert counted_under(cap(per="account"), nobody) is None
    assert counted_under(cap(per="owner"), nobody) is None
    to_colleague = replace(_DRAFT, contact=None, colleague={"id": "crm:u2"})
    assert [counted_under(cap(per=per), to_colleague) for per in whose] == [None] * 3


def test_tasks_count_for_the_account_and_for_who_gets_them() -> None:
    task = replace(_DRAFT, action=TASK, contact=None, colleague={"id": "crm:u2"})
    assert counted_under(cap(per="account", of="task"), task) == "crm:a1"
    assert counted_under(cap(per="owner", of="task"), task) == "crm:u2"
    assert counted_under(cap(per="account"), task) is None
    assert counted_under(cap(per="account", of="task"), _DRAFT) is None
    note = replace(task, action=AddNote(key="k", text=""))
    assert counted_under(cap(per="account", of="task"), note) is None


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"per": "contact", "of": "task"}, "count them per account or per owner"),
        ({"within": "0 days"}, "a cap counts within some time"),
        ({"within": "5 business days"}, "business days have no fixed length"),
        ({"at_most": 0}, "greater than or equal to 1"),
        ({"per": "team"}, "'contact', 'account' or 'owner'"),
    ],
)
def test_caps_that_make_no_sense_are_told(written: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        cap(**{"at_most": 1, **written})
    assert words in str(caught.value)
