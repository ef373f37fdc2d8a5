"""`crmsync review`: what waits for a person's word, and what they say about it."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from crmsync.cli.console import command, opened, opened_by, tell
from crmsync.cli.options import (
    DEFAULT_CONFIG,
    AtOption,
    ConfigOption,
    JsonOption,
    PersonOption,
    ReasonOption,
)
from crmsync.errors import UsageError

review_app = typer.Typer(
    help="What waits for a person's word: actions to be approved, and existing matches of rules.",
    invoke_without_command=True,
)

KeyArgument = Annotated[str, typer.Argument(help="A key, or its beginning.")]
KeysArgument = Annotated[list[str], typer.Argument(help="Keys, or their beginnings.")]
RuleArgument = Annotated[str, typer.Argument(help="The name of a rule.")]
SubjectsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RECORD]...", help="Ids or names.", show_default=False),
]
AllOption = Annotated[bool, typer.Option("--all", help="All that match already.")]


@review_app.callback()
def overview(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits for a person's word; or, with a command, decide about it."""
    if context.invoked_subcommand is None:
        _list(config, at, as_json=as_json)


@review_app.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG, *, at: AtOption = None, as_json: JsonOption = False
) -> None:
    """List what waits for a person's word."""
    _list(config, at, as_json=as_json)


def _list(config: Path, at: str | None, *, as_json: bool) -> None:
    with command(as_json=as_json):
        from crmsync.app.reviewing import read_review
        from crmsync.cli import reports

        tell(read_review(opened(config, at)), reports.print_review, as_json)


@review_app.command()
def show(
    key: KeyArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an action exactly as it would go out."""
    with command(as_json=as_json):
        from crmsync.app.reviewing import show_action
        from crmsync.cli import reports

        tell(show_action(opened(config, at), key), reports.print_action, as_json)


@review_app.command()
def approve(
    keys: KeysArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    reason: ReasonOption = "",
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say yes: the next run asks the other gates, and delivers."""
    with command(as_json=as_json):
        from crmsync.app import reviewing
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        result = reviewing.approve(workspace, keys, by=by, reason=reason)
        tell(result, reports.print_reviewed, as_json)


@review_app.command()
def reject(
    keys: KeysArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")],
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say no: it is never done."""
    with command(as_json=as_json):
        from crmsync.app import reviewing
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        result = reviewing.reject(workspace, keys, by=by, reason=reason)
        tell(result, reports.print_reviewed, as_json)


@review_app.command()
def edit(
    key: KeyArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    subject: Annotated[str | None, typer.Option("--subject", help="The new subject.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="The new text.")] = None,
    reason: ReasonOption = "",
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give it other words, with --subject and --text or in your editor ($EDITOR)."""
    with command(as_json=as_json):
        from crmsync.app import reviewing
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        if subject is None and text is None:
            subject, text = _in_editor(*reviewing.words_of(workspace, key))
        result = reviewing.edit(workspace, key, by=by, reason=reason, subject=subject, text=text)
        tell(result, reports.print_reviewed, as_json)


_SUBJECT = "Subject: "


def _in_editor(subject: str, text: str) -> tuple[str | None, str]:
    """The words as the person leaves them in the editor.

    Raises:
        UsageError: nothing was changed, or there is no editor.
    """
    head = f"{_SUBJECT}{subject}\n\n" if subject else ""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UsageError("no editor is set; set $EDITOR, or use --subject and --text")
    with TemporaryDirectory() as folder:  # for nobody else's eyes
        file = Path(folder) / "action.txt"
        file.write_text(head + text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)  # noqa: S603  the person's
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(f"the editor did not end well, nothing was changed: {error}") from None
        written = file.read_text(encoding="utf-8")
    if written.rstrip("\n") == (head + text).rstrip("\n"):
        raise UsageError("nothing was changed")
    if not subject:
        return None, written
    first, _, rest = written.partition("\n")
    if not first.startswith(_SUBJECT):
        raise UsageError(f"the first line must begin with “{_SUBJECT}”; nothing was changed")
    return first.removeprefix(_SUBJECT), rest.removeprefix("\n")


@review_app.command()
def enrol(
    rule: RuleArgument,
    subjects: SubjectsArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    every: AllOption = False,
    reason: ReasonOption = "",
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Contact who matched a new or changed rule already, if they still match at the next run."""
    with command(as_json=as_json):
        from crmsync.app import reviewing
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        result = reviewing.decide_existing(
            workspace,
            rule,
            subjects or (),
            every=every,
            enrol=True,
            by=by,
            reason=reason,
        )
        tell(result, reports.print_reviewed, as_json)


@review_app.command()
def ignore(
    rule: RuleArgument,
    subjects: SubjectsArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    every: AllOption = False,
    reason: ReasonOption = "",
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pass over who matched a new or changed rule already, until they match anew."""
    with command(as_json=as_json):
        from crmsync.app import reviewing
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        result = reviewing.decide_existing(
            workspace,
            rule,
            subjects or (),
            every=every,
            enrol=False,
            by=by,
            reason=reason,
        )
        tell(result, reports.print_reviewed, as_json)
