"""Compiled queries on disk, so that the next process need not compile them again.

To build and compile the queries of a dozen rules takes longer than they run over a small company.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# A rule that changes leaves texts behind that nobody asks for again.
_OLDEST = timedelta(days=30)


class QueryTexts:
    """Compiled queries by their keys: in memory, and in a file each where there is a folder.

    A file that is damaged, or cannot be read or written, costs time and nothing else.

    Args:
        folder: made where it is missing; None where other processes are not to know.
        basis: all that a text depends on beside its key. Those of another basis are deleted.
    """

    def __init__(self, folder: Path | None = None, basis: str = "") -> None:
        self._known: dict[str, str] = {}
        self._folder = None if folder is None else folder / _digest(basis)[:16]
        self._is_tidy = False

    def get(self, key: str) -> str | None:
        """The text; None where nobody has compiled it."""
        if key not in self._known and self._folder is not None:
            with suppress(OSError, ValueError):
                kept = (self._folder / _digest(key)).read_bytes().decode()
                digest, text = kept.split("\n", 1)
                # After a power failure a file may have its name and not all that was written.
                if digest == _digest(text):
                    self._known[key] = text
        return self._known.get(key)

    def keep(self, key: str, text: str) -> None:
        """Keep what was compiled."""
        self._known[key] = text
        if self._folder is None:
            return
        with suppress(OSError, ValueError):
            if not self._is_tidy:
                self._is_tidy = True
                _tidy(self._folder)
            file = self._folder / _digest(key)
            new = file.with_suffix(f".{os.getpid()}")
            new.write_bytes(f"{_digest(text)}\n{text}".encode())  # each line's end as it is
            new.replace(file)


def _tidy(folder: Path) -> None:
    """What was compiled on another basis, or long ago, goes."""
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.parent.iterdir():
        oldest = time.time() - _OLDEST.total_seconds() if other == folder else None
        for file in other.iterdir():
            if oldest is None or file.stat().st_mtime < oldest:
                file.unlink()
        if other != folder:
            other.rmdir()


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
