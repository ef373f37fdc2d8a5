"""Report of what a person has decided about actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from crmsync.cli.reports.words import safe
from crmsync.observe import redact

if TYPE_CHECKING:
    from rich.console import Console

    from crmsync.app.results.outbox import EffectShown, SettledResult

_NEXT = {
    "planned": "waits for the next run, which asks all gates again and then delivers it",
    "done": "is taken for done",
    "dropped": "is dropped, and will never be done",
}


def print_settled(out: Console, result: SettledResult) -> None:
    """What became of each."""
    for effect in result.effects:
        out.print(f"{escape(effect_line(effect))} {_NEXT[result.now]}.", soft_wrap=True)
    for sentence in result.left:
        out.print(f"[yellow]{safe(sentence)}[/]", soft_wrap=True)


def effect_line(effect: EffectShown) -> str:
    """What it is, to whom, for whom."""
    title = f": {redact(effect.title)}" if effect.title else ""
    return (
        f"{effect.key}: {effect.kind} for {effect.to}{title} ({effect.rule}, {effect.subject_name})"
    )
