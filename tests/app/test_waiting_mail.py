"""What waits in the outbox is sent only after it was composed and asked about anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import AuthError, TransientError, UncertainError
from crmsync_files.writing import FolderWriter
from support.commands import call_json
from support.company import FILES, make_company

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from crmsync.model.actions import Action

_MORNING, _NOON, _EVENING = "2026-03-02T09:00", "2026-03-02T12:00", "2026-03-02T18:00"
_CONTACTS = FILES["crm/contacts.csv"]
_ACTIVITIES = FILES["crm/activities.csv"]


def _unreachable(error: Exception) -> Callable[..., object]:
    def apply(_self: object, _actions: Sequence[object]) -> object:
        raise error

    return apply


def _mails(folder: Path) -> list[str]:
    new = folder / "crm" / "outbox" / "new"
    return [path.read_text(encoding="utf-8") for path in new.iterdir()] if new.exists() else []


def _states(report: dict[str, Any], kind: str = "email") -> dict[str, str]:
    actions = report["plan"]["actions"]
    return {a["subject_name"]: a["state"] for a in actions if a["kind"] == kind}


@pytest.fixture(params=[TransientError("503"), AuthError("revoked")], ids=["transient", "auth"])
def config(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A company after a run that could deliver nothing."""
    path = make_company(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(FolderWriter, "apply", _unreachable(request.param))
        report = call_json("run", "--config", path, "--at", _MORNING)
    assert report["delivery"]["waiting"] == 3
    assert _mails(tmp_path) == []
    return path


def _run(config: Path, at: str) -> dict[str, Any]:
    """A run, and that the plan before it said the same."""
    plan = call_json("plan", "--config", config, "--at", at)
    report = call_json("run", "--config", config, "--at", at)
    assert report["plan"]["actions"] == plan["actions"]
    assert report["plan"]["held"] == plan["held"]
    return report


def test_what_waits_is_planned_again_and_sent_once(config: Path) -> None:
    report = _run(config, _NOON)
    assert _states(report) == {"Acme": "ready"}
    assert _states(report, "task") == {"Acme": "ready", "Blue": "ready"}
    assert report["delivery"]["done"] == 3
    assert len(_mails(config.parent)) == 1
    assert _run(config, _EVENING)["plan"]["actions"] == []
    assert len(_mails(config.parent)) == 1


def test_who_has_unsubscribed_meanwhile_gets_nothing(config: Path) -> None:
    contacts = config.parent / "crm" / "contacts.csv"
    contacts.write_text(_CONTACTS.replace("acme.example,no", "acme.example,yes"), encoding="utf-8")
    assert _states(_run(config, _NOON)) == {"Acme": "dropped"}
    _run(config, _EVENING)
    assert _mails(config.parent) == []


def test_who_has_answered_meanwhile_gets_nothing(config: Path) -> None:
    activities = config.parent / "crm" / "activities.csv"
    activities.write_text(_ACTIVITIES + "T4,A1,email,2026-03-02 10:00\n", encoding="utf-8")
    assert _states(_run(config, _NOON)) == {}
    _run(config, _EVENING)
    assert _mails(config.parent) == []


def test_a_mail_that_can_no_longer_be_composed_waits_with_its_reason(config: Path) -> None:
    contacts = config.parent / "crm" / "contacts.csv"
    contacts.write_text(_CONTACTS.replace(",Ann,", ",,"), encoding="utf-8")
    report = _run(config, _NOON)
    assert _states(report) == {}
    (held,) = report["plan"]["held"]
    assert "first_name" in held["reason"]
    status = call_json("status", "--config", config, "--at", _NOON)
    assert status["effects"]["planned"] == 1
    assert _mails(config.parent) == []

    contacts.write_text(_CONTACTS.replace("ann@", "anna@"), encoding="utf-8")
    assert _states(_run(config, _EVENING)) == {"Acme": "ready"}
    (mail,) = _mails(config.parent)
    assert "anna@acme.example" in mail


def test_what_has_landed_after_all_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_company(tmp_path)
    apply = FolderWriter.apply

    def broken_off(self: FolderWriter, actions: Sequence[Action]) -> object:
        apply(self, actions)
        raise UncertainError("broken off")

    with monkeypatch.context() as patched:
        patched.setattr(FolderWriter, "apply", broken_off)
        call_json("run", "--config", path, "--at", _MORNING)
    report = call_json("run", "--config", path, "--at", _NOON)
    assert report["plan"]["actions"] == []
    assert report["delivery"]["already"] == 3
    assert len(_mails(tmp_path)) == 1


def test_what_was_broken_off_and_has_not_landed_passes_the_gates_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_company(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(FolderWriter, "apply", _unreachable(UncertainError("broken off")))
        report = call_json("run", "--config", path, "--at", _MORNING)
    assert report["delivery"]["uncertain"] == 3
    status = call_json("status", "--config", path, "--at", _MORNING)
    assert [line.partition(":")[0] for line in status["attention"]] == ["uncertain"] * 3
    contacts = tmp_path / "crm" / "contacts.csv"
    contacts.write_text(_CONTACTS.replace("acme.example,no", "acme.example,yes"), encoding="utf-8")
    report = call_json("run", "--config", path, "--at", _NOON)
    assert _states(report) == {"Acme": "dropped"}
    assert (report["delivery"]["done"], report["delivery"]["uncertain"]) == (2, 0)
    assert _mails(tmp_path) == []


def test_a_mail_waits_while_its_conditions_cannot_be_known(config: Path) -> None:
    (config.parent / "crm" / "activities.csv").unlink()
    assert _states(_run(config, "2026-03-04T09:00")) == {}
    assert _mails(config.parent) == []
