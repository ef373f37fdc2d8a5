"""tasks.csv, notes.csv, updates.csv, sent.csv and logged.csv: tables of rows, each with its key."""

from __future__ import annotations

import csv
import io
import re
import shutil
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from crmsync.config.yaml import nearest
from crmsync.errors import AuthError, RejectedError
from crmsync_files.folder import LOGGED, NOTES, SENT, TASKS, UPDATES
from crmsync_files.storing import confirm, put_in_place, write_error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from crmsync_files.folder import Folder

KEY = "key"
COLUMNS = {
    TASKS: (
        KEY,
        "subject",
        "body",
        "due",
        "assignee",
        "about_table",
        "about_id",
        "also_about",
        "status",
        "created_at",
    ),
    NOTES: (KEY, "text", "about_table", "about_id", "also_about", "created_at"),
    UPDATES: (KEY, "stream", "table", "id", "field", "expected", "new", "at"),
    SENT: (KEY, "message_id", "recipient", "at"),
    LOGGED: (
        KEY,
        "message_id",
        "at",
        "sender",
        "recipient",
        "subject",
        "text",
        "html",
        "about_table",
        "about_id",
        "also_about",
    ),
}

_END = "\0end of file\0"
# RFC 4180's; with others the csv module leaves a lone CR unquoted.
_LINE_END = "\r\n"
_BOM = "\ufeff"

# A spreadsheet takes a cell that begins like this for a formula, and runs it.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NEUTRAL = r"^'('*[=+\-@\t\r])"
_NEUTRAL_COLUMNS = {
    TASKS: ("subject", "body"),
    NOTES: ("text",),
    SENT: ("recipient",),
    LOGGED: ("sender", "recipient", "subject", "text", "html"),
}


def neutral(text: str) -> str:
    """A customer's text as a cell that no spreadsheet takes for a formula.

    One apostrophe is put before it, also where it begins with apostrophes already, so that
    taking one away gives the text back.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def restored(name: str, records: pa.Table) -> pa.Table:
    """Records that were read, with the texts as they were before `neutral`."""
    for column in _NEUTRAL_COLUMNS.get(name, ()):
        at = records.schema.get_field_index(column)
        if at >= 0 and pa.types.is_string(records.schema.field(at).type):
            text = pc.replace_substring_regex(records.column(at), _NEUTRAL, r"\1")
            records = records.set_column(at, column, text)
    return records


def is_text(row: Mapping[str, str]) -> bool:
    """Whether a file can hold a row."""
    try:
        "".join(row.values()).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def no_text(key: str) -> RejectedError:
    """The error that no file can hold an action's row."""
    shown = key.encode("utf-8", "backslashreplace").decode("utf-8")
    return RejectedError(
        f"the action {shown} has half a character in its text (a lone surrogate), which no file "
        "can hold"
    )


class WrittenTable:
    """One of these files. Hold the folder's lock while using it."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._columns = COLUMNS[name]
        self._shown = folder.shown(name)
        self._name = name
        # Where a person made a link of it, the file behind the link is replaced.
        self._path = (folder.path / name).resolve()

    def keys(self) -> set[str]:
        """The keys that it has.

        Raises:
            AuthError: it was changed so that rows cannot be added to it.
        """
        _, keys = self._header_and_keys()
        return keys

    def append(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Add rows after those that are there, which stay as they are.

        Raises:
            ConnectorError: they were not added, or that is uncertain.
        """
        header, _ = self._header_and_keys()
        text = io.StringIO()
        writer = csv.DictWriter(text, header or self._columns, lineterminator=_LINE_END)
        if header is None:
            writer.writeheader()
        writer.writerows(rows)
        with put_in_place(self._temporary, self._path, self._shown) as target:
            if header is not None:
                shutil.copymode(self._path, self._temporary)
                with self._path.open("rb") as source:
                    shutil.copyfileobj(source, target, 2**20)
                    source.seek(-1, io.SEEK_END)
                    if source.read() != b"\n":
                        target.write(b"\r\n")
            target.write(text.getvalue().encode("utf-8"))

    def rows(self, keys: Collection[str]) -> dict[str, list[dict[str, str]]]:
        """The rows of these keys, with all cells, also those of columns that people have added.

        Raises:
            AuthError: the file was changed so that it is not such a table any more.
        """
        found: dict[str, list[dict[str, str]]] = {}
        header, there = self._header_and_keys()
        if header is not None and there & set(keys):
            at = header.index(KEY)
            for _, record in self._raw_records():
                if record[at : at + 1] and record[at] in keys and record != header:
                    row = dict(zip(header, record, strict=False))
                    found.setdefault(record[at], []).append(row)
        return found

    def change(self, keys: Collection[str], column: str, cell: str) -> None:
        """Change one cell of the rows of these keys; all other bytes stay as they are.

        Raises:
            ConnectorError: nothing was changed, or that is uncertain.
        """
        header, _ = self._header_and_keys()
        assert header is not None  # noqa: S101  whoever changes rows has seen them
        at, changed = header.index(KEY), header.index(column)
        with put_in_place(self._temporary, self._path, self._shown) as target:
            shutil.copymode(self._path, self._temporary)
            for raw, record in self._raw_records():
                text = raw
                if record[at : at + 1] and record[at] in keys and record != header:
                    cells = [*record, *[""] * (changed + 1 - len(record))]
                    cells[changed] = cell
                    line = io.StringIO()
                    csv.writer(line, lineterminator=_LINE_END).writerow(cells)
                    text = line.getvalue()
                target.write(text.encode("utf-8"))

    @property
    def _temporary(self) -> Path:
        return self._path.with_name(f".{self._name}.new")

    def _raw_records(self) -> Iterator[tuple[str, list[str]]]:
        """Each record as it stands in the file, and its cells; the first one bears its BOM."""
        lines: list[str] = []

        def seen(source: io.TextIOBase) -> Iterator[str]:
            for number, line in enumerate(source):
                lines.append(line)
                yield line.removeprefix(_BOM) if number == 0 else line

        with self._path.open(encoding="utf-8", newline="") as source:
            for record in csv.reader(seen(source)):
                yield "".join(lines), record
                lines.clear()

    def confirm(self) -> None:
        """Have the disk keep what another process may have written.

        Raises:
            UncertainError: it does not say so.
        """
        confirm(self._path.parent, self._shown)

    def _header_and_keys(self) -> tuple[list[str] | None, set[str]]:
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as source:
                csv.field_size_limit(2**31 - 1)  # one for the whole process, and too low for a note
                return self._scanned(source)
        except FileNotFoundError:
            return None, set()
        except (UnicodeDecodeError, csv.Error) as error:
            raise self._changed("it is no CSV file in UTF-8 any more") from error
        except OSError as error:
            raise write_error(error, self._shown) from error

    def _scanned(self, source: io.TextIOBase) -> tuple[list[str] | None, set[str]]:
        # A last row of our own, which is a row only where no quote is open.
        records = csv.reader(chain(source, [_END]))
        header = next(record for record in records if record)
        if header == [_END]:
            return None, set()
        for column in self._columns:
            if column not in header:
                raise self._changed(f"it has no column “{column}”{nearest(column, header)}")
        at = header.index(KEY)
        keys: set[str] = set()
        record: list[str] = []
        for record in records:
            keys.update(record[at : at + 1])
        if record != [_END]:
            raise self._changed("a quote in it is never closed")
        return header, keys - {_END}

    def _changed(self, what: str) -> AuthError:
        return AuthError(
            f"rows cannot be added to {self._shown}: {what}; mend it, or move it away and a new "
            "one is begun"
        )
