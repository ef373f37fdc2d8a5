from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.results.sync import SyncResult
from crmsync.clock import SystemClock
from crmsync.daemon import reading
from crmsync.daemon.board import Board
from crmsync.daemon.reading import Reader
from crmsync.errors import StoreBusyError
from crmsync.sync.reports import StreamReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOON = timedelta(seconds=0.3)
WORKSPACE: Any = object()  # nobody looks into it here


class Connections:
    """What stands in for reading them."""

    def __init__(self) -> None:
        self.hangs = threading.Event()
        self.read: list[str] = []

    def sync_all(
        self, workspace: object, names: Sequence[str], *, advance: Callable[[str, int], None]
    ) -> SyncResult:
        (name,) = names
        self.read.append(name)
        if name == "hangs":
            assert self.hangs.wait(60)
        if name == "raises":
            raise ZeroDivisionError
        if name == "busy":
            raise StoreBusyError("somebody else reads it")
        advance("accounts", 5)
        error = "the file is gone" if name == "partly" else None
        report = StreamReport(connection=name, stream="accounts", table="account", error=error)
        return SyncResult(at=SystemClock().now(), streams=(report,))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    standing_in = Connections()
    monkeypatch.setattr(reading, "sync_all", standing_in.sync_all)
    return standing_in


@pytest.fixture
def board() -> Board:
    return Board(SystemClock(), timedelta(hours=1))


def test_one_that_hangs_is_given_up_and_the_others_are_read(
    connections: Connections, board: Board
) -> None:
    reader = Reader(board, lambda: False)
    outcome = reader.read(WORKSPACE, ["hangs", "crm"], SOON)
    assert outcome["crm"] is None
    assert outcome["hangs"] == "it was given up after 0 seconds"
    assert reader.hanging == ["hangs"]
    again = reader.read(WORKSPACE, ["hangs", "crm"], SOON)
    assert again["crm"] is None
    assert "still hangs; restart the daemon" in str(again["hangs"])
    assert connections.read.count("hangs") == 1
    assert any(sentence.startswith("hangs: ") for sentence in board.unready())
    connections.hangs.set()
    while reader.hanging:
        pass
    assert reader.read(WORKSPACE, ["hangs"], SOON) == {"hangs": None}
    assert board.unready() == ("the first cycle has not ended yet",)


def test_what_goes_wrong_with_one_is_told_by_its_name(
    connections: Connections, board: Board
) -> None:
    names = ["partly", "busy", "raises", "crm"]
    assert Reader(board, lambda: False).read(WORKSPACE, names, SOON) == {
        "partly": "accounts: the file is gone",
        "busy": "somebody else reads it",
        "raises": "ZeroDivisionError in crmsync or in the connector",
        "crm": None,
    }
    assert sorted(connections.read) == sorted(names)
    assert 'crmsync_sync_failures_total{connection="busy"} 1.0' in board.metrics().decode()


def test_whoever_is_to_stop_does_not_wait_for_one_that_hangs(
    connections: Connections, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_GRACE", 0.1)
    outcome = Reader(board, lambda: True).read(WORKSPACE, ["hangs"], timedelta(hours=1))
    assert outcome["hangs"] == "it was given up after 0 seconds"
    connections.hangs.set()
