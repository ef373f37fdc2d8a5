"""The wheels hold all that the source tree does: rules, templates, migrations, the connector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
_OFFLINE = ["--no-index", "--no-deps"]


def _run(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_runs_from_wheels_alone(tmp_path: Path) -> None:
    wheels, installed = tmp_path / "wheels", tmp_path / "installed"
    for project in (_ROOT, _ROOT / "plugins" / "files"):
        build = ["wheel", *_OFFLINE, "--no-build-isolation", "-w", str(wheels), str(project)]
        _run([*_PIP, *build], tmp_path)
    found = sorted(str(wheel) for wheel in wheels.iterdir())
    assert len(found) == 2
    _run([*_PIP, "install", *_OFFLINE, "--target", str(installed), *found], tmp_path)
    where = "import crmsync, crmsync_files; print(crmsync.__file__, crmsync_files.__file__)"
    paths = _run([sys.executable, "-c", where], tmp_path, PYTHONPATH=str(installed)).split()
    assert all(Path(path).is_relative_to(installed) for path in paths)
    demo = ["-m", "crmsync", "demo", "--prepare", "--dir", "d", "--at", "2026-03-02T09:00"]
    _run([sys.executable, *demo], tmp_path, PYTHONPATH=str(installed))
    check = ["-m", "crmsync", "check", "--config", "d/config.yaml"]
    printed = _run([sys.executable, *check], tmp_path, PYTHONPATH=str(installed))
    assert "No problems in 1 connection, 11 rules and" in printed
    # The ledger's migrations are files of the package too.
    status = ["-m", "crmsync", "plan", "--no-sync", "--config", "d/config.yaml"]
    assert "renewal-at-risk" in _run([sys.executable, *status], tmp_path, PYTHONPATH=str(installed))
