"""The rules, segments, templates and example config that come with crmsync."""

from __future__ import annotations

import shutil
from pathlib import Path

from crmsync.errors import StoreError, UsageError

FOLDERS = ("rules", "segments", "templates")
EXAMPLE_CONFIG = "config.example.yaml"


def shipped(name: str) -> Path:
    """A folder or file that comes with crmsync: within the wheel, or in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / "shipped" / name, package.parents[1] / name):
        if place.exists():
            return place
    raise StoreError(f"this installation of crmsync lacks its own “{name}”; install it again")


def copy_shipped(folder: Path) -> None:
    """Copy the rules, segments and templates into a folder."""
    for name in FOLDERS:
        shutil.copytree(
            shipped(name),
            folder / name,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(".*"),
        )


def require_unused(folder: Path) -> None:
    """Make the folder where it is missing.

    Raises:
        UsageError: something that is not ours to overwrite lies there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; name a new folder, or empty this one first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}") from error
