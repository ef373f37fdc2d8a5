"""Lays out new folders: ``init`` for one's own CRM, ``demo`` for the sample company."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.app.shipped import EXAMPLE_CONFIG, copy_shipped, require_unused, shipped

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

CONFIG = "config.yaml"
_SAMPLE_MADE = ".sample"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A folder that is ready to be used.

    Attributes:
        made: False where an earlier demo was found and left as it was.
    """

    folder: Path
    config: Path
    made: bool = True


def init(folder: Path) -> Layout:
    """A config to fill in, with the shipped rules, segments and templates.

    Raises:
        UsageError: the folder is in use.
    """
    require_unused(folder)
    text = shipped(EXAMPLE_CONFIG).read_text(encoding="utf-8")
    (folder / CONFIG).write_text(text, encoding="utf-8", newline="\n")
    copy_shipped(folder)
    return Layout(folder=folder, config=folder / CONFIG)


def prepare_demo(folder: Path, now: datetime) -> Layout:
    """The sample company as of ``now``, its config, and the shipped content.

    An earlier demo in that folder is left as it is, so that a second run shows what a second
    run does.

    Raises:
        UsageError: the folder holds something else.
    """
    from crmsync.app.sample import sample_config, write_sample

    if (folder / _SAMPLE_MADE).is_file():
        return Layout(folder=folder, config=folder / CONFIG, made=False)
    require_unused(folder)
    (folder / CONFIG).write_text(sample_config(now), encoding="utf-8", newline="\n")
    copy_shipped(folder)
    write_sample(folder, now)
    (folder / _SAMPLE_MADE).write_text(now.isoformat() + "\n", encoding="utf-8")
    return Layout(folder=folder, config=folder / CONFIG)
