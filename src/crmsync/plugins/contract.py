"""The contract between the core and a connector: signatures and prose, no logic.

A connector translates between a remote and the canonical words.
It decides no policy: limits, dry-run, caps and veto belong to the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import ibis.expr.types as ir
    from pydantic import BaseModel

    from crmsync.clock import Clock
    from crmsync.errors import ConnectorError
    from crmsync.model.actions import Action, ActionKind, CustomKind, KeyHandling, Receipt
    from crmsync.model.catalog import FactSpec
    from crmsync.model.pages import Cursor, Page
    from crmsync.model.tables import FieldType


@dataclass(frozen=True, kw_only=True)
class RemoteField:
    """A field as the remote describes it. ``type`` is None where the remote does not say."""

    name: str
    type: FieldType | None = None
    writable: bool = True


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that ``check`` found and a person should mend, as one sentence.

    Attributes:
        fatal: False where only a person can tell whether it is a mistake.
        stream: the stream that it concerns; None where it concerns the whole connection.
    """

    sentence: str
    fatal: bool = True
    stream: str | None = None


@dataclass(frozen=True, kw_only=True)
class StreamRequest:
    """A stream as the config asks for it.

    Attributes:
        options: the connector's own keys, validated by its ``stream_options`` model.
        table: the canonical table that its records become, as `RecordRef` names it.
        columns: the remote's fields that the mapping reads; a connector may read only these.
        tracked: those of them of which each change is kept. A connector that knows their former
            values gives a record's former versions before it, the oldest first: rows with its key,
            and in ``changed_at`` the time from which on they were so.
        history_asked: those of them whose former values a rule asks for. Where none is, and the
            remote's former values cost calls of their own, they are not worth them.
        changed_at: the field that the mapping takes as the time of change; None where it has none,
            and then former versions are not understood.
        updated: those of them that rules give new values; ``check`` tells what hinders that.
    """

    name: str
    options: BaseModel
    columns: tuple[str, ...]
    key: tuple[str, ...]
    table: str = ""
    tracked: tuple[str, ...] = ()
    history_asked: tuple[str, ...] = ()
    changed_at: str | None = None
    updated: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a remote has told of the calls that it allows.

    Attributes:
        used: by whomever, at that instant.
        at: when it was told (UTC).
    """

    used: int
    allowed: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ConnectionContext:
    """What a connector is opened with.

    Attributes:
        options: validated by the connector's ``options`` model; secrets are references in it.
        folder: what relative paths in the options are relative to.
        clock: the only source of the present instant.
        allowance: what the remote told last, perhaps to another process; None where it never did.
    """

    name: str
    options: BaseModel
    streams: Mapping[str, StreamRequest]
    folder: Path
    clock: Clock
    allowance: Allowance | None = None


@runtime_checkable
class Connector(Protocol):
    """An open connection."""

    def check(self) -> Sequence[Finding]:
        """Called by the command ``check``: is everything there that is needed?

        Raises:
            ConnectorError: the remote could not be asked.
        """
        ...

    def close(self) -> None:
        """Called once, after the last call, also after an error."""
        ...


@runtime_checkable
class Reads(Protocol):
    """A connector whose streams can be read."""

    def describe(self, stream: str) -> Sequence[RemoteField]:
        """Called to hold a mapping against the remote's own description of its fields."""
        ...

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        """Called once for each stream of a sync, with the last committed cursor, or None at first.

        Oldest change first, at least once, never at most once.
        Yields nothing where nothing has changed.

        Raises:
            ConnectorError: one of the five; pages that were yielded before it stay valid.
        """
        ...


@runtime_checkable
class Dated(Protocol):
    """A connector that reads what somebody else has written before, such as an export."""

    def written_at(self, stream: str) -> datetime | None:
        """Called after a read of a stream that reached its end: when what it read was written.

        By this machine's clock, in UTC. None: it was as the remote knew it at that moment.
        """
        ...


@runtime_checkable
class Writes(Protocol):
    """A connector to which actions can be applied."""

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Called with a batch; answers with as many receipts or errors, in the same order.

        An error that concerns one action is returned in its place; one that concerns all of them
        may be raised. A `RejectedError` is of one action: raised for several, it does not tell
        which of them landed, so they are looked for; return it in the place of each.
        """
        ...

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """Called for uncertain actions whose kind is declared NATIVE or LOOKUP: those that landed.

        Nothing is applied again before it was asked: a NATIVE one would do no harm if it had
        landed, but if it had not, it may be unwanted by now.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CallCount:
    """How often a remote was called.

    Attributes:
        made: by this connection, since it was opened.
        used: of the remote's allowance, by whomever; None where the remote does not tell.
        allowed: the whole of that allowance.
    """

    made: int
    used: int | None = None
    allowed: int | None = None


@runtime_checkable
class CountsCalls(Protocol):
    """A connector whose remote allows so many calls, and no more."""

    def call_count(self) -> CallCount:
        """Called after a sync, for people to see what it has cost."""
        ...


@runtime_checkable
class SetsUp(Protocol):
    """A connector that can make at the remote what it needs there, such as a field for keys."""

    def setup(self, *, dry_run: bool) -> Sequence[str]:
        """Called by the command ``connections setup``: make what is missing, and only that.

        Answers with a sentence for each thing that was made, or that would be.

        Raises:
            ConnectorError: it cannot be made; what was made before stays.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class HeardRequest:
    """A request that a remote made by itself, to tell that something has changed there.

    Attributes:
        method: in capitals, as ``POST``.
        url: what the remote was told to call: the public URL of the daemon, path and query as
            they arrived.
        headers: by name in lower case.
        body: as it arrived, not decoded.
        at: the instant (UTC) at which it arrived.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime


class Hear(Protocol):
    """How a connector understands a request that its remote made by itself (a webhook)."""

    def __call__(self, context: ConnectionContext, request: HeardRequest) -> Collection[str]:
        """Called by the daemon for each request to ``/hooks/CONNECTION``, in any thread.

        The connection is not opened for it: it may read secrets, and asks nobody.
        What the request says is taken for a hint, never for the truth: the streams are read.

        Returns:
            The streams of the context that may have changed; none where it concerns none of them.

        Raises:
            UntrustedError: the signature is wrong or missing, or its time too far from ``at``, in
                either direction.
            AuthError: the secret that it should be held against is not there.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ConnectorSpec:
    """What a plugin registers. Made without touching the network.

    Attributes:
        name: what ``connector:`` in the config says.
        options: pydantic model of the connection's own keys.
        stream_options: pydantic model of a stream's own keys.
        actions: the kinds of action it can apply, each with how it honours the key.
        batch_size: how many actions one call of `apply` takes at most, and keys one of `find`.
        mails_at_once: how many mails one call of `apply` takes at most: 1 where they go out at
            once, since nothing takes back what is handed over. Before each call it is asked
            whether a person has stopped any of them.
        open: called when a connection is first needed.
        custom: the kinds of action that it adds to the language of rules; how it honours their
            keys stands in ``actions``, at `ActionKind.CUSTOM`.
        lands_within: how long after a call was broken off the remote may still be at work on it,
            or its search not know of it; only then is `find` asked.
        hear: understands what the remote tells by itself; None where it tells nothing.
        remind: by the connection's own options, what nobody may forget of it, a sentence each:
            ``check``, ``plan``, ``run`` and ``status`` tell it; None for nothing.
        example: the file with the YAML of one connection under this connector's name, as most of
            its users would write it, explained by comments; ``crmsync init --connector`` puts it
            into a new config.
    """

    name: str
    description: str
    options: type[BaseModel]
    stream_options: type[BaseModel]
    open: Callable[[ConnectionContext], Connector]
    actions: Mapping[ActionKind, KeyHandling] = field(default_factory=dict)
    batch_size: int = 100
    mails_at_once: int = 1
    lands_within: timedelta = timedelta(minutes=1)
    custom: tuple[CustomKind, ...] = ()
    hear: Hear | None = None
    remind: Callable[[Any], Sequence[str]] | None = None
    example: Path | None = None


class Simulator(Protocol):
    """A simulated remote that runs on this machine and holds no real data.

    Attributes:
        config: the YAML of a connection to it, from the connection's name on; a credential in it
            is a reference, like any other.
    """

    @property
    def config(self) -> str:
        """The YAML of a connection to it."""
        ...

    def close(self) -> None:
        """Called once, when nobody needs it any more."""
        ...


@dataclass(frozen=True, kw_only=True)
class SimulatorRequest:
    """What a simulator is started with.

    Attributes:
        folder: exists; for the files that a connection to it needs, such as a certificate.
        port: where it listens, on this machine only; 0 takes a free one.
        sample: the records of the sample company by the name of their table; empty where it is to
            begin without any.
        clock: the only source of the present instant.
    """

    folder: Path
    port: int
    sample: Mapping[str, Sequence[Mapping[str, object]]]
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class SimulatorSpec:
    """A simulator that a plugin brings, so that its connector can be tried without an account.

    Attributes:
        name: what ``crmsync simulator NAME`` says.
        start: answers once it listens.
    """

    name: str
    description: str
    start: Callable[[SimulatorRequest], Simulator]


class FactTables(Protocol):
    """What a fact may look at.

    Times are parts of a query that are told when it runs, no datetimes of Python's: a fact is
    built once, and answers for any instant. To go back from one, take ``ibis.interval`` off it.
    """

    @property
    def now(self) -> ir.TimestampScalar:
        """The instant (UTC) for which facts are computed."""
        ...

    def table(self, name: str) -> ir.Table:
        """The live records of a canonical table."""
        ...

    def today(self, table: str) -> ir.Table:
        """Columns ``id`` and ``today``: the date in each subject's zone, else the company's."""
        ...

    def company_today(self) -> ir.DateScalar:
        """Today's date in the company's zone."""
        ...


class FactFields(Protocol):
    """The fields of the records that a measure is taken of, by their names."""

    def __getitem__(self, name: str) -> ir.Value:
        """A field."""
        ...

    @property
    def count(self) -> Callable[[ir.BooleanValue], ir.IntegerScalar]:
        """Counts the records of which something holds."""
        ...


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A fact as one aggregate of related records, so that facts and rules share a scan of them.

    Attributes:
        of: the table of the related records, each of which belongs to at most one subject, or,
            for activities, to those that it was linked with.
        by: their reference to the subject.
        where: which of them count.
        value: the aggregate of those that do; null where the fact has no row.
        latest: their time, where the value is the latest of it; to tell whether it is older than
            some days, only the records since then are read. None where the value is another.
    """

    of: str
    by: str
    where: Callable[[FactTables, FactFields], ir.BooleanValue]
    value: Callable[[FactFields, ir.BooleanValue], ir.Value]
    latest: str | None = None


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A derived column, and how it is computed.

    Attributes:
        build: answers with a table of ``id`` and ``value``, at most one row for each subject;
            subjects that are not in it have the spec's default, and a row without a value says
            that it cannot be computed, which makes clauses about it unknown.
        measure: the same as ``build`` gives, where it is an aggregate of related records.
        turns: when the value may change while no record does: tables of ``id`` and one other
            column, whose name says what it is: ``at``, an instant that comes to pass; a
            ``company_day`` or an ``own_day`` that begins, in the company's zone or the subject's;
            ``days_since`` or ``days_until``, the day that the value counts the days since, or
            until; or ``own_days``, the day from which on it changes every day. All of them for a
            year from ``now`` on; an empty sequence where time alone never changes it.
            Who gives it also says that the value of a subject
            depends on nothing but its own record and the records of ``rests_on`` that refer to
            it, in the field that is called like its table (for activities: that belong to it).
            Where it is not given, every subject is computed anew each time: right, but slow.
        values: a table of ``id`` and ``value`` that holds each value that the fact may have for a
            subject, and perhaps others, for facts that are times; quicker to search for a range
            than the fact itself. Where it is not given, the fact itself is searched.
        evidence: the records that a value rests on, for ``explain`` to name: a table of ``id``,
            ``table`` and ``record`` (the table and global id of one of them) and ``at``, when it
            happened (an instant or a date). For facts that are times, those whose ``at`` is the
            value are shown, for others the latest.
    """

    spec: FactSpec
    build: Callable[[FactTables], ir.Table]
    measure: Measure | None = None
    turns: Callable[[FactTables], Sequence[ir.Table]] | None = None
    values: Callable[[FactTables], ir.Table] | None = None
    evidence: Callable[[FactTables], ir.Table] | None = None


TemplateFilter = Any  # a callable as Jinja2 expects it
