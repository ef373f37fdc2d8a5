"""What is handed to a merge: rows of one stream, already in the words of a canonical table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, ROW

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from crmsync.model.pages import Cursor, Snapshot

# An integer column beside the connector's own: the order in which the rows were read.
POSITION = "_position"

# The columns beside the table's fields. In a batch MERGED_INTO is a global id, and PROBLEM the
# whole sentence, with its place, for which a row goes to quarantine.
SERVICE_COLUMNS = (POSITION, DELETED, MERGED_INTO, ORIGIN, ROW, PROBLEM)


@dataclass(frozen=True, kw_only=True)
class MappingDigest:
    """Stands for the mapping with which a stream was read.

    Attributes:
        whole: of all that the values depend on.
        ids: of what makes the ids: the table, the key.
        times: of what makes ``updated_at``.
        fields: of what makes each field that is mapped, by name. Part of ``whole``.
    """

    whole: str
    ids: str
    times: str
    fields: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of one or several pages, and the cursor of the last of these.

    Attributes:
        rows: every field of the table, typed, and the service columns;
            ``id`` is null only where there is a problem.
        cursor: committed together with the rows; None where they are the first of a large page, and
            no page before it was committed.
        snapshot: set where the rows belong to a listing of the whole stream.
        deletions_confirmed: a person has said that a listing may delete most of a stream.
    """

    connection: str
    stream: str
    table: str
    rows: pa.Table
    cursor: Cursor | None
    snapshot: Snapshot | None = None
    deletions_confirmed: bool = False


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a merge did.

    Attributes:
        changed: records that are new or differ from what was kept.
        deleted: records that became tombstones.
        quarantined: rows that could not be used.
        warning: a sentence, where something was withheld.
    """

    changed: int = 0
    deleted: int = 0
    quarantined: int = 0
    warning: str | None = None
