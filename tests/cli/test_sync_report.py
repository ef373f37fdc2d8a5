"""What a sync says on the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from crmsync.app.results.sync import SyncResult
from crmsync.cli.reports.sync import print_sync
from crmsync.sync.reports import StreamReport

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def printed(result: SyncResult) -> list[str]:
    out = StringIO()
    print_sync(Console(file=out, width=200), result)
    return out.getvalue().splitlines()


def stream(connection: str, name: str, error: str | None = None) -> StreamReport:
    return StreamReport(connection=connection, stream=name, table="account", error=error)


def test_one_cause_is_told_once_with_the_streams_that_it_stopped() -> None:
    streams = (
        stream("hub", "companies", "the token is no good"),
        stream("hub", "contacts", "the token is no good"),
        stream("sf", "accounts"),
        stream("sf", "tasks", "there is no such field"),
    )
    assert printed(SyncResult(at=AT, streams=streams))[-2:] == [
        "hub: the token is no good",
        "sf/tasks: there is no such field",
    ]


def test_many_doubts_are_told_by_number() -> None:
    lines = printed(SyncResult(at=AT, doubts=tuple(f"doubt {n}" for n in range(12))))
    assert lines[-2:] == ["perhaps doubt 9", "perhaps … and 2 more of the like, which --json tells"]
