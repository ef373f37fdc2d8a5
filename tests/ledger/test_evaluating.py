"""One evaluator at a time, on either engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.errors import StoreBusyError
from crmsync.ledger.store import Ledger

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)

HOLD = """
import pathlib, sys, time
from datetime import UTC, datetime
from crmsync.ledger.store import Ledger
at = sys.argv[1]
ledger = Ledger(at if "://" in at else pathlib.Path(at))
with ledger.evaluating(since=datetime(2026, 3, 2, 12, tzinfo=UTC)):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_decides_and_since_when(
    ledger: Ledger, ledger_at: Path | str
) -> None:
    whose = (
        rf"another crmsync is at work on .*: .*process {os.getpid()} on .*, since 2\d\d\d-.* UTC; "
    )
    with Ledger(ledger_at) as second:
        with ledger.evaluating(since=AT):
            with pytest.raises(StoreBusyError, match=whose), second.evaluating(since=AT):
                pass
            second.start_run("run", at=AT, started_at=AT)
            assert len(ledger.last_runs()) == 1, "who does not decide may still deliver"
        with second.evaluating(since=AT), pytest.raises(StoreBusyError):
            ledger.evaluating(since=AT).__enter__()


def test_an_error_lets_go_of_it(ledger: Ledger) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), ledger.evaluating(since=AT):
            raise ZeroDivisionError


def test_a_process_that_is_killed_lets_go_of_it(ledger: Ledger, ledger_at: Path | str) -> None:
    command = [sys.executable, "-c", HOLD, str(ledger_at)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(StoreBusyError, match=f"process {holder.pid} on "),
            ledger.evaluating(since=AT),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while True:
        try:
            with ledger.evaluating(since=AT):
                return
        except StoreBusyError:  # a server needs a moment to see that its client is gone
            assert datetime.now(UTC) < deadline


def test_a_second_daemon_is_refused_in_one_sentence(ledger: Ledger, ledger_at: Path | str) -> None:
    with Ledger(ledger_at) as second, ledger.serving(since=AT):
        with pytest.raises(StoreBusyError, match=r"a crmsync daemon serves .* already: ") as told:
            second.serving(since=AT).__enter__()
        assert "\n" not in str(told.value)
        assert f"process {os.getpid()} on " in str(told.value)
