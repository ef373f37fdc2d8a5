"""A person decides about what was rejected, and about what may have landed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.workspace import Workspace, open_workspace
from crmsync.clock import FixedClock, SystemClock, parse_instant
from crmsync.delivery.outcomes import rejected, uncertain
from crmsync.ledger.claims import claim_ready, settle_effects
from crmsync.ledger.states import State
from support.commands import call, call_json
from support.company import make_company

if TYPE_CHECKING:
    from crmsync.ledger.values.effects import Effect

_AT, _NEXT_DAY = "2026-03-02T09:00", "2026-03-03T09:00"

_PAGE = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text(encoding="utf-8")
_COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", _PAGE, re.DOTALL)).splitlines()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Of Acme and Blue, the tasks and the mail wait: nothing can be written to the CRM."""
    config = make_company(tmp_path)
    (config.parent / "crm" / "tasks.csv").mkdir()
    (config.parent / "crm" / "outbox").touch()
    call("run", "--config", config, "--at", _AT)
    return open_workspace(config, FixedClock(instant=parse_instant(_AT)))


def _mend(workspace: Workspace) -> None:
    crm = workspace.installation.folder / "crm"
    (crm / "tasks.csv").rmdir()
    (crm / "outbox").unlink()


def _settle(workspace: Workspace, how: Any) -> tuple[Effect, ...]:
    """All that is ready comes to nothing."""
    now = SystemClock().now()
    with workspace.ledger.writing() as connection:
        effects = claim_ready(connection, "crm", worker="w", now=now, lease_until=now, limit=10)
        settle_effects(
            connection, [how(e, "no such user: U1") for e in effects], worker="w", at=now
        )
    assert effects
    return effects


def _call(workspace: Workspace, *words: str) -> dict[str, Any]:
    config = workspace.installation.folder / "config.yaml"
    return call_json(*words, "--config", config, "--at", _AT)


def _states(workspace: Workspace) -> set[State]:
    return {effect.state for effect in workspace.ledger.effects() if effect.state != "dropped"}


def test_status_names_all_that_need_a_person_where_it_is_asked_to(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {effect.key for effect in _settle(workspace, rejected)}
    monkeypatch.setattr("crmsync.app.status._MOST_NAMED", 1)
    config = workspace.installation.folder / "config.yaml"
    printed = call("status", "--config", config, "--at", _AT).stdout
    assert sum(key in printed for key in keys) == 1
    assert "and 2 more that were rejected or are uncertain; --full names all" in printed
    printed = call("status", "--full", "--config", config, "--at", _AT).stdout
    assert all(key in printed for key in keys)
    assert {one["key"] for one in _call(workspace, "status")["unsettled"]} == keys


def test_what_was_rejected_is_tried_again_and_asked_about(workspace: Workspace) -> None:
    effects = _settle(workspace, rejected)
    status = _call(workspace, "status")
    assert len(status["unsettled"]) == len(effects) == 3
    told = "rejected: task of the rule renewal-at-risk for Acme (crm:A1): no such user: U1 → "
    assert f"{told}crmsync retry {effects[0].key} (or drop)" in status["attention"]
    _mend(workspace)
    assert _call(workspace, "run")["delivery"]["done"] == 0
    said = _call(workspace, "retry", "--all", "--reason", "U1 is back", "--as", "Jo")
    assert {one["subject_name"] for one in said["effects"]} == {"Acme", "Blue"}
    assert _states(workspace) == {State.PLANNED}
    last = workspace.ledger.history_of(effects[0].id)[-1]
    assert (last.actor, last.reason) == ("Jo", "a person had it tried again: U1 is back")
    _call(workspace, "mute", "A2")
    report = _call(workspace, "run")
    assert report["delivery"]["done"] == 2
    assert [one["subject_name"] for one in report["plan"]["held"] if one["step"]] == ["Blue"]


def test_a_rule_that_was_left_is_not_tried_again(workspace: Workspace) -> None:
    _settle(workspace, rejected)
    crm = workspace.installation.folder / "crm" / "accounts.csv"
    crm.write_text(crm.read_text("utf-8").replace("2026-03-20", "2026-09-20"), "utf-8")
    _call(workspace, "run")
    result = call("retry", "--all", "--config", workspace.installation.folder / "config.yaml")
    assert result.exit_code == 1
    assert result.stdout.count("its customer has left the rule “renewal-at-risk” since") == 2
    assert result.stdout.count("waits for the next run") == 1


def test_what_is_uncertain_is_tried_again_only_by_who_has_looked(workspace: Workspace) -> None:
    first, *_, last = _settle(workspace, uncertain)
    told = _call(workspace, "status")["attention"]
    assert sum("looks for it there" in one for one in told) == len(told) == 3
    config = workspace.installation.folder / "config.yaml"
    refused = call("retry", first.key, "--config", config)
    assert refused.exit_code == 2
    assert f"crmsync landed --config {config} {first.key}" in refused.stderr
    assert _call(workspace, "retry", first.key, "--did-not-land")["now"] == "planned"
    assert _call(workspace, "landed", last.key[:-8])["now"] == "done"
    with workspace.ledger.reading():
        by_key = {effect.key: effect for effect in workspace.ledger.effects()}
    assert (by_key[first.key].state, by_key[first.key].attempts) == (State.PLANNED, 0)
    assert not by_key[first.key].in_doubt
    assert by_key[last.key].state is State.DONE


def test_what_is_dropped_is_never_done(workspace: Workspace) -> None:
    _settle(workspace, rejected)
    _mend(workspace)
    said = _call(workspace, "drop", "--rule", "renewal-at-risk", "--reason", "called them")
    assert len(said["effects"]) == 3
    assert _states(workspace) == set()
    assert _call(workspace, "status")["attention"] == []
    assert _call(workspace, "run")["delivery"]["done"] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("retry",), "name either keys, or --rule, or --all"),
        (("retry", "renewal", "--all"), "name either keys, or --rule, or --all"),
        (("retry", "--all"), "nothing was rejected"),
        (("drop", "--rule", "x"), "nothing of “x” was rejected"),
        (("retry", "nothing"), "there is no action whose key begins with “nothing”"),
        (("retry", ""), "there is no action whose key begins with “”"),
        (("retry", "renewal-at"), "“renewal-at” can be several: renewal-at-risk-"),
    ],
)
def test_what_fits_nothing_is_refused(
    workspace: Workspace, words: tuple[str, ...], sentence: str
) -> None:
    result = call(*words, "--config", workspace.installation.folder / "config.yaml", "--at", _AT)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_what_is_ready_is_neither_tried_again_nor_said_to_have_landed(workspace: Workspace) -> None:
    ready = workspace.ledger.effects(states=[State.READY])[0]
    for word in ("retry", "landed"):
        report = _call(workspace, word, ready.key)
        assert f"{ready.key} is ready; only what is" in report["problems"][0]
    assert _call(workspace, "drop", ready.key)["now"] == "dropped"


@pytest.mark.parametrize("line", _COMMANDS)
def test_the_commands_of_the_page_run(workspace: Workspace, line: str) -> None:
    _settle(workspace, rejected)
    program, *words = shlex.split(line)
    result = call(*words, "--config", workspace.installation.folder / "config.yaml", "--at", _AT)
    assert (program, result.exit_code) == ("crmsync", 0), result.output
    assert len(result.stdout.splitlines()) == 3
