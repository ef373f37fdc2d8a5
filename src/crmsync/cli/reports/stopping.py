"""Reports of what people say: who is to be left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from crmsync.cli.reports.words import count
from crmsync.clock import readable

if TYPE_CHECKING:
    from rich.console import Console

    from crmsync.app.results.stopping import StopResult, StopShown


def print_stop(out: Console, result: StopResult) -> None:
    """What holds now, and what was taken back."""
    for lifted in result.lifted:
        instead = "Instead of" if result.said is not None else "Taken back"
        out.print(f"{instead}: {escape(stop_sentence(lifted))}", soft_wrap=True)
    if result.said is None:
        out.print("The next run asks the gates again; what was dropped meanwhile stays dropped.")
        return
    out.print(escape(stop_sentence(result.said)), soft_wrap=True)
    if result.doubt is not None:
        out.print(f"[yellow]perhaps[/] {escape(result.doubt)}", soft_wrap=True)
    if result.taken_back:
        out.print(f"{count(result.taken_back, 'action')} that waited to be sent will not be.")
    out.print("Actions that are on their way at this moment cannot be called back.")


def stop_sentence(stop: StopShown) -> str:
    """Who is to be left alone, since when, until when, by whose word and why."""
    if stop.kind == "account":
        named = stop.name if stop.name == stop.target else f"{stop.name} ({stop.target})"
        told = f"{named} is muted: no mail, task, note or update"
        told += ", until it is lifted" if stop.until is None else f" until {readable(stop.until)}"
    elif stop.kind == "unsubscribed":
        told = f"{stop.name} gets no commercial mail"
    elif stop.kind == "trusted":
        told = f"{stop.name} gets no mail"
    elif stop.kind in {"nobody there", "bounced"}:
        told = f"{stop.name} takes no mail: what would go there is held"
    elif stop.kind == "complained":
        told = f"{stop.name} called a mail of ours spam: no mail goes there"
    else:
        told = f"{stop.name} is suppressed: no mail goes there"
    why = f": {stop.reason}" if stop.reason else ""
    return f"{told}. Said by {stop.said_by} on {readable(stop.said_at)}{why}"
