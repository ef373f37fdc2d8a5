"""Who is the same: never two of one system, never a guess, the same whatever the order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.sync.identity import Candidate, Groups

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

RANK = {"a": 0, "b": 1, "c": 2}
WORDS = ["", "", "x", "y", "1", "2"]


def candidate(connection: str, number: int, key: str = "", external: str = "") -> Candidate:
    return Candidate(
        id=f"{connection}:{number}",
        connection=connection,
        key=key,
        external=external,
        within="",
        name="",
    )


def joined(rows: Sequence[Candidate]) -> tuple[dict[str, str], list[str]]:
    groups = Groups(RANK, rows)
    doubts = groups.join()
    return groups.pairs(), doubts


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    places = draw(st.sets(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=8))
    return [
        candidate(connection, number, draw(st.sampled_from(WORDS)), draw(st.sampled_from(WORDS)))
        for connection, number in sorted(places)
    ]


@settings(max_examples=400, deadline=None)
@given(candidates(), st.randoms(use_true_random=False))
def test_what_holds_of_all_that_is_joined(rows: list[Candidate], dice: random.Random) -> None:
    pairs, doubts = joined(rows)
    by_id = {row.id: row for row in rows}
    groups: dict[str, list[Candidate]] = {}
    for own, first in pairs.items():
        assert first not in pairs, "who stands for others has nobody who stands for it"
        groups.setdefault(first, [by_id[first]]).append(by_id[own])
    for first, members in groups.items():
        connections = [member.connection for member in members]
        assert len(set(connections)) == len(connections), "one of each system at most"
        assert RANK[by_id[first].connection] == min(RANK[name] for name in connections)
        for member in members:
            others = [other for other in members if other is not member]
            assert any(_alike(member, other) for other in others), "each is like another of them"
    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert joined(shuffled) == (pairs, doubts), "the order of the records does not matter"


def _alike(one: Candidate, other: Candidate) -> bool:
    local = (one.id.split(":")[1], other.id.split(":")[1])
    by_id = one.external in {local[1], other.external} - {""} or other.external == local[0]
    return by_id or (one.key != "" and one.key == other.key)


def test_where_each_of_several_was_found_by_its_id_nobody_is_asked() -> None:
    rows = [
        candidate("a", 1, "x"),
        candidate("a", 2, "x"),
        candidate("b", 8, "x", "1"),
        candidate("b", 9, "x", "2"),
    ]
    assert joined(rows) == ({"b:8": "a:1", "b:9": "a:2"}, [])


def test_a_third_system_joins_by_the_key() -> None:
    rows = [candidate("a", 1, "x"), candidate("b", 8, "", "1"), candidate("c", 5, "x")]
    assert joined(rows)[0] == {"b:8": "a:1", "c:5": "a:1"}
