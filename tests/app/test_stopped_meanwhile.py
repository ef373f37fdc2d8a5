"""A person's word that comes while a run records what it has decided, on both engines."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import crmsync.app.cycle
import crmsync.app.stopping
import crmsync.delivery.commit
from crmsync.app.cycle import run_cycle
from crmsync.app.stopping import mute, suppress
from crmsync.app.workspace import open_workspace
from crmsync.clock import FixedClock, parse_instant
from crmsync.errors import StoreBusyError
from crmsync.ledger.states import State
from support.commands import call
from support.company import make_company

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crmsync.app.results.stopping import StopResult
    from crmsync.app.workspace import Workspace

    Word = Callable[[Workspace], StopResult]

_AT = "2026-03-02T09:00"
_WAITS = 0.5  # seconds; who is held up for so long is held up for good
WORDS = [
    pytest.param(lambda w: mute(w, "A1", by="Jo", reason="", until=None), id="mute"),
    pytest.param(lambda w: suppress(w, "ann@acme.example", by="Jo", reason=""), id="suppress"),
]


@pytest.fixture
def config(ledger_at: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = make_company(tmp_path)
    if isinstance(ledger_at, str):
        monkeypatch.setenv("CRMSYNC_LEDGER", ledger_at)
        text = config.read_text(encoding="utf-8")
        config.write_text(f"ledger: env:CRMSYNC_LEDGER\n{text}", encoding="utf-8")
    assert call("sync", "--config", config, "--at", _AT).exit_code == 0
    return config


def _opened(config: Path) -> Workspace:
    return open_workspace(config, FixedClock(instant=parse_instant(_AT)))


def _run(config: Path) -> None:
    run_cycle(_opened(config), advance=lambda _label, _done: None, sync_first=False)


def _mails(config: Path) -> dict[str, State]:
    effects = _opened(config).ledger.effects()
    return {e.enrolment.subject: e.state for e in effects if e.step == "email"}


@contextmanager
def _held_up(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Whoever comes to that call says so, and waits until it is let go."""
    came, let_go = threading.Event(), threading.Event()
    real = getattr(module, name)

    def waits(*args: object, **kwargs: object) -> object:
        if args != ("plan.recording",) and name == "passing":
            return real(*args, **kwargs)
        came.set()
        assert let_go.wait(30)
        return real(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, waits)
        try:
            yield came, let_go
        finally:
            let_go.set()


@pytest.mark.parametrize("word", WORDS)
def test_a_word_while_a_run_records_takes_back_what_it_records(
    config: Path, word: Word, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the run would deliver is looked at before it does.
    monkeypatch.setattr("crmsync.app.cycle.hand_over", _delivers_nothing)
    with (
        ThreadPoolExecutor() as threads,
        _held_up(monkeypatch, crmsync.delivery.commit, "passing") as (came, let_go),
    ):
        running = threads.submit(_run, config)
        assert came.wait(30)
        said = threads.submit(word, _opened(config))
        with pytest.raises(TimeoutError):
            said.result(_WAITS)  # the word cannot be recorded beside it
        let_go.set()
        assert said.result(30).taken_back >= 1
        with pytest.raises(_LookedAtError):
            running.result(30)
    assert _mails(config)["crm:A1"] is State.PLANNED


@pytest.mark.parametrize("word", WORDS)
def test_a_run_that_records_while_a_word_is_recorded_records_nothing(
    config: Path, word: Word, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        ThreadPoolExecutor() as threads,
        _held_up(monkeypatch, crmsync.app.cycle, "commit_plan") as (decided, go_on),
        _held_up(monkeypatch, crmsync.app.stopping, "read_effects") as (came, let_go),
    ):
        running = threads.submit(_run, config)
        assert decided.wait(30)  # it knows of no word
        said = threads.submit(word, _opened(config))
        assert came.wait(30)  # the word is written, and not committed
        go_on.set()
        with pytest.raises(TimeoutError):
            running.result(_WAITS)
        let_go.set()
        said.result(30)
        with pytest.raises(StoreBusyError, match="nothing of this run was recorded"):
            running.result(30)
    assert _mails(config) == {}


class _LookedAtError(Exception):
    pass


def _delivers_nothing(*_: object, **__: object) -> None:
    raise _LookedAtError
