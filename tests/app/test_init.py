"""A config for a connector is made of what the connector itself gives as an example."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from crmsync.plugins.manager import Plugins
from support.commands import call

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLES = {name: spec for name, spec in Plugins().connectors.items() if spec.example}


def _checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    for name in re.findall(r": env:(\w+)", text):
        monkeypatch.setenv(name, "given")
    told = call("check", "--offline", "--config", folder / "config.yaml")
    return told.exit_code, told.stdout


def test_examples_are_without_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"salesforce", "hubspot", "mailbox"} <= _EXAMPLES.keys()
    wanted = [word for name in sorted(_EXAMPLES) for word in ("--connector", name)]
    made = call("init", tmp_path / "new", *wanted)
    assert made.exit_code == 0, made.stderr
    code, told = _checked(tmp_path / "new", monkeypatch)
    assert code == 0, told
    assert f"No problems in {len(_EXAMPLES)} connections" in told


@pytest.mark.parametrize("connectors", [[], ["salesforce", "mailbox"]], ids=["files", "others"])
def test_the_tests_of_the_shipped_rules_pass_with_the_new_config(
    connectors: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [word for name in connectors for word in ("--connector", name)]
    assert call("init", tmp_path / "new", *wanted).exit_code == 0
    _checked(tmp_path / "new", monkeypatch)
    config = tmp_path / "new" / "config.yaml"
    assert "\nmail: " in config.read_text(encoding="utf-8")
    told = call("test", "--config", config)
    assert told.exit_code == 0, told.stdout


@pytest.mark.parametrize(
    ("also", "line", "held"),
    [
        ([], "\n#mail: the name of a connection that sends\n", True),
        (["--connector", "mailbox"], "\nmail: mailbox\n", False),
    ],
    ids=["alone", "with a mailbox"],
)
def test_mail_goes_by_the_connection_that_sends(
    also: list[str], line: str, *, held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = call("init", tmp_path / "new", "--connector", "hubspot", *also)
    assert made.exit_code == 0, made.stderr
    code, told = _checked(tmp_path / "new", monkeypatch)
    assert code == 0, told
    assert ("the connection “hubspot” sends no mail" in " ".join(told.split())) == held
    assert line in (tmp_path / "new" / "config.yaml").read_text(encoding="utf-8")


def test_who_brings_no_example_or_is_not_there_is_told(tmp_path: Path) -> None:
    for name, words in (("files", "brings no example"), ("sap", "no connector named “sap”")):
        told = call("init", tmp_path / "new", "--connector", name)
        assert told.exit_code != 0
        assert words in told.stderr
        assert not (tmp_path / "new").exists()
