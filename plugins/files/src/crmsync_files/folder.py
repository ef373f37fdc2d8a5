"""The connection's folder: which files are a stream's, and whether they are still the same."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crmsync.config.yaml import nearest
from crmsync.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync_files.options import FilesOptions, FilesStreamOptions

TASKS = "tasks.csv"
NOTES = "notes.csv"
UPDATES = "updates.csv"
SENT = "sent.csv"
LOGGED = "logged.csv"
WRITTEN = (TASKS, NOTES, UPDATES, SENT, LOGGED)  # what we write ourselves; no pattern matches these

_PATTERN_CHARACTERS = "*?["


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What tells, without opening it, whether a file is still the one that was read."""

    size: int
    mtime_ns: int
    inode: int


def identity_of(status: os.stat_result) -> Identity:
    """The identity by what the file system says of a file."""
    return Identity(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


@dataclass(frozen=True, kw_only=True)
class ExportFile:
    """A file of a stream.

    Attributes:
        name: relative to the connection's folder, with slashes.
        shown: how a sentence names it: the folder as the config has it, and the name.
    """

    name: str
    shown: str
    path: Path
    identity: Identity


class Folder:
    """The connection's folder. Nothing here opens a file."""

    def __init__(
        self, options: FilesOptions, relative_to: Path, taken: frozenset[str] = frozenset()
    ) -> None:
        """``taken`` are the files that streams name; a hint leaves them out."""
        self.path = relative_to / Path(options.path).expanduser()
        self.outbox = self.path / options.outbox
        self._as_configured = options.path
        self._taken = taken

    def shown(self, name: str) -> str:
        """How a sentence names a file of this folder."""
        return (Path(self._as_configured) / name).as_posix()

    def exists(self) -> bool:
        """Whether it is there."""
        return os.path.isdir(self.path)  # noqa: PTH112  Path's own raises where it may not look

    def missing(self) -> str:
        """The sentence that it is not."""
        return f"there is no folder {self._as_configured}; it is the connection's “path”"

    def files(self, options: FilesStreamOptions) -> tuple[ExportFile, ...]:
        """The files of a stream, by name; none yet where it is one that we write ourselves.

        Raises:
            RejectedError: there is none.
        """
        if not self.exists():
            raise RejectedError(self.missing(), origin=options.file)
        exact = self._file(options.file)
        if exact is not None:
            return (exact,)
        found = tuple(self._matching(options.file))
        if not found and options.file not in WRITTEN:
            hint = nearest(options.file, self._names())
            raise RejectedError(
                f"there is no file {self.shown(options.file)}{hint}", origin=options.file
            )
        return found

    def _matching(self, pattern: str) -> Iterator[ExportFile]:
        if not any(character in pattern for character in _PATTERN_CHARACTERS):
            return
        names = {path.relative_to(self.path).as_posix() for path in self.path.glob(pattern)}
        for name in sorted(names):
            if name in WRITTEN or any(part.startswith(".") for part in name.split("/")):
                continue
            if self.outbox in (self.path / name).parents:
                continue
            file = self._file(name)
            if file is not None:
                yield file

    def _file(self, name: str) -> ExportFile | None:
        path = self.path / name
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise RejectedError(
                f"{self.shown(name)} cannot be read: {error.strerror}", origin=name
            ) from error
        if not stat.S_ISREG(status.st_mode):
            return None
        return ExportFile(
            name=name, shown=self.shown(name), path=path, identity=identity_of(status)
        )

    def _names(self) -> list[str]:
        try:
            names = [path.name for path in self.path.iterdir()]
        except OSError as error:
            raise RejectedError(
                f"the folder {self._as_configured} cannot be read: {error.strerror}",
                origin=self._as_configured,
            ) from error
        ours = {*WRITTEN, self.outbox.name, *self._taken}
        return [name for name in names if not name.startswith(".") and name not in ours]
