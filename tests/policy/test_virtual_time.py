"""Weeks in virtual time, hour by hour: the gates as a run asks them, and nothing else.

What they let out is held against hours and caps that are computed here, naively.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.config.policy import Policy
from crmsync.ledger.values.runs import Answer
from crmsync.policy.caps import counted_under
from crmsync.policy.gates import ask_gates
from policy.draft_world import DRAFT, MAIL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.policy.drafts import Draft, Ruling

_HOUR = timedelta(hours=1)
# From before the clocks change in New York to after they do in Zurich; in March nobody moves
# them in Kathmandu.
_BEGIN, _END = datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 4, 4, tzinfo=UTC)
_ZONES = ("Europe/Zurich", "America/New_York", "Asia/Kathmandu")
_POLICY = Policy.model_validate(
    {
        "hours": {"weekdays": "08:00-18:00", "quiet_dates": ["03-18"]},
        "caps": [
            {"per": "contact", "at_most": 1, "within": "3 days"},
            {"per": "account", "at_most": 2, "within": "2 days"},
        ],
        "stale_after": "12 days",
        "holdout": {"percent": 20, "seed": "2026"},
    }
)


class Mail(NamedTuple):
    """A mail that falls due: when, to which contact, of which rule's priority."""

    hour: int
    contact: int
    priority: int


class Fate(NamedTuple):
    """When it went out or was dropped, and by which gate."""

    mail: Mail
    at: datetime
    gate: str


_mails = st.lists(
    st.builds(Mail, st.integers(0, 14 * 24), st.integers(0, 11), st.sampled_from((10, 50, 90))),
    max_size=25,
)


def _draft(mail: Mail, number: int) -> Draft:
    account = f"crm:a{mail.contact // 2}"
    address = f"c{mail.contact}@customer.example"
    return replace(
        DRAFT,
        rule=f"rule-{mail.priority}",
        subject=account,
        action=replace(MAIL, key=f"k{number}", recipient=address, at=_BEGIN),
        due_since=_BEGIN + mail.hour * _HOUR,
        account={"id": account, "country": "CH"},
        contact={"id": address, "email": address, "time_zone": _ZONES[mail.contact % 3]},
    )


def _ask(draft: Draft, sent: list[tuple[Draft, datetime]], now: datetime) -> Ruling:
    counts = {
        cap: [at for other, at in sent if counted_under(cap, other) == counted_under(cap, draft)]
        for cap in _POLICY.caps
    }
    asked = replace(draft, counts=counts)
    return ask_gates(asked, _POLICY, now)


def _weeks(mails: list[Mail]) -> Iterator[Fate]:
    """What becomes of each mail; a deferred one is asked about again each hour."""
    waiting = {number: _draft(mail, number) for number, mail in enumerate(mails)}
    sent: list[tuple[Draft, datetime]] = []
    now = _BEGIN
    while now < _END:
        due = [number for number in waiting if _BEGIN + mails[number].hour * _HOUR <= now]
        for number in sorted(due, key=lambda number: -mails[number].priority):
            ruling = _ask(waiting[number], sent, now)
            if ruling.answer is Answer.DEFER:
                assert ruling.until is not None
                assert ruling.until > now
                continue
            assert ruling.answer in {Answer.PASS, Answer.DROP}
            if ruling.answer is Answer.PASS:
                sent.append((waiting[number], now))
            yield Fate(mails[number], now, ruling.gate)
            del waiting[number]
        now += _HOUR


@settings(max_examples=25, deadline=None)
@given(_mails)
def test_no_mail_at_night_none_beyond_a_cap_none_stuck(mails: list[Mail]) -> None:
    fates = list(_weeks(mails))
    assert len(fates) == len(mails)
    assert {fate.gate for fate in fates} <= {"", "holdout", "staleness"}
    out = [fate for fate in fates if not fate.gate]
    for fate in out:
        local = fate.at.astimezone(ZoneInfo(_ZONES[fate.mail.contact % 3]))
        assert local.weekday() < 5
        assert 8 <= local.hour < 18
        assert (local.month, local.day) != (3, 18)
        assert (local.month, local.day) != (4, 3)  # Good Friday
        assert fate.at - (_BEGIN + fate.mail.hour * _HOUR) <= timedelta(days=12)
        before = [one for one in out if one.at <= fate.at]
        lately = [one for one in before if one.at > fate.at - timedelta(days=3)]
        assert sum(one.mail.contact == fate.mail.contact for one in lately) <= 1
        lately = [one for one in before if one.at > fate.at - timedelta(days=2)]
        assert sum(one.mail.contact // 2 == fate.mail.contact // 2 for one in lately) <= 2
    held_out = {fate.mail.contact // 2 for fate in fates if fate.gate == "holdout"}
    assert held_out.isdisjoint({fate.mail.contact // 2 for fate in out})
    assert fates == list(_weeks(mails))
