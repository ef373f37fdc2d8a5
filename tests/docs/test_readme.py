"""Runs README.md from top to bottom, as a reader would, in one empty folder.

* A ``yaml`` or ``csv`` block whose first line is a comment with a path is written to that file.
* In a ``console`` block, a line that begins with ``$`` is run, and what follows it must be what
  it prints; ``…`` stands for anything within a line, and a line of only ``…`` for any lines.
* ``# exit 1`` at the end of a command says its exit code.
* Commands of make are covered by CI itself, and not run here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"^# (\S+\.(?:yaml|csv|txt|html))$")
_EXIT = re.compile(r"\s+# exit (\d)$")


@dataclass(frozen=True)
class _Command:
    line: str
    code: int
    expected: str


def _commands(block: str) -> list[_Command]:
    commands: list[_Command] = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        code = _EXIT.search(line)
        commands.append(
            _Command(
                line=_EXIT.sub("", line),
                code=int(code[1]) if code else 0,
                expected=expected.strip(),
            )
        )
    return commands


def _pattern(expected: str) -> re.Pattern[str]:
    lines = []
    for line in expected.splitlines():
        if line.strip() == "…":
            lines.append(r"(?:.*\n)*?")
        else:
            parts = [re.escape(part) for part in line.rstrip().split("…")]
            lines.append(".*?".join(parts) + r"[ ]*\n")
    return re.compile("".join(lines))


def _run(command: _Command, folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(  # noqa: S602  the README is ours
        command.line,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).strip().splitlines())
    assert done.returncode == command.code, f"$ {command.line}\n{printed}"
    if command.expected:
        assert _pattern(command.expected).fullmatch(printed + "\n"), (
            f"$ {command.line}\nprints\n{printed}\n\nbut README.md shows\n{command.expected}"
        )


def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    ran = 0
    for language, block in _BLOCK.findall((_ROOT / "README.md").read_text(encoding="utf-8")):
        first, _, rest = block.partition("\n")
        named = _FILE.match(first)
        if named is not None:
            path = tmp_path / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rest if path.suffix == ".csv" else block, encoding="utf-8")
        elif language == "console":
            for command in _commands(block):
                if shlex.split(command.line)[0] not in {"make", "git", "cd"}:
                    _run(command, tmp_path)
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
    assert bool(_pattern(expected).fullmatch(printed + "\n")) is fits
