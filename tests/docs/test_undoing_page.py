"""docs/undoing.md does what it says."""

from __future__ import annotations

from pathlib import Path

from support.company import make_company
from support.console import BLOCK, commands, run_command

_PAGE = Path(__file__).parents[2] / "docs" / "undoing.md"


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    make_company(tmp_path)
    ran = 0
    for language, block in BLOCK.findall(_PAGE.read_text(encoding="utf-8")):
        assert language == "console"
        for command in commands(block):
            run_command(command, tmp_path)
            ran += 1
    assert ran == 6
