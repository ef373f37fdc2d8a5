"""What the engine makes of the connector's answers: mended trouble costs no action."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from crmsync.clock import FixedClock
from crmsync.delivery.deliver import Target, deliver
from crmsync.ledger.store import Ledger
from crmsync.model.actions import ActionKind
from crmsync_files import crmsync_connectors
from crmsync_files.connector import FilesConnector
from delivery.outbox_world import NOON, new_effect, plan

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.delivery.tally import DeliveryReport

Connect = Callable[..., FilesConnector]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


def run(ledger: Ledger, connector: FilesConnector, *, hours: int = 0) -> DeliveryReport:
    return deliver(
        ledger,
        {"crm": Target(writes=connector, spec=crmsync_connectors()[0])},
        clock=FixedClock(instant=NOON + timedelta(hours=hours)),
        lease_clock=FixedClock(instant=NOON + timedelta(hours=hours)),
        random=Random(7),
    )


def foreign_header(folder: Path) -> None:
    (folder / "tasks.csv").write_text("id,title\n")


def folder_in_the_way(folder: Path) -> None:
    (folder / "tasks.csv").mkdir()


def missing_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def mended(folder: Path) -> None:
    if not folder.exists():
        folder.with_name("elsewhere").rename(folder)
    tasks = folder / "tasks.csv"
    if tasks.is_dir():
        tasks.rmdir()
    else:
        tasks.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (foreign_header, "rows cannot be added to crm/tasks.csv: it has no column “key”"),
        (folder_in_the_way, "crm/tasks.csv cannot be written: Is a directory"),
        (missing_folder, "there is no folder crm"),
    ],
)
def test_what_a_person_can_mend_loses_no_action(
    folder: Path,
    connect: Connect,
    ledger: Ledger,
    spoil: Callable[[Path], None],
    sentence: str,
) -> None:
    plan(ledger, [new_effect(number) for number in range(3)])
    spoil(folder)
    for hours in range(10):  # more often than an action is tried that fails by itself
        report = run(ledger, connect(), hours=hours)
        assert (report.done, report.rejected, report.waiting) == (0, 0, 3)
        assert sentence in report.problems[0]
    mended(folder)
    report = run(ledger, connect(), hours=10)
    assert (report.done, report.rejected, report.waiting) == (3, 0, 0)


def test_a_folder_that_may_not_be_written_loses_no_action(
    folder: Path, connect: Connect, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(ledger, [new_effect(1), new_effect(2, kind=ActionKind.EMAIL)])

    def denied(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", denied)
        report = run(ledger, connect())
        assert (report.done, report.rejected, report.waiting) == (0, 0, 2)
        assert "Read-only file system; give crmsync the right to write" in report.problems[0]
    assert run(ledger, connect()).done == 2
    assert len(list((folder / "outbox" / "new").iterdir())) == 1
