"""A connector's call, for which nobody waits for ever.

A thread cannot be ended from outside. A call that has not answered in time goes on in its own,
and may still land; so whoever gave up waiting must not let anybody apply the same again before
that call has come back, or its process has ended.
"""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

from crmsync.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

_Answer = TypeVar("_Answer")


class HangsError(ConnectorError):
    """A connector has not answered in time; its call goes on."""


# By place, the calls of this process that nobody waits for any more.
_hanging: Counter[tuple[str, str]] = Counter()


def hangs(place: tuple[str, str]) -> bool:
    """Whether a call of this process to that connection, given up long ago, goes on."""
    return _hanging[place] > 0


def call_within(
    limit: timedelta,
    call: Callable[[], _Answer],
    *,
    place: tuple[str, str],
    give_up: Callable[[], None] = lambda: None,
    come_back: Callable[[_Answer | None], None] = lambda _answer: None,
) -> _Answer:
    """What the call answers or raises.

    Args:
        place: what is worked on (a ledger, or a warehouse), and the connection.
        give_up: called where nobody waits any more, while the call goes on.
        come_back: called once after that, in the call's thread, when it ends: with its answer,
            or with None where it raised.

    Raises:
        HangsError: it goes on after ``limit``.
    """
    outcome: Future[_Answer] = Future()
    agreeing = threading.Lock()
    given_up = False

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            outcome.set_exception(error)
        with agreeing:
            late = given_up
        if late:
            try:
                come_back(None if outcome.exception() else outcome.result())
            finally:
                _hanging[place] -= 1

    threading.Thread(target=work, name="crmsync-call", daemon=True).start()
    try:
        wait([outcome], timeout=limit.total_seconds())
    finally:  # a person may have pressed Ctrl-C
        with agreeing:
            given_up = not outcome.done()
            if given_up:
                _hanging[place] += 1
                give_up()
    if given_up:
        raise HangsError(f"it has not answered within {limit.total_seconds():g} seconds")
    return outcome.result()
