"""Lays out new folders: ``init`` for one's own CRM, ``demo`` for the sample company."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.app.shipped import EXAMPLE_CONFIG, copy_shipped, require_unused, shipped
from crmsync.errors import UsageError
from crmsync.model.actions import ActionKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from crmsync.plugins.contract import ConnectorSpec

CONFIG = "config.yaml"
# Where the example config speaks of its folder of exports: what stands behind the first is that
# connection, and the second names it.
_CONNECTIONS = "\nconnections:\n"
_MAIL = "\nmail: crm\n"
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


def init(folder: Path, connectors: Sequence[ConnectorSpec] = ()) -> Layout:
    """A config to fill in, with the shipped rules, segments and templates.

    Args:
        folder: new or empty.
        connectors: whose examples the config's connections are; without any it is a folder of
            exports, with every option explained.

    Raises:
        UsageError: the folder is in use, or a connector brings no example.
    """
    text = shipped(EXAMPLE_CONFIG).read_text(encoding="utf-8")
    if connectors:
        text = _for(connectors, text)
    require_unused(folder)
    (folder / CONFIG).write_text(text, encoding="utf-8", newline="\n")
    copy_shipped(folder)
    return Layout(folder=folder, config=folder / CONFIG)


def _for(connectors: Sequence[ConnectorSpec], text: str) -> str:
    """The example config with other connections than a folder of exports."""
    examples = []
    for spec in connectors:
        if spec.example is None:
            raise UsageError(
                f"the connector “{spec.name}” brings no example; its README tells what stands in "
                "a connection, and without --connector the config describes a folder of exports"
            )
        examples.append(spec.example.read_text(encoding="utf-8"))
    sends = [spec.name for spec in connectors if ActionKind.EMAIL in spec.actions]
    mail = f"\nmail: {sends[0]}\n" if sends else "\n#mail: the name of a connection that sends\n"
    head = text.partition(_CONNECTIONS)[0].replace(_MAIL, mail)
    return head + _CONNECTIONS + "\n".join(textwrap.indent(text, "  ") for text in examples)


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
