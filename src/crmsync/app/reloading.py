"""An installation whose files are held still: what is edited meanwhile does not reach it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from crmsync.app.check import check_texts
from crmsync.app.workspace import open_workspace
from crmsync.config.load import load_config
from crmsync.errors import CrmsyncError, InvalidInputError
from crmsync.rules.certain import certainties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock

_OF_EDITORS = (".", "_", "#")
_SUFFIXES = frozenset({".yaml", ".yml", ".txt", ".html"})


@dataclass(frozen=True, kw_only=True)
class InForce:
    """A workspace without a mistake, and the folder that keeps its templates as they were."""

    workspace: Workspace
    kept: TemporaryDirectory[str]


def fingerprint(config: Path, workspace: Workspace | None = None) -> str:
    """Of the contents of all files that say what crmsync does; another one when one changes.

    Args:
        workspace: tells in which folders they lie, where the config file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted({config, *_files(config, workspace)}):
        digest.update(f"\0{path}\0".encode())
        try:
            digest.update(path.read_bytes())
        except OSError:
            digest.update(b"cannot be read")
    return digest.hexdigest()


def _files(config: Path, workspace: Workspace | None) -> Iterator[Path]:
    try:
        installation = load_config(config)
    except CrmsyncError:
        if workspace is None:
            return
        installation = workspace.installation
    settings = installation.settings
    for name in (settings.rules, settings.segments, settings.templates):
        for path in installation.path(name).rglob("*"):
            if path.suffix in _SUFFIXES and not path.name.startswith(_OF_EDITORS):
                yield path


def put_in_force(config: Path, clock: Clock) -> InForce:
    """Read all files anew; connections are not opened.

    Raises:
        UsageError: there is no config file.
        InvalidInputError: something holds mistakes; all of them are named.
    """
    workspace = open_workspace(config, clock)
    kept = TemporaryDirectory(prefix="crmsync-")
    try:
        templates = workspace.installation.path(workspace.installation.settings.templates)
        copy = Path(kept.name) / "templates"
        if templates.is_dir():
            shutil.copytree(templates, copy)
        workspace = replace(workspace, templates_folder=copy)
        problems = _problems(workspace)
        if problems:
            raise InvalidInputError(list(dict.fromkeys(problems)))
    except BaseException:
        kept.cleanup()
        raise
    return InForce(workspace=workspace, kept=kept)


def _problems(workspace: Workspace) -> list[str]:
    problems: list[str] = []
    for name in workspace.installation.settings.connections:
        try:
            workspace.context(name)
        except InvalidInputError as error:
            problems += error.problems
    try:
        rules = workspace.rules
    except InvalidInputError as error:
        return [*problems, *error.problems]
    problems += check_texts(workspace, rules)
    return problems + [
        f"{found.place}: {found.sentence}" for rule in rules.rules for found in certainties(rule)
    ]
