"""The sample company in virtual time: over the changes of clocks, and over a year.

`make test` goes over the weekends of spring on which New York, Zurich and Sydney change their
clocks; `make year` over all of a year, also with more accounts (YEAR=50 are all that there are).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.year import (
    Year,
    counts,
    mails_to_customers,
    make_sample,
    out_of_hours,
    over_a_cap,
    told,
)

if TYPE_CHECKING:
    from pathlib import Path

# Fridays: New York goes forward on 8 March, Zurich on 29 March, Sydney back on 5 April.
_CHANGES = [(3, 6), (3, 27), (4, 3)]
# How many accounts of each zone live through the year; 0 leaves it out.
_LONG = int(os.environ.get("CRMSYNC_YEAR", "0"))


def _at(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def _assert_sound(year: Year) -> None:
    mails = mails_to_customers(year)
    assert out_of_hours(mails) == []
    assert over_a_cap(year, mails) == []
    year.assert_nobody_is_stuck()


def _over_weekends(folder: Path, seed: int) -> Year:
    """What falls due at the weekend waits for Monday; then the daemon is started again."""
    year = Year(
        config=make_sample(folder, _at(3, 2), each=3),
        seed=seed,
        instant=_at(3, 6),
    )
    for month, day in _CHANGES:
        friday = _at(month, day, 16)
        year.skip_to(friday)
        year.run(friday + timedelta(hours=12))
        # In Sydney it is Monday already when Sunday evening comes to Zurich.
        year.skip_to(friday + timedelta(days=2, hours=3))
        year.run(friday + timedelta(days=3, hours=6))
    return year


def test_over_the_changes_of_clocks(tmp_path: Path) -> None:
    year = _over_weekends(tmp_path / "sample", seed=1)
    print(told(year))  # noqa: T201  make year shows it
    _assert_sound(year)
    assert counts(year)["email done"] > 3


@pytest.mark.skipif(not _LONG, reason="the same twice more; make year runs it")
def test_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    first = _over_weekends(tmp_path / "first", seed=1).outcome()
    assert first == _over_weekends(tmp_path / "second", seed=1).outcome()
    assert first != _over_weekends(tmp_path / "third", seed=4).outcome()


@pytest.mark.skipif(not _LONG, reason="takes an hour; make year runs it")
def test_over_a_year(tmp_path: Path) -> None:
    start = _at(3, 2)
    year = Year(config=make_sample(tmp_path / "sample", start, each=_LONG), seed=2, instant=start)
    for week in range(1, 53):
        year.run(start + timedelta(weeks=week))
        print(f"{year.instant:%Y-%m-%d}", told(year), flush=True)  # noqa: T201  make year shows it
        _assert_sound(year)
    assert len(mails_to_customers(year)) > _LONG, "hardly anybody was written to"
