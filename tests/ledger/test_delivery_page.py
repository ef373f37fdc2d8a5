"""docs/delivery.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from crmsync.delivery.settings import Patience
from crmsync.ledger.states import ALLOWED, MEANING, State

PAGE = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text(encoding="utf-8")


def test_the_table_of_states_is_the_one_in_the_code() -> None:
    rows = [
        f"| {state} | {MEANING[state]} | "
        f"{', '.join(after for after in State if after in ALLOWED[state]) or '—'} |"
        for state in State
    ]
    assert "\n".join(["| State | Meaning | Goes to |", "|---|---|---|", *rows, ""]) in PAGE


def test_the_drawing_has_every_move_and_no_other() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+)$", PAGE, re.MULTILINE)
    moves = {
        (before.value.replace(" ", "_"), after.value.replace(" ", "_"))
        for before in State
        for after in ALLOWED[before]
    }
    assert sorted(drawn) == sorted(moves)


def test_its_figures_are_those_of_the_code() -> None:
    patience = Patience()
    assert (patience.first_wait.total_seconds(), patience.most_attempts) == (30, 6)
    assert patience.longest_wait.total_seconds() == 3600
    assert patience.lease.total_seconds() == 600
    assert "after 30 seconds, doubled with each attempt up to an hour" in PAGE
    assert "After six attempts: rejected" in PAGE
    assert "the lease of ten minutes" in PAGE
