from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# Says when it listens; then is busy for a minute, or sleeps until a signal comes.
BUSY = """
import sys, time
from datetime import timedelta
from crmsync.daemon.signals import stopping
grace, busy = float(sys.argv[1]), sys.argv[2] == "busy"
with stopping() as stop:
    stop.cut_off_after(timedelta(seconds=grace))
    print("ready", flush=True)
    while busy or not stop():
        stop.sleep(timedelta(minutes=1)) if not busy else time.sleep(0.05)
        print("woken", flush=True)
print(f"ended by {stop.by.name}", flush=True)
"""


def ends(grace: float, busy: str, *signals: signal.Signals) -> tuple[int, str, str]:
    """The exit code, and what it said on both streams."""
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, str(grace), busy],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "ready\n"
            said = ""
            for number in signals:
                process.send_signal(number)
                said += process.stdout.readline() if len(signals) > 1 else ""
            # Not communicate: it passes over what readline has read ahead.
            said, error = said + process.stdout.read(), process.stderr.read()
            return process.wait(timeout=60), said, error
        finally:
            process.kill()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_lets_it_finish(by: signal.Signals) -> None:
    code, said, error = ends(60, "sleeps", by)
    assert (code, error) == (0, "")
    assert said.endswith(f"ended by {by.name}\n")


def test_when_the_grace_is_over_it_is_cut_off() -> None:
    code, said, error = ends(0.2, "busy", signal.SIGTERM)
    assert (code, error.count("\n")) == (3, 1)
    assert "The grace is over" in error
    assert "ended by" not in said


@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_it_at_once(by: signal.Signals, code: int) -> None:
    found, _, error = ends(60, "busy", signal.SIGTERM, by)
    assert found == code
    assert "Stopped at once" in error


def test_a_hang_up_wakes_it_and_ends_nothing() -> None:
    code, said, _ = ends(60, "sleeps", signal.SIGHUP, signal.SIGTERM)
    assert code == 0
    assert said.startswith("woken\n")
    assert said.endswith("ended by SIGTERM\n")
