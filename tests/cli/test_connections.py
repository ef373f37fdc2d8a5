from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from support.commands import call, call_json
from support.company import make_company

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = """\
from crmsync.config.base import Settings
from crmsync.errors import AuthError
from crmsync.plugins.contract import ConnectorSpec, Finding, SimulatorSpec
from crmsync.plugins.hookspecs import hookimpl


class Options(Settings):
    pass


class Desk:
    fields = set()

    def __init__(self, context):
        self.context = context

    def check(self):
        return [] if self.fields else [Finding(sentence="the field for keys is missing")]

    def close(self):
        pass

    def setup(self, *, dry_run):
        missing = {"key"} - self.fields
        if not dry_run:
            self.fields |= missing
        return [f"the field {name}" for name in missing]


class Simulated:
    def __init__(self, request):
        self.request = request

    @property
    def config(self):
        accounts = len(self.request.sample.get("accounts", []))
        return f"desk: {{connector: desk, port: {self.request.port}, accounts: {accounts}}}"

    def close(self):
        (self.request.folder / "closed").touch()


@hookimpl
def crmsync_connectors():
    return [
        ConnectorSpec(
            name="desk", description="A desk.", options=Options, stream_options=Options, open=Desk
        )
    ]


@hookimpl
def crmsync_simulators():
    return [SimulatorSpec(name="desk", description="A desk on this machine.", start=Simulated)]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    name = f"desk_plugin_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    found = (EntryPoint(name="desk", value=name, group="crmsync"),)
    monkeypatch.setattr("crmsync.plugins.manager.entry_points", lambda **_: found)
    path = make_company(tmp_path / "company")
    head = path.read_text().partition("connections:")[0]
    path.write_text(f"{head}connections:\n  desk: {{connector: desk}}\n")
    return path


def test_what_is_missing_at_the_remote_is_found_and_made(config: Path) -> None:
    missing = call("connections", "check", "desk", "--config", config)
    assert missing.exit_code == 1
    assert "config.yaml:4:3: the field for keys is missing" in missing.stdout
    dry = call("connections", "setup", "desk", "--dry-run", "--config", config)
    assert dry.stdout.splitlines() == [
        "would be made: the field key",
        "Nothing was made; without --dry-run it would be.",
    ]
    assert call("connections", "check", "desk", "--config", config).exit_code == 1
    made = call_json("connections", "setup", "desk", "--config", config)
    assert made == {"connection": "desk", "dry_run": False, "made": ["the field key"]}
    again = call("connections", "setup", "desk", "--config", config)
    assert again.stdout == "All that the connection needs is there.\n"
    found = call("connections", "check", "desk", "--config", config)
    assert (found.exit_code, found.stdout) == (0, "No problems in 1 connection and 0 streams.\n")


def test_a_connection_that_is_not_there(config: Path) -> None:
    result = call("connections", "check", "desc", "--config", config)
    assert result.exit_code == 2
    assert "the config has no connection “desc”" in result.stderr


def test_without_a_name_all_connections_are_checked(config: Path) -> None:
    config.write_text(f"{config.read_text()}  other: {{connector: desk}}\n")
    found = call("connections", "check", "--config", config)
    assert found.exit_code == 1
    assert "config.yaml:4:3: the field for keys is missing" in found.stdout
    assert "config.yaml:5:3: the field for keys is missing" in found.stdout
    assert "in 2 connections and 0 streams" in found.stdout


def test_what_is_made_is_said_to_be_made(config: Path) -> None:
    made = call("connections", "setup", "desk", "--config", config)
    assert made.stdout == "made: the field key\n"


def test_a_connector_that_makes_nothing_says_so(tmp_path: Path) -> None:
    result = call("connections", "setup", "crm", "--config", make_company(tmp_path))
    assert result.exit_code == 2
    assert "the connector “files” has nothing to set up" in result.stderr


def test_a_simulator_that_is_not_there(config: Path) -> None:
    result = call("simulator", "dask", "--dir", config.parent / "simulated")
    assert result.exit_code == 2
    assert "there is no simulator “dask”; did you mean “desk”?" in result.stderr


@pytest.mark.parametrize(("option", "accounts"), [("--sample", 506), ("--empty", 0)])
def test_a_simulator_runs_until_it_is_ended(tmp_path: Path, option: str, accounts: int) -> None:
    (tmp_path / "desk_plugin.py").write_text(PLUGIN)
    information = tmp_path / "desk_plugin-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: desk-plugin\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[crmsync]\ndesk = desk_plugin\n")
    script = textwrap.dedent(f"""\
        from crmsync.cli import main
        import sys
        sys.argv = ["crmsync", "simulator", "desk", "{option}", "--port", "7", "--json"]
        sys.argv += ["--dir", "simulated"]
        main()
    """)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        report = json.loads("".join(process.stdout.readline() for _ in range(3)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert report["config"] == f"desk: {{connector: desk, port: 7, accounts: {accounts}}}"
    assert (tmp_path / "simulated" / "closed").exists()
