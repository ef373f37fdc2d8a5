"""The page about backtests: its commands run on the sample company."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support.commands import AT, call

_PAGE = Path(__file__).parents[2] / "docs" / "backtest.md"
_COMMANDS = re.findall(
    r"^```console\ncrmsync (.*?)\n```", _PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert call("demo", "--prepare", "--dir", folder, "--at", AT.isoformat()).exit_code == 0
    call("sync", "--config", folder / "config.yaml", "--at", AT.isoformat())
    return folder


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_commands_of_the_page(
    command: str, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo)
    # The last month, to save time.
    result = call(*shlex.split(command), "--every", "7 days", "--from", "2026-01-01")
    assert result.exit_code == 0, result.output
    assert re.search(r"^\d+ firings", result.stdout, re.MULTILINE)
    if "--html" in command:
        assert "<svg" in (demo / "backtest.html").read_text(encoding="utf-8")


def test_there_are_commands() -> None:
    assert len(_COMMANDS) == 2
