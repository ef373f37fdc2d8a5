"""How long ``crmsync --help`` takes, against importing the libraries that it must not wait for.

Both are whole processes, run in turn, so that their ratio holds when the machine's speed drifts.
Exit code 1 where the median ratio misses its target.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

_ROUNDS = 9
_TARGET = 0.4
_HELP = [sys.executable, "-m", "crmsync", "--help"]
_LIBRARIES = [sys.executable, "-c", "import ibis, duckdb, sqlalchemy, jinja2"]


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> int:
    """Measure, print, and say by the exit code whether the target is met."""
    _seconds(_HELP), _seconds(_LIBRARIES)  # warm the file cache and the byte code
    pairs = [(_seconds(_HELP), _seconds(_LIBRARIES)) for _ in range(_ROUNDS)]
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    median = statistics.median(ratios)
    print(
        f"crmsync --help / import ibis, duckdb, sqlalchemy, jinja2: {median:.2f} "
        f"({ratios[0]:.2f}..{ratios[-1]:.2f}, target at most {_TARGET}; "
        f"{_ROUNDS} pairs, help median {statistics.median(p[0] for p in pairs):.3f} s)"
    )
    return 0 if median <= _TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
