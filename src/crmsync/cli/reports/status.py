"""Report of status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from crmsync.cli.reports.stopping import stop_sentence
from crmsync.cli.reports.sync import allowance_used, print_quarantine
from crmsync.cli.reports.words import (
    WAIT_FOR_A_WORD,
    actions,
    count,
    listed,
    print_reminders,
    safe,
)
from crmsync.clock import readable
from crmsync.ledger.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from crmsync.app.results.status import DaemonStatus, StatusResult
    from crmsync.app.results.stopping import StopShown

_MOST_REASONS = 8
_MOST_DECLINED = 5
_MOST_BY_MAIL = 10
_BY_MAIL = {"nobody there", "bounced", "complained"}


def print_status(out: Console, result: StatusResult) -> None:
    """How fresh the data is, what could not be read, and what became of each action."""
    out.print(f"At {readable(result.at)}")
    _print_streams(out, result)
    if result.quarantined:
        out.print()
        print_quarantine(out, result.quarantined, result.quarantine)
    out.print()
    print_reminders(out, result.reminders)
    if not result.effects:
        out.print("No action has been recorded yet.")
    for state, number in result.effects.items():
        what = [actions(each, kind) for kind, each in result.kinds[state].items()]
        out.print(f"  {number:>7,} {state}: {listed(what)}", soft_wrap=True)
    _print_waiting(out, result)
    _print_stops(out, result.stops)
    for item in result.attention:
        out.print(f"[red]{safe(item)}[/]", soft_wrap=True)
    for calls in result.calls:
        allowance = allowance_used(calls.used, calls.allowed)
        at = f" at {readable(calls.told_at)}" if allowance else ""
        called = f"was called {count(calls.made, 'time')} within a day"
        out.print(f"{safe(calls.connection)} {called}{allowance}{at}", soft_wrap=True)
    if result.last_run is not None:
        out.print(f"Last run: {escape(result.last_run)}")
    for due in result.due:
        what = [count(due.effects, "action")] if due.effects else []
        what += [count(due.steps, "step")] if due.steps else []
        out.print(f"  due in the hour from {readable(due.hour)}: {listed(what)}")
    _print_daemon(out, result.daemon)


def _print_stops(out: Console, stops: Sequence[StopShown]) -> None:
    """Those by our own words; of those by others, how many and the last few."""
    declined = [stop for stop in stops if stop.kind == "unsubscribed"]
    by_mail = [stop for stop in stops if stop.kind in _BY_MAIL]
    by_mail.sort(key=lambda stop: stop.said_at)
    own = [stop for stop in stops if stop.kind not in _BY_MAIL | {"unsubscribed"}]
    for stop in [*own, *by_mail[-_MOST_BY_MAIL:], *declined[-_MOST_DECLINED:]]:
        out.print(safe(stop_sentence(stop)), soft_wrap=True)
    if len(by_mail) > _MOST_BY_MAIL:
        out.print(f"{len(by_mail):,} addresses in all get no mail because of what came back.")
    if len(declined) > _MOST_DECLINED:
        out.print(f"{len(declined):,} addresses in all get no commercial mail by their own wish.")


def _print_waiting(out: Console, result: StatusResult) -> None:
    for waiting in result.waiting[:_MOST_REASONS]:
        line = f"{waiting.actions:>5,} {waiting.state}: {safe(waiting.reason)}"
        out.print(f"    {line}", soft_wrap=True)
    more = sum(waiting.actions for waiting in result.waiting[_MOST_REASONS:])
    if more:
        out.print(f"    … and {more:,} more that wait for other reasons: crmsync plan tells each")
    if any(waiting.state == State.AWAITING for waiting in result.waiting):
        out.print("  What awaits approval: crmsync review")
    if result.previewed:
        what = count(result.previewed, "record")
        out.print(f"  {what} {WAIT_FOR_A_WORD}")


def _print_daemon(out: Console, daemon: DaemonStatus) -> None:
    if daemon.process is None:
        out.print("No daemon runs.")
        return
    out.print(f"The daemon is {escape(daemon.process)}")
    if daemon.wakes is not None:
        out.print(f"  it wakes at {readable(daemon.wakes)} for {escape(daemon.for_what)}")
    for problem in daemon.refused:
        out.print(f"  [red]not in force: {safe(problem)}[/]", soft_wrap=True)


def _print_streams(out: Console, result: StatusResult) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("stream")
    table.add_column("as")
    table.add_column("records", justify="right")
    table.add_column("last read to its end")
    for stream in result.streams:
        read_at = "never" if stream.read_at is None else readable(stream.read_at)
        if stream.error:
            read_at += f"  [red]{safe(stream.error)}[/]"
        elif stream.stale:
            written = (
                "" if stream.written_at is None else f"written {readable(stream.written_at)}, "
            )
            read_at += f"  [yellow]{written}too long ago[/]"
        elif stream.missing:
            read_at += f"  [yellow]{stream.missing:,} of {stream.rows:,} rows cannot be read[/]"
        table.add_row(
            escape(f"{stream.connection}/{stream.stream}"),
            stream.table,
            f"{stream.records:,}",
            read_at,
        )
    out.print(table)
