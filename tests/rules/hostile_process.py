"""Loads every hostile file and prints the seconds of processor time that each took."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from crmsync.errors import InvalidInputError
from rules.rules_world import rules_from
from rules.test_load import SMALLEST
from support.hostile import HOSTILE


def _seconds(text: str) -> float:
    began = time.process_time()
    with TemporaryDirectory() as folder:
        try:
            rules_from(Path(folder), {"r": text})
        except InvalidInputError as error:
            if not all(problem.startswith("rules/r.yaml:") for problem in error.problems):
                raise AssertionError(error.problems) from error
    return time.process_time() - began


if __name__ == "__main__":
    most = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))
    _seconds(SMALLEST)  # what is imported on first use is not counted
    for name, text in HOSTILE.items():
        sys.stdout.write(json.dumps([name, _seconds(text)]) + "\n")
        sys.stdout.flush()
