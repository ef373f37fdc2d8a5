from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crmsync.clock import FixedClock, SystemClock, parse_instant


def test_times_without_an_offset_are_in_the_given_zone() -> None:
    assert parse_instant("2026-07-01", default_zone="Europe/Zurich") == datetime(
        2026, 6, 30, 22, tzinfo=UTC
    )
    assert parse_instant("2026-07-01T09:30+01:00") == datetime(2026, 7, 1, 8, 30, tzinfo=UTC)


def test_what_is_no_time() -> None:
    with pytest.raises(ValueError, match="“tomorrow” is not a time; write for example 2026-03-01"):
        parse_instant("tomorrow")


def test_a_fixed_clock_stands_still_until_it_is_moved() -> None:
    clock = FixedClock(instant=datetime(2026, 1, 1, tzinfo=UTC))
    assert clock.now() == clock.now()
    assert clock.advanced(timedelta(days=1)).now() == datetime(2026, 1, 2, tzinfo=UTC)
    with pytest.raises(ValueError, match="aware"):
        FixedClock(instant=datetime(2026, 1, 1))  # noqa: DTZ001  that is the mistake
    assert SystemClock().now().tzinfo is UTC
