"""What the config can say of a folder of exports and of a stream in it."""

from __future__ import annotations

import codecs
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from crmsync.config.base import Settings


class FileFormat(StrEnum):
    """How records stand in a file."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


SUFFIXES = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
    ".parquet": FileFormat.PARQUET,
}


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"“{path}” is not the name of something inside the connection's folder")
    if any("**" in part and part != "**" for part in pure.parts):
        raise ValueError(f"in “{path}”, “**” must stand alone between slashes")
    return path


def _folder_name(name: str) -> str:
    if len(PurePosixPath(_inside(name)).parts) != 1:
        raise ValueError(f"“{name}” is not the name of a folder directly in the connection's")
    return name


def _encoding(name: str) -> str:
    try:
        # Refuses codecs that turn bytes into bytes, such as base64, or are for names of hosts.
        "a".encode(name, "surrogateescape")
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError(
            f"“{name}” is not an encoding; write for example utf-8, utf-16, cp1252 or latin-1"
        ) from None


def _delimiter(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in '"\r\n\0':
        raise ValueError(f"a delimiter is one ASCII character, for example “;”; this is “{text}”")
    return text


class FilesOptions(Settings):
    """The keys of a connection.

    ``path`` is the folder; ``outbox`` the name of the Maildir in it that outgoing mail goes to.
    """

    path: str = Field(min_length=1)
    outbox: Annotated[str, AfterValidator(_folder_name)] = "outbox"


class FilesStreamOptions(Settings):
    """The keys of a stream.

    ``file`` is a name or a pattern such as ``activities-*.csv``; ``format`` is told by the suffix
    where it is not given; ``encoding`` and ``delimiter`` matter for CSV and JSON Lines.
    ``complete`` says that the files list all records, so that absence is deletion.
    ``updated_at`` names the column that tells when a record last changed.
    """

    file: Annotated[str, AfterValidator(_inside)]
    format: FileFormat | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    complete: bool = False
    updated_at: str | None = None
    updated_at_format: str | None = None

    @model_validator(mode="after")
    def _format_of_something(self) -> FilesStreamOptions:
        if self.updated_at_format is not None and self.updated_at is None:
            raise ValueError("updated_at_format is that of the column named by updated_at")
        return self

    def format_of(self, name: str) -> FileFormat | None:
        """The format of the file of that name, or None where nothing tells."""
        return self.format or SUFFIXES.get(PurePosixPath(name).suffix.lower())

    def delimiter_of(self, name: str) -> str:
        """What stands between two values of a CSV file of that name."""
        return self.delimiter or ("\t" if name.lower().endswith(".tsv") else ",")
