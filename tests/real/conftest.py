from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crmsync.app.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock

_HERE = Path(__file__).parent


@pytest.fixture
def real_workspace(tmp_path: Path, shared_data: Path) -> Callable[[str, str, Clock], Workspace]:
    """A workspace over one of the shared folders, read as if it had been exported now."""

    def open_over(name: str, data: str, clock: Clock) -> Workspace:
        export = tmp_path / "export"
        if not export.exists():
            # Tasks are written into the folder; and an export is known as of when it was written.
            export.mkdir()
            for file in sorted((shared_data / data).glob("*.csv")):
                shutil.copyfile(file, export / file.name)
        shutil.copytree(_HERE / name, tmp_path / "work", dirs_exist_ok=True)
        config = tmp_path / "work" / "config.yaml"
        text = (_HERE / name / "config.yaml").read_text(encoding="utf-8")
        config.write_text(text.replace("FOLDER", str(export)), encoding="utf-8")
        return open_workspace(config, clock)

    return open_over
