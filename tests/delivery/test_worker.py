from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta

import pytest

from crmsync.delivery.worker import (
    Life,
    begin_work,
    end_work,
    life_of,
    may_take_over,
    shown,
    worker_name,
)
from delivery.outbox_world import NOON


def name_of(process: int | str) -> str:
    host, _, random = worker_name().split("/")
    return f"{host}/{process}/{random}"


def of_process(running: subprocess.Popen[str]) -> str:
    """The name that a worker of that process would have, by its own words."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


SAYS_ITS_NAME = (
    "import sys; from crmsync.delivery.worker import worker_name;"
    "print(worker_name(), flush=True); sys.stdin.read()"
)


def running() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SAYS_ITS_NAME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_no_two_deliveries_share_a_name() -> None:
    assert worker_name() != worker_name()


def test_a_worker_of_this_process_lives_while_it_is_at_work() -> None:
    worker = worker_name()
    assert life_of(worker) is Life.GONE, "it never began"
    begin_work(worker)
    begin_work(worker)
    end_work(worker)
    assert life_of(worker) is Life.AT_WORK
    end_work(worker)
    assert life_of(worker) is Life.GONE


def test_a_process_lives_until_it_has_ended_even_before_anybody_has_collected_it() -> None:
    other = running()
    worker = of_process(other)
    assert life_of(worker) is Life.AT_WORK
    other.kill()
    # Until wait() it is a zombie; waitid() with WNOWAIT leaves it one.
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert life_of(worker) is Life.GONE
    other.communicate()
    assert life_of(worker) is Life.GONE


def test_a_number_that_is_in_use_again_is_another_process() -> None:
    other = running()
    worker = of_process(other)
    number, since = re.findall(r"\d+", worker.split("/")[1])
    assert number == str(other.pid)
    assert life_of(worker.replace(since, str(int(since) - 1))) is Life.GONE
    other.communicate()


@pytest.mark.parametrize(
    "name", ["", "elsewhere", "elsewhere/1/ab", f"other-host/{2**22 + 1}/ab", "///"]
)
def test_what_cannot_be_told_is_left_to_the_lease(name: str) -> None:
    assert life_of(name) is Life.UNKNOWN


@pytest.mark.parametrize("process", [1, 2**70, os.getpid()], ids=["first", "huge", "this"])
def test_a_number_that_does_not_say_since_when_is_left_to_the_lease(process: int) -> None:
    assert life_of(name_of(process)) is Life.UNKNOWN


def test_the_same_process_number_elsewhere_says_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert life_of(name_of(ended.pid)) is Life.GONE
    assert life_of(f"another-{name_of(ended.pid)}") is Life.UNKNOWN


def test_who_is_seen_to_live_keeps_what_it_has_however_old_its_lease() -> None:
    worker, over = worker_name(), NOON - timedelta(days=1)
    begin_work(worker)
    assert not may_take_over(worker, over, NOON)
    end_work(worker)
    assert may_take_over(worker, NOON + timedelta(days=1), NOON)
    assert may_take_over("elsewhere", NOON, NOON)
    assert not may_take_over("elsewhere", NOON + timedelta(microseconds=1), NOON)


def test_a_sentence_names_process_and_host() -> None:
    assert shown("box.example.org.pid:[1]/17.since-44/ab") == "process 17 on box"
    assert shown("somebody") == "somebody"
