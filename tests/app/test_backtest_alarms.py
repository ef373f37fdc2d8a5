"""Firings held against outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.app.backtest.alarms import Firing, Outcome, Verdict, judge
from crmsync.app.backtest.replay import steps_of
from crmsync.model.durations import parse_duration

START = datetime(2026, 1, 1, tzinfo=UTC)


def _at(day: float) -> datetime:
    return START + timedelta(days=day)


def _fired(about: str, day: float) -> Firing:
    return Firing(subject=about, about=about, at=_at(day))


def _came(about: str, day: float) -> Outcome:
    return Outcome(about=about, at=_at(day), exact=True)


def test_every_kind_of_firing_and_outcome() -> None:
    """A window of 100 days; an outcome counts within 20 days."""
    judged = judge(
        [
            _fired("warned", 30),  # its outcome comes after 20 days, the last that counts
            _fired("late", 30),  # its outcome comes after 21 days
            _fired("twice", 40),
            _fired("twice", 45),
            _fired("none", 50),
            _fired("same", 60),  # at the same instant, which is no warning
            _fired("recent", 81),
            _fired("last", 80),  # followed for just long enough
        ],
        [
            _came("warned", 50),
            _came("late", 51),
            _came("twice", 50),
            _came("same", 60),
            _came("recent", 90),
            _came("early", 19),
            _came("nobody", 20),  # the first of which everything before is known
        ],
        within=timedelta(days=20),
        start=START,
        end=_at(100),
    )
    assert [(a.firing.about, a.verdict) for a in judged.alarms] == [
        ("late", Verdict.FALSE),
        ("warned", Verdict.TRUE),
        ("twice", Verdict.TRUE),
        ("twice", Verdict.TRUE),
        ("none", Verdict.FALSE),
        ("same", Verdict.FALSE),
        ("last", Verdict.FALSE),
        ("recent", Verdict.TOO_RECENT_TO_TELL),
    ]
    assert [(o.outcome.about, o.verdict) for o in judged.outcomes] == [
        ("early", Verdict.TOO_EARLY_TO_TELL),
        ("nobody", Verdict.MISSED),
        ("twice", Verdict.WARNED),
        ("warned", Verdict.WARNED),
        ("late", Verdict.MISSED),
        ("same", Verdict.MISSED),
        ("recent", Verdict.WARNED),
    ]
    score = judged.score
    assert (score.firings, score.true, score.false, score.open) == (8, 3, 4, 1)
    assert (score.outcomes, score.warned, score.missed, score.early) == (7, 3, 3, 1)
    assert score.precision == pytest.approx(3 / 7)
    assert score.recall == pytest.approx(3 / 6)
    # 5, 10 and 20 days; the one too recent to tell is left out, though its outcome has come.
    assert score.lead is not None
    assert (score.lead.shortest, score.lead.median, score.lead.longest) == (5, 10, 20)
    assert (score.lead.lower, score.lead.upper) == (7.5, 15)
    assert judged.alarms[-1].lead == timedelta(days=9)
    months = judged.months(START, _at(100), ZoneInfo("UTC"))
    told = [(m.month, m.firings, m.true, m.false, m.outcomes, m.missed) for m in months]
    assert told == [
        ("2026-01", 2, 1, 1, 2, 1),
        ("2026-02", 3, 2, 1, 3, 1),
        ("2026-03", 3, 0, 2, 1, 1),
        ("2026-04", 0, 0, 0, 1, 0),
    ]


def test_where_there_is_nothing_there_are_no_shares() -> None:
    score = judge([], [], within=timedelta(days=1), start=START, end=_at(9)).score
    assert (score.precision, score.recall, score.lead) == (None, None, None)
    assert (score.firings, score.outcomes) == (0, 0)


def test_a_subject_without_an_account_is_a_false_alarm() -> None:
    firing = Firing(subject="ticket", about=None, at=_at(1))
    judged = judge([firing], [_came("", 2)], within=timedelta(days=3), start=START, end=_at(9))
    assert [alarm.verdict for alarm in judged.alarms] == [Verdict.FALSE]


DAYS = st.integers(0, 40)
EVENTS = st.lists(st.tuples(st.sampled_from("abc"), DAYS), max_size=12)


@given(fired=EVENTS, came=EVENTS, within=st.integers(1, 20))
def test_a_naive_recount_finds_the_same(
    fired: list[tuple[str, int]], came: list[tuple[str, int]], within: int
) -> None:
    score = judge(
        [_fired(*event) for event in fired],
        [_came(*event) for event in came],
        within=timedelta(days=within),
        start=START,
        end=_at(40),
    ).score
    leads = []
    followed = [(who, day) for who, day in fired if day + within <= 40]
    for who, day in followed:
        gaps = [then - day for other, then in came if other == who and 0 < then - day <= within]
        if gaps:
            leads.append(min(gaps))
    known = [(who, day) for who, day in came if day - within >= 0]
    warned = [
        (who, day)
        for who, day in known
        if any(other == who and 0 < day - then <= within for other, then in fired)
    ]
    assert score.true == len(leads)
    assert score.false == len(followed) - len(leads)
    assert score.open == len(fired) - len(followed)
    assert score.warned == len(warned)
    assert score.missed == len(known) - len(warned)
    assert score.early == len(came) - len(known)
    assert (score.lead.median if score.lead else None) == (median(leads) if leads else None)


def test_whole_days_keep_the_time_of_day_when_the_clocks_change() -> None:
    zone = ZoneInfo("Europe/Zurich")
    start = datetime(2026, 3, 28, 9, tzinfo=zone)
    steps = steps_of(start, start + timedelta(days=2), parse_duration("1 day"), zone)
    assert [f"{at.astimezone(zone):%d %H:%M}" for at in steps] == [
        "28 09:00",
        "29 09:00",
        "30 09:00",
    ]
    hours = steps_of(start, start + timedelta(days=1), parse_duration("12h"), zone)
    assert [at - hours[0] for at in hours] == [timedelta(hours=12 * i) for i in range(len(hours))]
