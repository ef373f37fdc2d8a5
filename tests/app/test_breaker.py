"""The circuit breaker counts what a run lets out, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.errors import AuthError
from crmsync_files.writing import FolderWriter
from support.commands import call, call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_NIGHT, _STILL_NIGHT = "2026-03-02T22:00+01:00", "2026-03-02T23:00+01:00"
_MORNING = "2026-03-03T08:00+01:00"
_POLICY = """
policy:
  most_actions_per_run: {most}
  hours: {{weekdays: "08:00-18:00", unknown_zone: company}}
"""
_CONTACTS = "id,account,first,last,email,unsubscribed\n" + "".join(
    f"C{n},A{n},Ann,Smith,ann{n}@customer.example,no\n" for n in (1, 2)
)


def _company(folder: Path, most: int) -> Path:
    return make_company(folder, config=CONFIG + _POLICY.format(most=most), contacts=_CONTACTS)


def _stopped(config: Path, at: str) -> str | None:
    stopped: str | None = call_json("run", "--config", config, "--at", at)["plan"]["stopped"]
    return stopped


def test_what_is_deferred_counts_when_it_goes_out(tmp_path: Path) -> None:
    config = _company(tmp_path, most=2)
    assert _stopped(config, _NIGHT) is None  # two tasks go out, two mails wait
    assert _stopped(config, _STILL_NIGHT) is None
    assert _stopped(config, _MORNING) is None  # the two mails
    status = call_json("status", "--config", config, "--at", _MORNING)
    assert status["effects"] == {"done": 4}


def test_what_comes_out_of_deferral_all_at_once_can_stop_a_run(tmp_path: Path) -> None:
    config = _company(tmp_path, most=2)
    assert _stopped(config, _NIGHT) is None
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("per_run: 2", "per_run: 1"), encoding="utf-8")
    assert "would take 2 actions" in (_stopped(config, _MORNING) or "")
    status = call_json("status", "--config", config, "--at", _MORNING)
    assert status["effects"] == {"deferred": 2, "done": 2}


def test_what_was_let_out_and_could_not_be_delivered_does_not_count_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _company(tmp_path, most=4)

    def revoked(_self: object, _actions: object) -> object:
        raise AuthError("revoked")

    with monkeypatch.context() as patched:
        patched.setattr(FolderWriter, "apply", revoked)
        assert _stopped(config, _MORNING) is None
    accounts = tmp_path / "crm" / "accounts.csv"
    with accounts.open("a", encoding="utf-8") as file:
        file.write("A4,Dune,U1,gold,2026-03-21\n")
    with (tmp_path / "crm" / "activities.csv").open("a", encoding="utf-8") as file:
        file.write("T4,A4,call,2026-01-01 10:00\n")
    assert _stopped(config, "2026-03-03T09:00+01:00") is None
    status = call_json("status", "--config", config, "--at", _MORNING)
    assert status["effects"] == {"done": 5}


def test_a_run_that_was_stopped_says_that_nothing_was_handed_out(tmp_path: Path) -> None:
    config = _company(tmp_path, most=1)
    told = call("run", "--config", config, "--at", _MORNING).stdout
    assert "would take 4 actions" in told
    assert told.splitlines()[-1] == "Nothing was handed out."
    assert call_json("status", "--config", config, "--at", _MORNING)["effects"] == {}
