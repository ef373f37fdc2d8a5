"""Calls commands as from a shell, in this process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner, Result

from crmsync.cli.commands import app

if TYPE_CHECKING:
    from pathlib import Path

# When the sample company of the tests is looked at.
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def call(*arguments: str | Path) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def call_json(*arguments: str | Path) -> dict[str, Any]:
    """Run a command with ``--json``; answers with its report."""
    result = call(*arguments, "--json")
    assert result.stderr == "", result.stderr
    report = json.loads(result.stdout)
    assert isinstance(report, dict)
    return report
