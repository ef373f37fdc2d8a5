"""Plugins that are installed for a test, each a distribution in a folder on the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def lay_out_plugin(site: Path, package: str, modules: Mapping[str, str]) -> Path:
    """Version 1.0 of a distribution whose plugin is the module ``facts`` of its package.

    Returns:
        the file that tells its version.
    """
    folder, told = site / package, site / f"{package}-1.0.dist-info"
    folder.mkdir(parents=True)
    told.mkdir()
    for name, text in {"__init__": "", **modules}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    entry = f"[crmsync]\n{package} = {package}.facts\n"
    (told / "entry_points.txt").write_text(entry, encoding="utf-8")
    metadata = told / "METADATA"
    metadata.write_text(METADATA.format(name=package, version="1.0"), encoding="utf-8")
    return metadata
