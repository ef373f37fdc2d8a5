"""Reports of what waits for a person's word, and of what they have said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from crmsync.cli.reports.settling import effect_line
from crmsync.cli.reports.words import count, safe
from crmsync.clock import readable

if TYPE_CHECKING:
    from rich.console import Console

    from crmsync.app.results.reviewing import ReviewedResult, ReviewResult, ReviewShown

_MOST_NAMED = 10
_NEXT = {
    "approved": "The next run asks the other gates, and delivers.",
    "rejected": "It is dropped, and will never be done.",
    "edited": "It still awaits approval; a mail with a new text goes out without an HTML part.",
    "enrolled": "The next run contacts them, if they still match.",
    "ignored": "They are passed over, until they no longer match and match again.",
}


def print_review(out: Console, result: ReviewResult) -> None:
    """Actions to be approved, and existing matches by rule."""
    if not result.awaiting and not result.existing:
        out.print("Nothing waits for a person.")
    if result.awaiting:
        out.print(f"{count(len(result.awaiting), 'action')} to be approved:")
    for one in result.awaiting:
        out.print(f"  {escape(effect_line(one.action))}", soft_wrap=True)
        edited = f", edited by {one.edited_by}" if one.edited_by else ""
        if one.edited_in_vain_by:
            edited = f", not in the words of {one.edited_in_vain_by}: see review show"
        since = readable(one.action.since)
        out.print(f"    [dim]{escape(one.reason)}; asked on {since}{escape(edited)}[/]")
    if result.awaiting:
        out.print("  crmsync review show KEY, then approve KEY, edit KEY or reject KEY --reason …")
    for rule in result.existing:
        out.print()
        number = count(len(rule.subjects), "record")
        out.print(f"[bold]{escape(rule.rule)}[/]: {number} matched it when it was new:")
        for subject, name in list(rule.subjects.items())[:_MOST_NAMED]:
            out.print(f"  {safe(name)} ({escape(subject)})", soft_wrap=True)
        if len(rule.subjects) > _MOST_NAMED:
            out.print(f"  … and {len(rule.subjects) - _MOST_NAMED:,} more; --json lists them all")
        out.print(f"  crmsync review enrol {escape(rule.rule)} RECORD… (or --all), or ignore")


def print_action(out: Console, result: ReviewShown) -> None:
    """An action as it would go out."""
    action = result.action
    out.print(f"[bold]{escape(action.key)}[/], {action.state}", soft_wrap=True)
    out.print(f"{escape(action.rule)}, for {escape(action.subject_name)} ({action.subject})")
    out.print()
    head = {"From": result.sender, "To": action.to}
    if not result.changes:
        head["Subject"] = action.title if action.kind != "note" else ""
    if result.due is not None:
        head["Due"] = str(result.due)
    head |= {f"{name} =": str(value) for name, value in result.changes.items()}
    for name, value in head.items():
        if value:
            out.print(safe(f"{name}: {value}".replace(" =:", " =")), soft_wrap=True)
    if result.text:
        out.print()
        out.print(safe(result.text), soft_wrap=True)
    if result.html is not None:
        out.print("[dim](and the same as HTML; --json shows it)[/]")
    out.print()
    if result.edited_by is not None:
        out.print(f"[yellow]The words are those of {escape(result.edited_by)}.[/]")
    if result.edited_in_vain_by is not None:
        whose = safe(result.edited_in_vain_by)
        out.print(
            f"[yellow]The words of {whose} no longer stand: whom it goes to, whom it comes from or "
            "what it is about has changed since they edited it. It was composed anew.[/]",
            soft_wrap=True,
        )
    for line in result.history:
        out.print(f"[dim]{safe(line)}[/]", soft_wrap=True)


def print_reviewed(out: Console, result: ReviewedResult) -> None:
    """What was said, and what happens next."""
    for action in result.actions:
        out.print(f"{result.verdict}: {escape(effect_line(action))}", soft_wrap=True)
    for subject, name in result.subjects.items():
        out.print(f"{result.verdict}: {safe(name)} ({escape(subject)})", soft_wrap=True)
    out.print(_NEXT[result.verdict])
