"""How the command line speaks: tables for people, JSON for programs, progress for terminals."""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import re
import shlex
import sys
import traceback
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import typer

from crmsync.cli.options import AHEAD_OF_TIME, config_given
from crmsync.clock import FixedClock, SystemClock, parse_instant, readable
from crmsync.errors import CrmsyncError, InvalidInputError, UsageError
from crmsync.model.durations import parse_duration
from crmsync.observe import configure_logs, printable, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from rich.console import Console
    from rich.text import Text

    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock
    from crmsync.model.durations import Duration

_LONGEST_LINE = 10_000
# Clocks of two machines differ by so much without anybody's being to blame.
_SAME_TIME = timedelta(minutes=1)
# A command that a text names for its reader to give next, without a config of its own.
_NAMED = re.compile(
    r"\bcrmsync (?:check|test|schema|sync|plan|run|forecast|status|runs|explain|backtest|suppress"
    r"|mute|retry|drop|landed|undo|review(?: (?:show|approve|edit|reject|enrol|ignore))?)\b"
    r"(?![^\n”]* --config)"
)
_Report = TypeVar("_Report")
_More = ParamSpec("_More")

FINDINGS = 1
WRONG_USE = 2


def opened(config: Path, at: str | None = None) -> Workspace:
    """The workspace of a config; ``--at`` without an offset is in the company's time zone.

    Raises:
        UsageError: there is no such file, or ``--at`` is not a time.
        InvalidInputError: the config holds mistakes.
    """
    from crmsync.app.workspace import open_workspace

    workspace = open_workspace(config, SystemClock())
    if at is None:
        return workspace
    zone = workspace.installation.settings.company.time_zone
    return replace(workspace, clock=clock_at(at, zone))


def opened_by(config: Path, at: str | None, name: str | None) -> tuple[Workspace, str]:
    """The workspace of a config, and the person who says something that is kept there.

    Raises:
        UsageError: as of `opened` and `person`; or what is said would count from a time to come.
        InvalidInputError: the config holds mistakes.
    """
    workspace = opened(config, at)
    if is_to_come(workspace) and not os.environ.get(AHEAD_OF_TIME):
        raise UsageError(
            f"--at: {readable(workspace.clock.now(), workspace.zone)} is still to come, and what a "
            "person says is kept with its time; leave --at out"
        )
    return workspace, person(name)


def is_to_come(workspace: Workspace) -> bool:
    """Whether the workspace's present lies ahead of the machine's clock."""
    return workspace.clock.now() > SystemClock().now() + _SAME_TIME


def clock_at(at: str | None, zone: str = "UTC") -> Clock:
    """The clock that ``--at`` asks for.

    Raises:
        UsageError: it is not a time.
    """
    if at is None:
        return SystemClock()
    try:
        return FixedClock(instant=parse_instant(at, default_zone=zone))
    except ValueError as error:
        raise UsageError(f"--at: {error}") from None


def instant_at(option: str, text: str | None, zone: ZoneInfo) -> datetime | None:
    """The instant that an option names; None where it was not given.

    Raises:
        UsageError: it is not a time.
    """
    if text is None:
        return None
    try:
        return parse_instant(text, default_zone=zone.key)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def duration_of(option: str, text: str) -> Duration:
    """The length of time that an option names.

    Raises:
        UsageError: it is not one.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def person(name: str | None) -> str:
    """Who gives a command: the name that ``--as`` says, else that of the login.

    Raises:
        UsageError: it is empty, or the machine does not know who it is.
    """
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError, ImportError):
            raise UsageError("say who you are: --as NAME") from None
    if not name.strip():
        raise UsageError("--as: a name is needed, so that it is known later who said so")
    return name.strip()


def listening_at(text: str | None) -> str | None:
    """The address that ``--listen`` names; None where it was not given.

    Raises:
        UsageError: it is not one.
    """
    from crmsync.config.daemon import checked_address

    try:
        return None if text is None else checked_address(text)
    except ValueError as error:
        raise UsageError(f"--listen: {error}") from None


def console() -> Console:
    """Standard output, as wide as the terminal; where it is piped, no line is cut or broken."""
    from rich.console import Console
    from rich.markup import escape

    class Printable(Console):
        """Names and texts from a CRM move no cursor and set no colour of the terminal."""

        def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401  they are Rich's
            return super().render_str(printable(with_config(text, escape)), **options)

    return Printable(
        # Rich drops colours where NO_COLOR is set, and keeps bold; who sets it wants plain text.
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        width=None if sys.stdout.isatty() else _LONGEST_LINE,
        highlight=False,
        soft_wrap=not sys.stdout.isatty(),
    )


def with_config(text: str, quoted: Callable[[str], str] = str) -> str:
    """The commands that a text names, with the config that this one was given.

    Where none was given, theirs is the same, for it comes from the folder or the environment.
    """
    config = config_given.get()
    if config is None:
        return text
    option = f" --config {quoted(shlex.quote(str(config)))}"
    return _NAMED.sub(lambda named: named.group() + option, text)


def plain(value: Any) -> Any:  # noqa: ANN401  what a report holds is anything
    """A report as JSON knows it."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case str():
            return redact(value)
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    return redact(str(value))


def print_json(report: object) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(plain(report), ensure_ascii=False, indent=2))


def tell(
    report: _Report,
    print_report: Callable[Concatenate[Console, _Report, _More], None],
    as_json: bool,
    *args: _More.args,
    **options: _More.kwargs,
) -> None:
    """Tell what a command has to report: as JSON and nothing else, or in print for a person."""
    if as_json:
        print_json(report)
    else:
        print_report(console(), report, *args, **options)


def _tell_error(error: CrmsyncError, *, as_json: bool) -> None:
    sentences = error.problems if isinstance(error, InvalidInputError) else (str(error),)
    if as_json:
        print_json({"error": type(error).__name__, "problems": list(sentences)})
        return
    for sentence in sentences:
        typer.echo(printable(redact(with_config(sentence))), err=True)


@contextmanager
def command(*, as_json: bool = False) -> Iterator[None]:
    """Runs a command: its errors become sentences, and the exit code says what they mean."""
    configure_logs()
    try:
        yield
    except CrmsyncError as error:
        _tell_error(error, as_json=as_json)
        raise typer.Exit(WRONG_USE if isinstance(error, UsageError) else FINDINGS) from None
    except typer.Exit:
        raise
    except BrokenPipeError:
        # Whoever was reading has seen enough, as “head” has. What is left is written nowhere, so
        # that Python does not complain when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FINDINGS) from None
    except Exception:  # noqa: BLE001  a traceback can hold secrets, so it passes the redaction
        typer.echo(redact(traceback.format_exc()), err=True)
        typer.echo(
            "This is a mistake in crmsync or in a plugin, not in your files; "
            "what was committed stays. Please report it with the text above.",
            err=True,
        )
        raise typer.Exit(FINDINGS) from None
    except KeyboardInterrupt:
        typer.echo("Stopped. What was committed stays; run it again to go on.", err=True)
        raise typer.Exit(130) from None
    finally:
        config_given.set(None)


@contextmanager
def progress(*, as_json: bool = False) -> Iterator[Callable[[str, int], None]]:
    """A function to call with a label and how much was done since; drawn on terminals only."""
    if as_json or not sys.stderr.isatty():
        yield lambda _label, _done: None
        return
    from rich.console import Console
    from rich.progress import (
        Progress,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        known: dict[str, TaskID] = {}

        def advance(label: str, done: int) -> None:
            if label not in known:
                known[label] = bars.add_task(label, total=None)
            bars.advance(known[label], done)

        yield advance
