"""Report of a sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from crmsync.cli.reports.words import count, safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from crmsync.app.results.sync import SyncResult
    from crmsync.sync.reports import StreamReport


_MOST_DOUBTS = 10


def print_sync(out: Console, result: SyncResult) -> None:
    """The streams of a sync, and what could not be read."""
    if result.skipped:
        out.print(escape(result.skipped))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("read from")
    table.add_column("as")
    for heading in ("rows", "changed", "deleted", "unreadable"):
        table.add_column(heading, justify="right")
    for stream in result.streams:
        unreadable = f"[yellow]{stream.quarantined:,}[/]" if stream.quarantined else "0"
        table.add_row(
            escape(f"{stream.connection}/{stream.stream}"),
            stream.table,
            f"{stream.read:,}",
            f"{stream.changed:,}",
            f"{stream.deleted:,}",
            unreadable,
        )
    out.print(table)
    for name, calls in result.calls.items():
        allowance = allowance_used(calls.used, calls.allowed)
        out.print(f"{safe(name)} was called {count(calls.made, 'time')}{allowance}")
    for stream in result.streams:
        if stream.warning:
            out.print(f"[yellow]{safe(stream.warning)}[/]", soft_wrap=True)
    for doubt in result.doubts[:_MOST_DOUBTS]:
        out.print(f"[yellow]perhaps[/] {safe(doubt)}", soft_wrap=True)
    if len(result.doubts) > _MOST_DOUBTS:
        more = len(result.doubts) - _MOST_DOUBTS
        out.print(f"[yellow]perhaps[/] … and {more:,} more of the like, which --json tells")
    print_quarantine(out, result.quarantined, result.quarantine)
    for sentence in (*result.problems, *_errors(result.streams)):
        out.print(f"[red]{safe(sentence)}[/]", soft_wrap=True)


def _errors(streams: Sequence[StreamReport]) -> Iterator[str]:
    """What streams met, with their names; the same of all streams of a connection is told once."""
    alike: dict[tuple[str, str], list[str]] = {}
    for stream in streams:
        if stream.error:
            alike.setdefault((stream.connection, stream.error), []).append(stream.stream)
    for (connection, error), names in alike.items():
        whole = len(names) > 1 and len(names) == sum(s.connection == connection for s in streams)
        named = connection if whole else f"{connection}/{', '.join(names)}"
        yield f"{named}: {error}"


def allowance_used(used: int | None, allowed: int | None) -> str:
    """What of a remote's allowance is used, to go on a sentence; empty where it does not tell."""
    if used is None or allowed is None:
        return ""
    return f"; {used:,} of {allowed:,} are used"


def print_quarantine(out: Console, number: int, sentences: Sequence[str]) -> None:
    """The rows that cannot be read, the newest by name."""
    if not number:
        return
    out.print(
        f"[yellow]{count(number, 'row')} could not be read[/]; "
        "mend the record or the mapping, and the next sync reads it again:"
    )
    for sentence in sentences:
        out.print(f"  {safe(sentence)}", soft_wrap=True)
