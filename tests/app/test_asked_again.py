"""What the gates have let pass goes out soon, or they are asked again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.app.cycle import run_cycle
from crmsync.app.workspace import Workspace, open_workspace
from crmsync.ledger.states import State
from crmsync_files.writing import FolderWriter
from support.commands import call
from support.company import CONFIG, FILES, make_company

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pytest

    from crmsync.app.results.cycle import RunResult
    from crmsync.model.actions import Action
    from crmsync.plugins.contract import ConnectorSpec

_HOURS = 'policy: {hours: {weekdays: "09:00-18:00", unknown_zone: company}}\n'
_SHORTLY_BEFORE = datetime(2026, 3, 2, 16, 58, tzinfo=UTC)  # 17:58 in Zürich


@dataclass(kw_only=True)
class _Clock:
    instant: datetime

    def now(self) -> datetime:
        return self.instant


def _run(
    folder: Path,
    patched: pytest.MonkeyPatch,
    each_takes: timedelta,
    meanwhile: Callable[[Path], None] = lambda _config: None,
) -> tuple[RunResult, dict[str, State]]:
    """A run that hands over one effect after the other, each of which takes so long."""
    contacts = FILES["crm/contacts.csv"].replace("yes", "no")
    config = make_company(folder, config=CONFIG + _HOURS, contacts=contacts)
    clock = _Clock(instant=_SHORTLY_BEFORE)
    apply, spec = FolderWriter.apply, Workspace.spec

    def slowly(self: FolderWriter, actions: Sequence[Action]) -> object:
        clock.instant += each_takes
        receipts = apply(self, actions)
        meanwhile(config)
        return receipts

    def one_by_one(self: Workspace, name: str) -> ConnectorSpec:
        found = spec(self, name)
        return replace(found, batch_size=1)

    patched.setattr(FolderWriter, "apply", slowly)
    patched.setattr(Workspace, "spec", one_by_one)
    workspace = open_workspace(config, clock)
    result = run_cycle(workspace, advance=lambda _label, _done: None)
    effects = workspace.ledger.effects()
    return result, {f"{e.step} {e.enrolment.subject}": e.state for e in effects}


def test_mails_that_are_not_out_when_the_hours_end_wait_until_morning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, states = _run(tmp_path, monkeypatch, timedelta(minutes=6))
    assert states == {
        "task crm:A1": State.DONE,
        "task crm:A2": State.DONE,
        "email crm:A1": State.DEFERRED,
        "email crm:A2": State.DEFERRED,
    }
    assert (result.delivery.done, result.delivery.waiting) == (2, 0)


def test_the_end_of_the_hours_is_kept_to_the_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it would have gone out within five minutes, the last mail of it too late."""
    _, states = _run(tmp_path, monkeypatch, timedelta(minutes=1))
    waiting = {name for name, state in states.items() if state is State.DEFERRED}
    assert waiting == {"email crm:A2"}


def test_what_is_read_while_others_go_out_counts_for_those_that_have_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ann unsubscribes, and Ben's company answers: another process reads that meanwhile."""
    read = 0

    def meanwhile(config: Path) -> None:
        nonlocal read
        read += 1
        if read == 1:
            contacts = FILES["crm/contacts.csv"].replace("acme.example,no", "acme.example,yes")
            (tmp_path / "crm" / "contacts.csv").write_text(contacts, encoding="utf-8")
            with (tmp_path / "crm" / "activities.csv").open("a", encoding="utf-8") as file:
                file.write("T9,A2,call,2026-03-02 17:58\n")
            assert call("sync", "--config", config, "--at", "2026-03-02T18:00").exit_code == 0

    result, states = _run(tmp_path, monkeypatch, timedelta(seconds=1), meanwhile)
    assert states == {
        "task crm:A1": State.DONE,
        "task crm:A2": State.DROPPED,
        "email crm:A1": State.DROPPED,
        "email crm:A2": State.DROPPED,
    }
    assert (result.delivery.done, read) == (1, 1)


def test_what_goes_out_at_once_is_asked_about_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, states = _run(tmp_path, monkeypatch, timedelta(seconds=10))
    assert set(states.values()) == {State.DONE}
    assert result.delivery.done == 4
