"""The parts of the kit that a law cannot test on itself."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from crmsync.errors import AuthError, RejectedError
from crmsync.model.actions import ActionKind
from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, ROW, Page, Snapshot
from crmsync.testing.laws import ConnectorLaws
from crmsync.testing.laws.steps import caught, need
from crmsync.testing.reference import MemoryUnderTest
from crmsync.testing.remote import Failure, Feature, RemoteUnderTest
from crmsync.testing.replica import Replica
from crmsync.testing.samples import (
    HOSTILE_TEXTS,
    START,
    hostile_texts,
    one_line,
    sample_action,
    texts_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crmsync.plugins.contract import Connector


@pytest.fixture
def remote(tmp_path: Path) -> MemoryUnderTest:
    return MemoryUnderTest(tmp_path)


def _page(rows: list[dict[str, object]], listing: str = "", *, last: bool = False) -> Page:
    return Page(
        records=pa.Table.from_pylist(rows),
        cursor="1",
        snapshot=Snapshot(id=listing, last=last) if listing else None,
    )


def test_a_declared_absence_skips_its_laws_with_the_reason(remote: MemoryUnderTest) -> None:
    remote.absent = {Feature.MERGES: "nobody merges here"}
    with pytest.raises(pytest.skip.Exception, match="merges: nobody merges here"):
        ConnectorLaws().test_merges_leave_an_alias(remote)
    need(remote, Feature.READS, Failure.AUTH)


def test_the_base_class_says_what_was_left_out() -> None:
    class Bare(RemoteUnderTest):
        def connect(self) -> Connector:
            raise AssertionError("nobody connects")

    calls: tuple[Callable[[RemoteUnderTest], object], ...] = (
        lambda bare: bare.put([]),
        lambda bare: bare.delete([], START),
        lambda bare: bare.merge("a", "b", START),
        lambda bare: bare.spoil("a", START),
        lambda bare: bare.fail_next(Failure.AUTH),
        lambda bare: bare.refused_action("k"),
        lambda bare: bare.effects(),
    )
    for call in calls:
        with pytest.raises(NotImplementedError, match=r"or declare .* absent, with the reason"):
            call(Bare())


def test_a_replica_follows_changes_deletions_and_merges(remote: MemoryUnderTest) -> None:
    replica = Replica(remote, [_page([{"id": str(i), "text": "a"} for i in range(4)])])
    replica.take(
        _page(
            [
                {"id": "0", "text": "b", DELETED: False, MERGED_INTO: None},
                {"id": "1", "text": "a", DELETED: True, MERGED_INTO: None},
                {"id": "2", "text": "a", DELETED: True, MERGED_INTO: "0"},
            ]
        )
    )
    assert replica.texts == {"0": "b", "3": "a"}
    assert replica.aliases == {"2": "0"}


def test_a_replica_drops_what_a_finished_listing_did_not_name(remote: MemoryUnderTest) -> None:
    replica = Replica(remote, [_page([{"id": key, "text": key} for key in "abc"])])
    replica.take(_page([{"id": "a", "text": "a"}], "first"))
    replica.take(_page([{"id": "c", "text": "c"}], "second"))
    assert replica.texts.keys() == {"a", "b", "c"}
    replica.take(_page([{"id": "d", "text": "d"}], "second", last=True))
    assert replica.texts.keys() == {"c", "d"}
    with pytest.raises(AssertionError, match="goes on after the page"):
        replica.take(_page([{"id": "e", "text": "e"}], "second"))


def test_a_replica_keeps_problems_apart(remote: MemoryUnderTest) -> None:
    row: dict[str, object] = {"id": None, "text": None, PROBLEM: "no date", ORIGIN: "a.csv", ROW: 7}
    replica = Replica(remote, [_page([row])])
    assert replica.problems == ["a.csv, row 7: no date"]
    assert replica.texts == {}


def test_only_the_error_that_was_due_is_caught() -> None:
    def fail() -> None:
        raise RejectedError("no")

    assert str(caught(fail, RejectedError)) == "no"
    with pytest.raises(AssertionError, match="AuthError was due, not RejectedError: no"):
        caught(fail, AuthError)
    with pytest.raises(AssertionError, match="nothing was raised"):
        caught(lambda: None, AuthError)


# What is taken back has no words of its own.
@pytest.mark.parametrize("kind", [kind for kind in ActionKind if kind is not ActionKind.WITHDRAWAL])
def test_a_sample_action_carries_its_text(kind: ActionKind) -> None:
    action = sample_action(
        kind, key="k", text="one\ntwo", about="a1", table="account", stream="s", column="name"
    )
    assert action.kind is kind
    assert "one\ntwo" in texts_of(action).values()


def test_subjects_are_one_line_of_the_hostile_texts() -> None:
    for text in hostile_texts(100_000).values():
        subject = one_line(text)
        assert len(subject.splitlines()) == 1
        assert len(subject) <= 200


def test_the_longest_text_is_as_long_as_the_remote_takes() -> None:
    assert len(hostile_texts(32_000)["very long"]) == 32_000
    assert HOSTILE_TEXTS.keys() < hostile_texts(10).keys()


def test_the_memory_connector_needs_no_pytest() -> None:
    code = "import sys, crmsync.testing.reference; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
