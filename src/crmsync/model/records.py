"""What the warehouse shows to those who decide: live records, and how far they can be trusted.

A query is an expression; its text depends on what is asked, never on when. What changes from one
run to the next is *given* to it: values by the names of variables, rows by the names of tables.
So the same text answers for any instant, and `RecordSource.compiled` makes it only once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import ibis.expr.types as ir
    import pyarrow as pa

Value = datetime | date | int | bool | str | list[str]


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """How far a stream of a connection has been read.

    Attributes:
        read_at: when the last read that reached the end of the stream began; None before one did.
        written_at: when what it read was written, where that was before; None else.
        really_at: when that read really was, where ``--at`` took a later time for the present.
        error: the sentence of the last read's error; None where it ended well.
        rows: how many records the stream would have, could all its rows be used; 0 where all can,
            or nearly all.
        missing: of how many of them nothing is there, because their rows cannot be used.
        together: the connections that have customers in common with this one, itself included;
            empty where it has none in common.
    """

    connection: str
    stream: str
    table: str
    read_at: datetime | None
    error: str | None = None
    rows: int = 0
    missing: int = 0
    written_at: datetime | None = None
    together: frozenset[str] = frozenset()
    really_at: datetime | None = None

    def seen_from(self, now: datetime) -> StreamState:
        """The same at another present: a look ahead must not make it fresh until then."""
        if (
            self.read_at is None
            or self.really_at is None
            or not self.really_at <= now < self.read_at
        ):
            return self
        ahead = self.read_at - self.really_at
        written_at = None if self.written_at is None else self.written_at - ahead
        return replace(self, read_at=self.really_at, written_at=written_at, really_at=None)

    @property
    def known_at(self) -> datetime | None:
        """The instant as of which the stream is known; None where it never was read."""
        return self.read_at if self.written_at is None else self.written_at


class Kept:
    """Rows that a source keeps for as long as anybody holds this."""

    def __init__(self, name: str) -> None:
        self.name = name


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a query is given when it runs.

    Attributes:
        values: by the names that the query's variables have; instants are aware.
        tables: kept rows, by the names under which the query reads them.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    tables: Mapping[str, Kept] = field(default_factory=dict)

    def __or__(self, other: Given) -> Given:
        return Given(values={**self.values, **other.values}, tables={**self.tables, **other.tables})


NOTHING = Given()


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A query as the source's own language has it."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Rows of one table, again for each of these filters that they pass.

    Attributes:
        columns: of each filter, by name; the names and types are the same in all.
    """

    table: ir.Table
    filters: Sequence[ir.BooleanValue]
    columns: Sequence[Mapping[str, ir.Value]]


class RecordSource(Protocol):
    """Read access to the canonical tables, custom fields included."""

    @property
    def shape(self) -> str:
        """Differs between sources for which the same query has different texts.

        By their tables' columns, and by what a live record is to them.
        """
        ...

    def table(self, name: str) -> ir.Table:
        """The live records of a table: no tombstones, references resolved through merges."""
        ...

    def is_filled(self, table: str, field: str) -> bool:
        """Whether every live record of a table is known to have a value in a field."""
        ...

    def has_indirect(self, table: str) -> bool:
        """Whether activities may belong to records of a table otherwise than by their reference.

        Args:
            table: ``account``, ``contact`` or ``deal``.
        """
        ...

    def indirect(self, table: str) -> ir.Table:
        """Those activities: ``activity`` and ``record``, each pair once."""
        ...

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field, those of the records merged into a record among its own.

        Returns:
            ``id``, ``old`` and ``new`` of the field's type (null where it was empty),
            ``at`` (an instant), and ``place``: of changes of the same time, the greater the later.
        """
        ...

    def known_since(self, table: str, field: str) -> ir.Table:
        """How far back each record's values of a tracked field are known without a gap.

        Returns:
            ``id``; ``since``, the instant from which on they are; ``created``, when the record came
            into being, null where that is not known.
        """
        ...

    def compiled(self, key: str, build: Callable[[], ir.Table | Answers]) -> Compiled:
        """The text of a query.

        Args:
            key: says all that the expression depends on, beside the source's shape; a digest.
            build: makes the expression; called where nobody has asked with this key before.
        """
        ...

    def query(self, query: ir.Table | Compiled, given: Given = NOTHING) -> pa.Table:
        """The rows of a query over these tables."""
        ...

    def keep(self, rows: ir.Table | Compiled | pa.Table, given: Given = NOTHING) -> Kept:
        """The rows of a query, or rows at hand, as a table that queries can be given."""
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

    def streams_of(self, table: str, ids: Iterable[str]) -> Mapping[str, str]:
        """Which stream each of these live records came from; absent where there is no record."""
        ...

    def gone(self, table: str, ids: Iterable[str]) -> Collection[str]:
        """Those of these records that were read once, and are deleted."""
        ...

    def count(self, table: str) -> int:
        """How many live records a table has."""
        ...

    def unread(self, table: str, ids: Iterable[str]) -> Mapping[str, str]:
        """Those of these records of which a row could not be used, each with the sentence why."""
        ...

    def aliases(self) -> Mapping[str, Mapping[str, str]]:
        """By table, the ids of merged records, each with the one that survived in the end.

        Those for which a record of another connection stands are among them.
        """
        ...

    def remote_id(self, table: str, record: str, connection: str) -> str | None:
        """What the remote of a connection calls a record; None where it does not have it."""
        ...
