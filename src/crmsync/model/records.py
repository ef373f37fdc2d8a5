"""What the warehouse shows to those who decide: live records, and how far they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import ibis.expr.types as ir
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """How far a stream of a connection has been read.

    Attributes:
        read_at: when the last read that reached the end of the stream began; None before one did.
        error: the sentence of the last read's error; None where it ended well.
    """

    connection: str
    stream: str
    table: str
    read_at: datetime | None
    error: str | None = None


class RecordSource(Protocol):
    """Read access to the canonical tables, custom fields included."""

    def table(self, name: str) -> ir.Table:
        """The live records of a table: no tombstones, references resolved through merges."""
        ...

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field, those of the records merged into a record among its own.

        Returns:
            ``id``, ``old`` and ``new`` of the field's type (null where it was empty),
            ``at`` (an instant).
        """
        ...

    def known_since(self, table: str, field: str) -> ir.Table:
        """How far back each record's values of a tracked field are known without a gap.

        Returns:
            ``id``; ``since``, the instant from which on they are; ``created``, when the record came
            into being, null where that is not known.
        """
        ...

    def query(self, expression: ir.Table) -> pa.Table:
        """The rows of an expression over these tables."""
        ...

    def keep(self, rows: ir.Table | pa.Table) -> ir.Table:
        """The rows of an expression, or rows at hand, as a table that lasts as long as this."""
        ...

    def stream_states(self) -> Sequence[StreamState]:
        """One for each stream of the config, also those that were never read."""
        ...


class LiveRecords(RecordSource, Protocol):
    """What deciding on actions asks of the records, beyond what rules ask."""

    def rows(self, table: str, ids: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """The live records of these ids, each as its fields by name; absent where there is none.

        Numbers are decimals, dates dates, instants aware datetimes in UTC.
        """
        ...

    def count(self, table: str) -> int:
        """How many live records a table has."""
        ...

    def unread(self, table: str, ids: Iterable[str]) -> Mapping[str, str]:
        """Those of these records of which a row could not be used, each with the sentence why."""
        ...

    def aliases(self) -> Mapping[str, Mapping[str, str]]:
        """By table, the ids of merged records, each with the one that survived in the end."""
        ...
