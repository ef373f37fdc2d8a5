"""Runs the ``console`` blocks of a page, as a reader would.

* A line that begins with ``$`` is run, and what follows it must be what it prints; ``…`` stands
  for anything within a line, and a line of only ``…`` for any lines.
* ``# exit 1`` at the end of a command says its exit code.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXIT = re.compile(r"\s+# exit (\d)$")


@dataclass(frozen=True)
class Command:
    line: str
    code: int
    expected: str


def commands(block: str) -> list[Command]:
    commands: list[Command] = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        code = _EXIT.search(line)
        commands.append(
            Command(
                line=_EXIT.sub("", line),
                code=int(code[1]) if code else 0,
                expected=expected.strip(),
            )
        )
    return commands


def pattern(expected: str) -> re.Pattern[str]:
    lines = []
    for line in expected.splitlines():
        if line.strip() == "…":
            lines.append(r"(?:.*\n)*?")
        else:
            parts = [re.escape(part) for part in line.rstrip().split("…")]
            lines.append(".*?".join(parts) + r"[ ]*\n")
    return re.compile("".join(lines))


def run_command(command: Command, folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(  # noqa: S602  the pages are ours
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
        assert pattern(command.expected).fullmatch(printed + "\n"), (
            f"$ {command.line}\nprints\n{printed}\n\nbut the page shows\n{command.expected}"
        )
