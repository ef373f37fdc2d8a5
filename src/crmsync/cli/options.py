"""The options that several commands share."""

from __future__ import annotations

import os
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("config.yaml")
_ENVIRONMENT = "CRMSYNC_CONFIG"
AHEAD_OF_TIME = "CRMSYNC_AHEAD_OF_TIME"

# What `--config` said in this call; None where the folder or the environment says it.
config_given: ContextVar[Path | None] = ContextVar("config_given", default=None)


def _note(config: Path) -> Path:
    known = (str(DEFAULT_CONFIG), os.environ.get(_ENVIRONMENT))
    config_given.set(None if str(config) in known else config)
    return config


ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        envvar=_ENVIRONMENT,
        callback=_note,
        help="The config file.",
        show_default=True,
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Take this as the present, for example 2026-03-01 or 2026-03-01T09:30+01:00.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
SyncOption = Annotated[
    bool,
    typer.Option(
        "--sync/--no-sync",
        help="Read the connections first, or take what was last read.",
    ),
]

RulesOption = Annotated[
    list[str] | None, typer.Option("--rule", help="Only this rule; may be repeated.")
]
FullOption = Annotated[
    bool, typer.Option("--full", help="Show all texts, and all who are held back.")
]
PersonOption = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="NAME", help="Who says so; the name of your login where it is left out."
    ),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept, and shown.")
]


class SchemaKind(StrEnum):
    """The kinds of file that have a schema."""

    RULE = "rule"
    SEGMENT = "segment"
    TEST = "test"
    CONFIG = "config"


SIMULATOR_FOLDER = Path("crmsync-simulator")
