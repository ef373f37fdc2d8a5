from __future__ import annotations

import os
import subprocess
import sys

import pytest

from crmsync.delivery.worker import is_gone, worker_name


def name_of(process: int) -> str:
    host, _, random = worker_name().split("/")
    return f"{host}/{process}/{random}"


def test_no_two_deliveries_share_a_name() -> None:
    assert worker_name() != worker_name()


def test_a_living_process_is_not_gone() -> None:
    assert not is_gone(worker_name())
    assert not is_gone(name_of(1)), "a process that we may not signal lives"


def test_a_process_that_has_ended_is_gone() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_gone(name_of(ended.pid))


@pytest.mark.parametrize(
    "name", ["", "elsewhere", "elsewhere/1/ab", f"other-host/{2**22 + 1}/ab", "///"]
)
def test_what_cannot_be_told_is_left_to_the_lease(name: str) -> None:
    assert not is_gone(name)


def test_a_number_that_no_process_can_have_is_left_to_the_lease() -> None:
    assert not is_gone(name_of(2**70))


def test_the_same_process_number_elsewhere_says_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not is_gone(f"another-{name_of(ended.pid)}")
    assert os.getpid() != ended.pid
