from __future__ import annotations

from datetime import timedelta

import pytest

from crmsync.model.durations import Duration, parse_duration


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        ("30 days", timedelta(days=30), "30 days"),
        ("30d", timedelta(days=30), "30 days"),
        ("1 day", timedelta(days=1), "1 day"),
        ("2 weeks", timedelta(days=14), "14 days"),
        ("12h", timedelta(hours=12), "12 hours"),
        ("90 minutes", timedelta(minutes=90), "90 minutes"),
        ("0 days", timedelta(), "0 days"),
    ],
)
def test_calendar_time(text: str, length: timedelta, shown: str) -> None:
    duration = parse_duration(text)
    assert duration == Duration(length=length)
    assert str(duration) == shown


def test_business_days() -> None:
    assert parse_duration("3 business days") == Duration(business_days=3)
    assert str(parse_duration("1 Business Day")) == "1 business day"


@pytest.mark.parametrize(
    "text", ["", "days", "-3 days", "3 fortnights", "2 business hours", "1.5 days", 3, None, True]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write for example 30 days"):
        parse_duration(text)
