"""Whether an address takes mail: the fact says what the gate says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.model.notices import NoticeKind
from crmsync.policy.correspondence import Correspondence, Notice
from facts.test_builtin import NOW, values

ANN = {"id": "ann", "account": "a", "email": " Ann@Acme.example"}
OTHERS: list[dict[str, Any]] = [
    {"id": "ben", "account": "a", "email": "ben@acme.example"},
    {"id": "nobody", "account": "a", "email": None},
]
DAY = timedelta(days=1)
_SENT_BY = {"kind": "email", "direction": "inbound"}
_OURS = {
    "id": "ours",
    "kind": "email",
    "direction": "outbound",
    "at": NOW - 9 * DAY,
    "message_id": "ours@vendor.example",
    "addresses": "Ann@acme.example other@acme.example",
}


def bounce(days: float, kind: str = "hard_bounce", reason: str | None = "no such address") -> Any:
    return {
        **_SENT_BY,
        "id": f"{kind} {days} {reason}",
        "contact": "ann",
        "at": NOW - days * DAY,
        "automated": True,
        "notice": kind,
        "notice_reason": reason,
        "notice_address": "ann@acme.example other@acme.example",
        "answers": "ours@vendor.example",
    }


def mail(days: float, sender: str | None = "ANN@acme.example", **more: Any) -> Any:
    named = {"sender": sender} if sender else {"addresses": "ann@acme.example"}
    return {**_SENT_BY, "id": f"mail {days}", "at": NOW - days * DAY, **named, **more}


def bounced(*activities: Any, contact: Any = ANN) -> tuple[Any, Any]:
    records: dict[str, list[dict[str, Any]]] = {
        "contact": [contact, *OTHERS],
        "activity": [_OURS, *activities],
    }
    at = values("bounced_at", records, table="contact")
    why = values("bounce_reason", records, table="contact")
    assert at.keys() <= {"ann"}
    return at.get("ann"), why.get("ann")


def test_a_hard_bounce_says_when_and_why() -> None:
    assert bounced() == (None, None)
    assert bounced(bounce(2), bounce(1, reason="moved")) == (NOW - DAY, "moved")
    assert bounced(bounce(1, reason=None)) == (NOW - DAY, None)
    assert bounced(bounce(-1)) == (None, None)


@pytest.mark.parametrize(
    ("kind", "days", "counts"),
    [
        ("hard_bounce", 0.5, True),
        ("hard_bounce", 6.9, True),
        ("hard_bounce", 7.1, False),
        ("hard_bounce", -0.5, False),
        ("soft_bounce", 0.5, False),
    ],
)
def test_a_bounce_that_names_no_mail_counts_shortly_after_one(
    kind: str, days: float, *, counts: bool
) -> None:
    silent = bounce(1, kind) | {"answers": None}
    lately = _OURS | {"id": "lately", "message_id": None, "at": NOW - (days + 1) * DAY}
    assert bounced(silent) == (None, None)
    assert (bounced(silent, lately)[0] is not None) == counts


def test_only_the_present_address_counts() -> None:
    assert bounced(bounce(1), contact=ANN | {"email": "anna@acme.example"}) == (None, None)


def test_soft_bounces_count_on_two_days() -> None:
    soft = [bounce(days, "soft_bounce") for days in (1, 1.1, 2)]
    assert bounced(*soft[:2]) == (None, None)
    assert bounced(*soft) == (NOW - DAY, "no such address")
    assert bounced(*(bounce(days, "soft_bounce", "full") for days in (1, 2))) == (None, None)


@pytest.mark.parametrize("sender", ["Ann@Acme.example", None])
def test_mail_from_it_shows_that_it_lives(sender: str | None) -> None:
    assert bounced(bounce(2), mail(1, sender)) == (None, None)
    assert bounced(bounce(2), mail(3, sender)) == (NOW - 2 * DAY, "no such address")
    assert bounced(bounce(2), mail(1, "ben@acme.example"))[0] == NOW - 2 * DAY


days = st.sampled_from([-0.5, 0.5, 0.6, 1, 1.5, 2, 3])
notices = st.builds(
    bounce,
    days,
    st.sampled_from([kind.value for kind in NoticeKind]),
    st.sampled_from(["no such address", "moved", None]),
)
mails = st.builds(mail, days, st.sampled_from(["ann@acme.example", "ben@acme.example"]))


@given(st.lists(st.one_of(notices, notices, mails), max_size=6, unique_by=lambda one: one["id"]))
@settings(max_examples=15, deadline=None)
def test_the_fact_and_the_gate_agree(activities: list[Any]) -> None:
    past = [one for one in activities if one["at"] <= NOW]
    told = Correspondence(
        notices=[
            Notice(kind=NoticeKind(o["notice"]), at=o["at"], reason=o["notice_reason"] or "")
            for o in past
            if "notice" in o
        ],
        heard_at=max(
            (o["at"] for o in past if o.get("sender") == "ann@acme.example"), default=None
        ),
    )
    at, why = bounced(*activities)
    assert at == (told.bounce and told.bounce.at)
    if at is not None and len([o for o in past if o["at"] == at]) == 1:
        assert (why or "") == (told.bounce and told.bounce.reason)


assert datetime(2026, 3, 1, 12, tzinfo=UTC) == NOW, "noon: a tenth of a day stays on it"
