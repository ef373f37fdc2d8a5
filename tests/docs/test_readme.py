"""Runs README.md from top to bottom, as a reader would, in one empty folder.

* A ``yaml`` or ``csv`` block whose first line is a comment with a path is written to that file.
* ``console`` blocks are run as `support.console` says.
* Commands of make are covered by CI itself, and not run here.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support.console import BLOCK, commands, pattern, run_command

_ROOT = Path(__file__).parents[2]
_FILE = re.compile(r"^# (\S+\.(?:yaml|csv|txt|html))$")


def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    ran = 0
    for language, block in BLOCK.findall((_ROOT / "README.md").read_text(encoding="utf-8")):
        first, _, rest = block.partition("\n")
        named = _FILE.match(first)
        if named is not None:
            path = tmp_path / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rest if path.suffix == ".csv" else block, encoding="utf-8")
        elif language == "console":
            for command in commands(block):
                if shlex.split(command.line)[0] not in {"make", "git", "cd"}:
                    run_command(command, tmp_path)
                    ran += 1
    assert ran >= 5, "the README leads from nothing to what would be sent and why"


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        ("a … c", "a b c", True),
        ("a … c", "a b d", False),
        ("a\n…\nz", "a\nb\nc\nz", True),
        ("a\nz", "a\nb\nz", False),
    ],
)
def test_the_ellipsis_stands_for_no_more_than_it_says(
    expected: str, printed: str, *, fits: bool
) -> None:
    assert bool(pattern(expected).fullmatch(printed + "\n")) is fits
