"""Reports of init, demo --prepare, check and plugins list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from crmsync.cli.reports.words import count, listed, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from crmsync.app.results.check import CheckResult, SetUpResult
    from crmsync.app.schemas import WrittenSchemas
    from crmsync.app.setup import Layout
    from crmsync.plugins.manager import PluginReport


def print_layout(out: Console, layout: Layout) -> None:
    """Where the sample company lies."""
    if layout.made:
        out.print(f"Made a sample company in [bold]{escape(str(layout.folder))}[/]")
    else:
        out.print(
            f"Found an earlier demo in [bold]{escape(str(layout.folder))}[/]; going on there."
        )
    out.print(f"  the config   {escape(str(layout.config))}")
    out.print(f"  its CRM      {escape(str(layout.folder / 'crm'))}/")
    out.print(f"  its rules    {escape(str(layout.folder / 'rules'))}/")


def print_check(out: Console, result: CheckResult) -> None:
    """Every mistake, a line each."""
    for problem in result.problems:
        out.print(safe(problem), soft_wrap=True)
    for doubt in result.doubts:
        out.print(f"[yellow]perhaps[/] {safe(doubt)}", soft_wrap=True)
    looked_at = listed([count(number, what) for what, number in result.checked.items()])
    if result.problems:
        out.print(f"[red]{count(len(result.problems), 'problem')}[/] in {looked_at}.")
    else:
        out.print(f"[green]No problems[/] in {looked_at}.")


def print_set_up(out: Console, result: SetUpResult) -> None:
    """What was made at a remote, a line each."""
    made = "would be made" if result.dry_run else "made"
    for sentence in result.made:
        out.print(f"{made}: {safe(sentence)}", soft_wrap=True)
    if not result.made:
        out.print("All that the connection needs is there.")
    elif result.dry_run:
        out.print("Nothing was made; without --dry-run it would be.")


def print_schemas(out: Console, written: WrittenSchemas) -> None:
    """Where the schemas are, and the lines that point an editor to them."""
    out.print(
        f"Wrote the schemas of {listed(list(written.files))} files into {escape(written.folder)}"
    )
    out.print()
    out.print("For VS Code with the YAML extension, in .vscode/settings.json beside the config:")
    settings = {"yaml.schemas": {file: list(globs) for file, globs in written.patterns.items()}}
    out.print(escape(json.dumps(settings, indent=2, ensure_ascii=False)))
    out.print()
    out.print("For any editor with a YAML language server, as the first line of a file:")
    for kind, line in written.modelines.items():
        out.print(f"  {kind:8}{escape(line)}", soft_wrap=True)


def print_plugins(out: Console, found: Sequence[PluginReport]) -> None:
    """A line for each plugin."""
    table = Table(box=None, pad_edge=False)
    for heading in ("plugin", "distribution", "brings"):
        table.add_column(heading)
    for report in found:
        brings = []
        if report.connectors:
            brings.append(f"connector {', '.join(report.connectors)}")
        if report.facts:
            brings.append(count(len(report.facts), "fact"))
        if report.filters:
            brings.append(count(len(report.filters), "template filter"))
        shown = escape("; ".join(brings) or "nothing")
        if report.error:
            shown = f"[red]broken: {safe(report.error)}[/]"
        table.add_row(escape(report.name), escape(f"{report.distribution} {report.version}"), shown)
    out.print(table)
