from __future__ import annotations

from itertools import product

import pytest

from crmsync.ledger.states import (
    ALLOWED,
    MEANING,
    WAITING,
    ForbiddenTransitionError,
    State,
    check_transition,
)


def test_every_state_has_its_row_and_its_meaning() -> None:
    assert set(ALLOWED) == set(MEANING) == set(State)


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_only_the_table_is_allowed(before: State, after: State) -> None:
    if after in ALLOWED[before]:
        check_transition(before, after)
    else:
        with pytest.raises(ForbiddenTransitionError, match=f"from {before} to {after}"):
            check_transition(before, after)


def test_every_state_is_reached_and_all_but_the_ends_lead_on() -> None:
    reached = {State.PLANNED}
    while more := set().union(*(ALLOWED[state] for state in reached)) - reached:
        reached |= more
    assert reached == set(State)
    ends = {state for state in State if not ALLOWED[state]}
    assert ends == {State.DONE, State.DROPPED}


def test_what_waits_can_be_dropped_and_what_people_decide_about() -> None:
    by_a_person = {State.REJECTED, State.UNCERTAIN}
    made_theirs = {State.SENDING}  # what was to be taken back, and people have worked on
    droppable = {state for state in State if State.DROPPED in ALLOWED[state]}
    assert droppable == WAITING | by_a_person | made_theirs
