"""What a connector yields when it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# A connector's own text, opaque to the core: where to go on reading.
Cursor = str

# Columns with a meaning of their own; a connector adds those that it knows.
DELETED = "_deleted"  # boolean: the record is gone
MERGED_INTO = "_merged_into"  # text: the remote's id of the record that survived a merge
ORIGIN = "_origin"  # text: the file or object that the row came from
ROW = "_row"  # integer: the record number in its origin, counted from 1
PROBLEM = "_problem"  # text: why the row could not be read; only its origin and number are set then
RESERVED_COLUMNS = (DELETED, MERGED_INTO, ORIGIN, ROW, PROBLEM)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A page belongs to a listing of *all* records of its stream.

    Attributes:
        id: names the listing; a listing that is begun anew has a new id.
        last: this page ends it, so what it did not name is deleted.
    """

    id: str
    last: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """Records, and the cursor that is safe once they are committed.

    Attributes:
        records: columns in the remote's own names; text, or whatever type the remote has.
        cursor: handed to the next ``read`` after this page is committed.
        snapshot: set where the stream is listed as a whole.
    """

    records: pa.Table
    cursor: Cursor
    snapshot: Snapshot | None = None
