"""Reads all connections of a workspace into its warehouse."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from crmsync.app.opting_out import hear_who_declines
from crmsync.app.own_mail import tell_of_own_mail
from crmsync.app.results.sync import SyncResult
from crmsync.errors import ConnectorError, InvalidInputError, StoreBusyError
from crmsync.model.tables import split_global_id
from crmsync.plugins.contract import CountsCalls, Reads
from crmsync.sync.identity import link_customers
from crmsync.sync.matching import match_activities
from crmsync.sync.run import sync_connection
from crmsync.warehouse.locking import file_lock
from crmsync.warehouse.twins import TWINNED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crmsync.app.workspace import Workspace
    from crmsync.plugins.contract import CallCount
    from crmsync.sync.reports import StreamReport
    from crmsync.warehouse.reader import Records

_WAIT = timedelta(seconds=60)
_MATCHED_BY = {"account", "activity", "contact"}
# Exports overlap, so a few references always lead nowhere; above this share it is said.
_MOST_ASTRAY = 0.1
# Of the rows that cannot be read: so many of each stream are named.
_MOST_TOLD = 3
_MOST_LOOKED_AT = 1000


def sync_all(
    workspace: Workspace,
    names: Sequence[str] | None = None,
    *,
    advance: Callable[[str, int], None],
    wait: timedelta = _WAIT,
    deletions_confirmed: bool = False,
) -> SyncResult:
    """Read these connections, or all of them; what one cannot do does not stop the others.

    ``deletions_confirmed`` lets a complete export delete all or most of a stream.

    Raises:
        UsageError: there is no connection of that name.
        StoreBusyError: another process was still reading after ``wait``.
        StoreError: the warehouse cannot be written.
    """
    chosen = list(workspace.installation.settings.connections) if names is None else list(names)
    for name in chosen:
        workspace.connection(name)
    streams: list[StreamReport] = []
    problems: list[str] = []
    calls: dict[str, CallCount] = {}
    with ExitStack() as locks:
        for name in sorted(chosen):
            locks.enter_context(
                file_lock(
                    workspace.state / f"sync-{quote(name, safe='')}.lock",
                    exclusive=True,
                    wait=wait,
                    store=f"the sync of “{name}”",
                )
            )
        for name in chosen:
            try:
                streams += _sync_one(
                    workspace,
                    name,
                    advance=advance,
                    deletions_confirmed=deletions_confirmed,
                    calls=calls,
                )
            except InvalidInputError as error:
                problems += error.problems
            except ConnectorError as error:
                problems.append(f"{name}: {error}")
    doubts = _link_customers(workspace, streams)
    doubts += _match(workspace, streams)
    if any(report.table == "activity" and report.changed for report in streams):
        hear_who_declines(workspace)
    with workspace.warehouse.reading() as records:
        number, sentences = quarantined(workspace, records)
        doubts += tuple(_astray(workspace, records, streams))
    return SyncResult(
        at=workspace.now,
        streams=tuple(streams),
        problems=tuple(problems),
        doubts=doubts,
        quarantined=number,
        quarantine=sentences,
        calls=calls,
    )


def _link_customers(workspace: Workspace, streams: Sequence[StreamReport]) -> tuple[str, ...]:
    """Find the same customer in several systems, where there are several."""
    having = [
        name
        for name, connection in workspace.installation.settings.connections.items()
        if any(stream.table in TWINNED for stream in connection.streams.values())
    ]
    if len(having) < 2 and not any(report.changed for report in streams):  # noqa: PLR2004  alone
        return ()
    return link_customers(workspace.warehouse, having)


def _match(workspace: Workspace, streams: Sequence[StreamReport]) -> tuple[str, ...]:
    """Link what came with addresses, where anything has changed; answers with what is doubtful."""
    addressed = any(
        "addresses" in stream.fields or "answers" in stream.fields
        for connection in workspace.installation.settings.connections.values()
        for stream in connection.streams.values()
        if stream.table == "activity"
    )
    told = tell_of_own_mail(workspace, sent=addressed)
    changed = any(r.changed or r.deleted for r in streams if r.table in _MATCHED_BY)
    if not told and not (addressed and changed):
        return ()
    return tuple(
        f"several accounts have the domain “{domain}”, so that mail from there belongs to none of "
        "them; make its sender a contact of the right one"
        for domain in match_activities(workspace.warehouse, workspace.clock).shared
    )


def _astray(
    workspace: Workspace, records: Records, streams: Sequence[StreamReport]
) -> Iterator[str]:
    """Streams many of whose references lead nowhere: ids of another kind, most likely.

    To rules, an account whose activities all lead elsewhere is one that nobody ever spoke with.
    """
    for report in streams:
        fields = workspace.connection(report.connection).streams[report.stream].fields
        for field in workspace.catalog.tables[report.table].fields:
            if not report.changed or field.references is None or field.name not in fields:
                continue
            found = records.astray(report.connection, report.table, field.name, field.references)
            if found.lost > found.references * _MOST_ASTRAY:
                yield (
                    f"{report.connection}/{report.stream}: in {found.lost:,} of "
                    f"{found.references:,} the “{field.name}” is no {field.references} we know, "
                    "for example "
                    f"“{split_global_id(str(found.example))[1]}”; is it the same id as the key of "
                    f"the {field.references} stream?"
                )


def quarantined(workspace: Workspace, records: Records) -> tuple[int, tuple[str, ...]]:
    """How many rows of the config's streams cannot be read, and the newest sentences.

    What a stream left behind that the config no longer has is nobody's to mend.
    """
    streams = workspace.streams
    report = records.quarantine(newest=_MOST_LOOKED_AT)
    sentences: list[str] = []
    for stream in streams:
        rows = report.counts.get(stream, 0)
        told = [row.sentence for row in report.newest if (row.connection, row.stream) == stream]
        sentences += told[:_MOST_TOLD]
        if rows > len(told[:_MOST_TOLD]):
            sentences.append(f"… and {rows - len(told[:_MOST_TOLD]):,} more of {'/'.join(stream)}")
    number = sum(rows for stream, rows in report.counts.items() if stream in streams)
    return number, tuple(sentences)


def sync_or_skip(workspace: Workspace, *, advance: Callable[[str, int], None]) -> SyncResult:
    """The same for a plan: where another process is reading, what was last read will do."""
    try:
        return sync_all(workspace, advance=advance, wait=timedelta())
    except StoreBusyError as error:
        return skipped(workspace, f"Taking what was last read: {error}")


def skipped(workspace: Workspace, why: str) -> SyncResult:
    """A sync that did not take place."""
    return SyncResult(at=workspace.now, skipped=why)


def _sync_one(
    workspace: Workspace,
    name: str,
    *,
    advance: Callable[[str, int], None],
    deletions_confirmed: bool,
    calls: dict[str, CallCount],
) -> tuple[StreamReport, ...]:
    with workspace.connected(name) as connector:
        if not isinstance(connector, Reads):
            return ()
        reports = sync_connection(
            connector=connector,
            settings=workspace.connection(name),
            name=name,
            warehouse=workspace.warehouse,
            clock=workspace.clock,
            company_zone=workspace.installation.settings.company.time_zone,
            progress=advance,
            deletions_confirmed=deletions_confirmed,
        )
        if isinstance(connector, CountsCalls):
            calls[name] = connector.call_count()
        return reports
