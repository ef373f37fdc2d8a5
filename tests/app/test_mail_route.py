"""Mail goes out by the connection that the config names, whoever's customer it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.app.workspace import Workspace
from crmsync.errors import TransientError
from crmsync.model.actions import ActionKind, KeyHandling
from support.commands import call, call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_AT = "2026-03-02T09:00+00:00"
_POST = "mail: post\nconnections:\n  post: {connector: files, path: post}\n"


def company(folder: Path, config: str = "", **changes: str) -> Path:
    (folder / "post").mkdir()
    routed = CONFIG.replace("connections:\n", _POST) + config
    return make_company(folder, config=routed, **changes)


def mails(folder: Path, connection: str) -> list[Path]:
    return sorted((folder / connection / "outbox").glob("new/*"))


def test_mail_leaves_by_that_connection_and_tasks_stay_with_the_crm(tmp_path: Path) -> None:
    config = company(tmp_path)
    assert call("check", "--config", config).exit_code == 0
    plan = call_json("plan", "--config", config, "--at", _AT)
    by_kind = {(one["kind"], one["connection"]) for one in plan["actions"]}
    assert by_kind == {("email", "post"), ("task", "crm")}
    report = call_json("run", "--config", config, "--at", _AT)
    assert report["delivery"]["problems"] == []
    assert len(mails(tmp_path, "post")) == 1
    assert mails(tmp_path, "crm") == []
    assert (tmp_path / "crm" / "tasks.csv").is_file()
    assert not (tmp_path / "post" / "tasks.csv").exists()


def test_it_counts_for_the_account_that_it_is_about(tmp_path: Path) -> None:
    cap = "policy:\n  caps: [{per: account, at_most: 1, within: 7 days}]\n"
    config = company(tmp_path, cap)
    call_json("run", "--config", config, "--at", _AT)
    text = (tmp_path / "rules" / "renewal-at-risk.yaml").read_text(encoding="utf-8")
    second = text.replace("rule: renewal-at-risk", "rule: second")
    (tmp_path / "rules" / "second.yaml").write_text(second, encoding="utf-8")
    report = call_json("run", "--config", config, "--at", "2026-03-02T10:00+00:00")
    states = {
        (a["rule"], a["subject_name"]): a["state"]
        for a in report["plan"]["actions"]
        if a["kind"] == "email"
    }
    assert states["second", "Acme"] == "deferred"


def test_muting_its_account_takes_back_what_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = company(tmp_path)
    monkeypatch.setattr("crmsync_files.connector.FilesConnector.apply", _transient)
    call("run", "--config", config, "--at", _AT)
    said = call("mute", "Acme", "--config", config, "--at", _AT, "--as", "Jo", "--reason", "calm")
    assert "2 actions that waited to be sent will not be" in " ".join(said.stdout.split())


def _transient(_self: object, _actions: object) -> object:
    raise TransientError("later")


def test_a_connection_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    config = company(tmp_path)
    config.write_text(config.read_text().replace("mail: post", "mail: psot"), encoding="utf-8")
    result = call("check", "--config", config)
    told = " ".join((result.stdout + result.stderr).split())
    assert "config.yaml:3:7: there is no connection “psot”; did you mean “post”?" in told


def test_a_connection_that_cannot_send_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = company(tmp_path)
    only_tasks = {ActionKind.TASK: KeyHandling.NATIVE}
    real = Workspace.spec
    monkeypatch.setattr(
        Workspace, "spec", lambda self, name: replace(real(self, name), actions=only_tasks)
    )
    result = call("check", "--config", config)
    told = " ".join((result.stdout + result.stderr).split())
    assert (
        "config.yaml:3:7: the connection “post” cannot send mail; its connector is “files”" in told
    )


def test_mail_that_nothing_can_send_is_told_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_company(tmp_path)
    able = dict.fromkeys((ActionKind.TASK, ActionKind.NOTE), KeyHandling.NATIVE)
    real = Workspace.spec
    monkeypatch.setattr(
        Workspace, "spec", lambda self, name: replace(real(self, name), actions=able)
    )
    checked = call("check", "--config", config)
    lacking = "the connection “crm” sends no mail"
    advice = "name one that does with “mail” in the config"
    told = " ".join(checked.stdout.split())
    assert f"rules/renewal-at-risk.yaml:12:5: {lacking}, so mails of this rule to its" in told
    assert advice in told
    for command in ("plan", "run"):
        result = call(command, "--config", config, "--at", _AT)
        told = " ".join(result.stdout.split())
        assert f"2 actions cannot be done: {lacking}; {advice}" in told
        assert result.exit_code == 1, "a person has to mend it"
