from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from rich.tree import Tree

from crmsync.cli.console import command, console
from crmsync.errors import UsageError
from crmsync.observe import remember_secret
from support.commands import call, call_json
from support.company import FILES, make_company

if TYPE_CHECKING:
    from pathlib import Path

_HEAVY = ("ibis", "duckdb", "sqlalchemy", "jinja2", "pyarrow", "pandas", "babel", "alembic")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["no-such-command"]])
def test_nobody_waits_for_heavy_libraries_to_be_told_how_to_call(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from crmsync.cli import main\n"
        f"sys.argv = ['crmsync', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        f"print('loaded:', *[name for name in {_HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_the_version_is_that_of_the_installed_distribution() -> None:
    result = call("--version")
    assert (result.exit_code, result.stdout) == (0, f"crmsync {version('crmsync')}\n")


def test_init_lays_out_a_config_that_is_complete_but_for_the_exports(tmp_path: Path) -> None:
    folder = tmp_path / "my crm"
    assert call("init", folder).exit_code == 0
    assert (folder / "rules" / "renewal-at-risk.yaml").is_file()
    assert (folder / "rules" / "tests" / "renewal-at-risk.yaml").is_file()
    assert call("check", "--offline", "--config", folder / "config.yaml").exit_code == 0
    missing = call("check", "--config", folder / "config.yaml")
    assert missing.exit_code == 1
    assert "config.yaml:" in missing.output
    assert "Traceback" not in missing.output


def test_plugins_are_listed_with_what_they_bring() -> None:
    result = call("plugins", "list", "--json")
    assert result.exit_code == 0
    found = {report["name"]: report for report in json.loads(result.stdout)}
    assert found["files"]["connectors"] == ["files"]
    assert found["files"]["distribution"] == "crmsync-files"
    assert "account.last_contact" in found["facts"]["facts"]
    assert "connector files" in call("plugins", "list").stdout


def test_every_report_is_json_on_demand(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    at = ("--config", config, "--at", "2026-03-02T09:00")
    assert call_json("check", "--config", config)["problems"] == []
    assert {s["stream"]: s["read"] for s in call_json("sync", *at)["streams"]}["accounts"] == 3
    assert len(call_json("plan", *at)["actions"]) == 4
    assert call_json("run", *at)["delivery"]["done"] == 3
    assert call_json("status", *at)["effects"]["done"] == 3
    assert call_json("explain", "A1", *at)["rules"][0]["verdict"] == "yes"


def test_a_mistake_is_json_too_where_json_was_asked_for(tmp_path: Path) -> None:
    report = call_json("plan", "--config", tmp_path / "none.yaml")
    assert report["error"] == "UsageError"
    assert "crmsync init" in report["problems"][0]


def test_what_goes_wrong_unexpectedly_shows_no_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    remember_secret("tok-12345-secret")
    with pytest.raises(Exception, match="1") as caught, command():
        raise ValueError("the header was Bearer tok-12345-secret")
    assert type(caught.value).__name__ == "Exit"
    printed = capsys.readouterr().err
    assert "tok-12345-secret" not in printed
    assert "Bearer [redacted]" in printed
    assert "Please report it" in printed


def test_a_sentence_shows_no_secret_either(capsys: pytest.CaptureFixture[str]) -> None:
    remember_secret("tok-67890-secret")
    with pytest.raises(Exception, match="2"), command(as_json=True):
        raise UsageError("tok-67890-secret is no file")
    assert json.loads(capsys.readouterr().out)["problems"] == ["[redacted] is no file"]


def test_progress_is_shown_on_terminals_only(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    command_line = [sys.executable, "-m", "crmsync", "plan", "--config", str(config)]
    terminal, standard_error = os.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        shown = subprocess.Popen(command_line, stdout=subprocess.DEVNULL, stderr=standard_error)
        os.close(standard_error)
        drawn = b""
        while True:
            try:
                part = screen.read(65536)
            except OSError:  # the last writer has closed the terminal
                break
            if not part:
                break
            drawn += part
        assert shown.wait() == 0
    assert b"crm/accounts" in drawn
    assert b"evaluating rules" in drawn
    piped = subprocess.run(command_line, capture_output=True, check=True)
    assert piped.stderr == b""


def test_piped_lines_are_neither_cut_nor_broken(capsys: pytest.CaptureFixture[str]) -> None:
    tree = Tree("why")
    tree.add("clause " * 100)
    console().print(tree)
    first, second = capsys.readouterr().out.splitlines()
    assert (first.rstrip(), second.count("clause")) == ("why", 100)


def test_names_from_the_crm_move_no_cursor_and_break_no_line(tmp_path: Path) -> None:
    names = {"Acme": '"Ac\x1b[2Jme\nCorp"', "Blue": "Bl\x9b31mue"}
    accounts = FILES["crm/accounts.csv"]
    for old, new in names.items():
        accounts = accounts.replace(old, new)
    at = ("--config", make_company(tmp_path, accounts=accounts), "--at", "2026-03-02T09:00")
    plan = call("plan", *at).output
    assert "\n  Ac\N{REPLACEMENT CHARACTER}[2Jme Corp crm:A1\n" in plan
    told = plan + call("explain", "A1", *at).output + call("explain", "Ac", *at).output
    assert "Bl\N{REPLACEMENT CHARACTER}31mue" in told
    assert "\x1b" not in told
    assert "\x9b" not in told


def test_who_has_read_enough_gets_no_complaint(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    ours, theirs = os.pipe()
    os.close(ours)
    command_line = [sys.executable, "-m", "crmsync", "schema", "rule", "--config", str(config)]
    done = subprocess.run(
        command_line, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, "")


def test_the_demo_of_another_day_goes_on_with_that_day(tmp_path: Path) -> None:
    folder = tmp_path / "spring"
    shown = call("demo", "--dir", folder, "--at", "2026-03-02T09:00").output
    next_steps = shown.partition("Go on with\n")[2].splitlines()
    assert len(next_steps) == 3
    for line in next_steps:
        assert f" --config {folder / 'config.yaml'} --at 2026-03-02T09:00" in line


def test_the_folder_of_a_config_is_told_from_its_file(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    result = call("plan", "--config", tmp_path)
    assert result.exit_code == 2
    assert f"is a folder; name the file: --config {config}" in result.stderr


def test_commands_to_give_next_name_the_config_that_this_one_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_company(tmp_path / "my crm")
    config.write_text(FILES["config.yaml"].replace("existing: enrol", "existing: preview"))
    at = ("--at", "2026-03-02T09:00")
    said = call("run", "--config", config, *at).output
    assert f"whom to contact: crmsync review --config '{config}'\n" in said
    listed = call("review", "--config", config, *at).output
    assert f"crmsync review enrol --config '{config}' renewal-at-risk RECORD…" in listed
    wrong = call("undo", "7", "--config", config, *at)
    assert f"“crmsync runs --config '{config}'” lists them" in wrong.stderr

    # Where the next command finds it without being told, nothing is added.
    monkeypatch.setenv("CRMSYNC_CONFIG", str(config))
    assert "whom to contact: crmsync review\n" in call("run", *at).output
    monkeypatch.delenv("CRMSYNC_CONFIG")
    monkeypatch.chdir(config.parent)
    assert "crmsync review enrol renewal-at-risk RECORD…" in call("review", *at).output


def test_what_is_to_come_is_not_handed_out_unless_a_person_insists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRMSYNC_AHEAD_OF_TIME")
    config = make_company(tmp_path)
    at = ("--config", config, "--at", "2140-03-02T09:00")
    refused = call("run", *at)
    assert refused.exit_code == 2
    assert f"“crmsync plan --config {config} --at 2140-03-02T09:00” shows" in refused.stderr
    assert not (tmp_path / "state" / "ledger.sqlite").exists()
    assert call("plan", *at).exit_code == 0
    assert call("run", *at, "--ahead-of-time").exit_code == 0
    assert call("runs", "--config", config, "--all").exit_code == 0


@pytest.mark.parametrize(
    "said",
    [
        ("mute", "A1", "--reason", "in a dispute"),
        ("suppress", "ann@acme.example"),
        ("suppress", "ann@acme.example", "--lift"),
        ("review", "enrol", "renewal-at-risk", "--all"),
        ("retry", "--all"),
        ("undo", "1", "--yes"),
    ],
)
def test_what_a_person_says_counts_from_now_on(
    said: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRMSYNC_AHEAD_OF_TIME")
    config = make_company(tmp_path)
    refused = call(*said, "--config", config, "--at", "2140-03-02T09:00")
    assert refused.exit_code == 2
    assert "2140-03-02 09:00 CET is still to come, and what a person says is" in refused.stderr
    assert not (tmp_path / "state" / "ledger.sqlite").exists()
