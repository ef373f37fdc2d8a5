"""How far a stream was read: the cursor's text, and what stands in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from crmsync_files.folder import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import StreamRequest

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class FileProgress:
    """How far one file was read.

    Attributes:
        rows: the number of the last record that was passed on, or left out for its age.
        done: the file was read to its end.
        problems: it has rows that could not be read.
        mark: the highest update time, in microseconds since 1970 UTC, of the last reading that
            reached the end of a file of this name; older records need not be passed on again.
        highest: the highest update time of the present reading.
    """

    identity: Identity
    rows: int = 0
    done: bool = False
    problems: bool = False
    mark: int | None = None
    highest: int | None = None

    def to_list(self) -> list[int | bool | None]:
        """As it stands in a cursor: short, because there can be a thousand files."""
        where = self.identity
        return [where.size, where.mtime_ns, where.inode, self.rows, self.done, self.problems,
                self.mark, self.highest]  # fmt: skip

    @classmethod
    def from_list(  # noqa: PLR0917  the values of `to_list`, in order
        cls,
        size: int,
        mtime_ns: int,
        inode: int,
        rows: int,
        done: bool,
        problems: bool,
        mark: int | None,
        highest: int | None,
    ) -> FileProgress:
        """What `to_list` has made a list."""
        return cls(
            identity=Identity(size=size, mtime_ns=mtime_ns, inode=inode),
            rows=rows,
            done=done,
            problems=problems,
            mark=mark,
            highest=highest,
        )

    def finished(self) -> FileProgress:
        """This progress at the end of the file.

        While some rows cannot be read the mark stays: when the file is mended, they must not be
        taken for old ones.
        """
        mark = self.mark if self.problems else higher(self.mark, self.highest)
        return replace(self, done=True, mark=mark, highest=None)


def higher(one: int | None, other: int | None) -> int | None:
    """The higher of two, where None is lower than anything."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a stream was read.

    Attributes:
        shape: a digest of the request; what was read for another request counts for nothing.
        snapshot: the listing that these files belong to, for a complete stream.
    """

    shape: str
    snapshot: str | None = None
    files: Mapping[str, FileProgress] = field(default_factory=dict)

    def with_file(self, name: str, file: FileProgress) -> Progress:
        """This progress with a file's replaced."""
        return replace(self, files={**self.files, name: file})

    def cursor(self) -> Cursor:
        """The text for the engine to keep."""
        return json.dumps(
            {
                "version": _VERSION,
                "shape": self.shape,
                "snapshot": self.snapshot,
                "files": {name: file.to_list() for name, file in self.files.items()},
            },
            separators=(",", ":"),
        )


def shape_of(request: StreamRequest) -> str:
    """A digest of what a request asks for."""
    asked = [request.columns, request.key, request.options.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(asked, default=list).encode()).hexdigest()[:16]


def progress_of(since: Cursor | None, request: StreamRequest) -> Progress:
    """What a cursor says; nothing was read where it is for another request, or unreadable.

    To begin anew is always safe: what is read twice changes nothing.
    """
    shape = shape_of(request)
    try:
        data = json.loads(since or "{}")
        if data.get("version") != _VERSION or data.get("shape") != shape:
            return Progress(shape=shape)
        files = {name: FileProgress.from_list(*file) for name, file in data["files"].items()}
        return Progress(shape=shape, snapshot=data["snapshot"], files=files)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Progress(shape=shape)
