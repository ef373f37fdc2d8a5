"""Finds every mistake of an installation, without stopping at the first."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from crmsync.app.doubts import doubts_about_records
from crmsync.app.results.check import CheckResult
from crmsync.app.unfilled import (
    doubts_about_mappings,
    doubts_about_recipients,
    doubts_about_texts,
)
from crmsync.app.unsubscribing import check_links, doubts_about_unsubscribing
from crmsync.app.wording import texts_of, variables_of
from crmsync.app.workspace import open_workspace
from crmsync.errors import ConnectorError, CrmsyncError, InvalidInputError
from crmsync.model.actions import ActionKind
from crmsync.plugins.contract import Reads
from crmsync.policy.delivery import NAME_ANOTHER
from crmsync.rules.certain import certainties
from crmsync.rules.language import EmailStep, place_of
from crmsync.rules.reading.steps import REQUIRES
from crmsync.sync.checks import check_mapping
from crmsync.templating.templates import UNSUBSCRIBE_URL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock
    from crmsync.config.mapping import StreamSettings
    from crmsync.plugins.contract import RemoteField
    from crmsync.rules.reading.load import RuleSet


def check_workspace(config: Path, clock: Clock, *, offline: bool) -> CheckResult:
    """Every mistake in config, rules, templates and mappings.

    Args:
        offline: leave the connections unopened, and the mappings unchecked against them.

    Raises:
        UsageError: there is no config file.
    """
    try:
        workspace = open_workspace(config, clock)
    except InvalidInputError as error:
        return CheckResult(problems=error.problems, checked={"config file": 1})
    problems: list[str] = []
    doubts: list[str] = []
    for name in workspace.installation.settings.connections:
        problems += check_connection(workspace, name, doubts, offline=offline)
    problems += _check_mail(workspace)
    rules, mistakes = workspace.read_rules()
    problems += mistakes
    problems += check_texts(workspace, rules)
    problems += [
        f"{found.place}: {found.sentence}" for rule in rules.rules for found in certainties(rule)
    ]
    problems += check_links(workspace)
    doubts += _doubts_about_mail(workspace, rules)
    doubts += doubts_about_unsubscribing(workspace, rules)
    doubts += doubts_about_mappings(workspace, rules)
    doubts += doubts_about_recipients(workspace, rules)
    doubts += doubts_about_texts(workspace, rules)
    doubts += doubts_about_records(workspace, rules)
    return CheckResult(
        problems=tuple(dict.fromkeys(problems)),
        doubts=tuple(dict.fromkeys(doubts)),
        checked={
            "connection": len(workspace.installation.settings.connections),
            # Where some cannot be read, nobody knows how many there are.
            **({} if mistakes else {"rule": len(rules.rules)}),
            "template": len(workspace.templates.names()),
        },
    )


def check_connection(
    workspace: Workspace, name: str, doubts: list[str], *, offline: bool
) -> list[str]:
    """What is wrong with a connection: its options, its reachability, its mappings.

    What only may be wrong is added to ``doubts``.
    """
    document = workspace.installation.document
    place = document.key_place(("connections", name))
    try:
        options = workspace.context(name).options
        remind = workspace.spec(name).remind
        if remind is not None:
            doubts += [f"{place}: {sentence}" for sentence in remind(options)]
        if offline:
            return []
        with workspace.connected(name) as connector:
            problems: list[str] = []
            broken: set[str | None] = set()
            for finding in connector.check():
                concerned = () if finding.stream is None else ("streams", finding.stream)
                at = document.key_place(("connections", name, *concerned))
                (problems if finding.fatal else doubts).append(f"{at}: {finding.sentence}")
                broken |= {finding.stream} if finding.fatal else set()
            if None in broken or not isinstance(connector, Reads):
                return problems
            for stream_name, stream in workspace.connection(name).streams.items():
                if stream_name in broken:
                    continue
                described = connector.describe(stream_name)
                stream_at = ("connections", name, "streams", stream_name)
                problems += [
                    f"{document.key_place((*stream_at, *path))}: {sentence}"
                    for path, sentence in check_mapping(stream, described)
                ]
                problems += _check_updates(workspace, name, stream, described)
            return problems
    except InvalidInputError as error:
        return list(error.problems)
    except ConnectorError as error:
        return [f"{place}: {error}"]


def _check_updates(
    workspace: Workspace, name: str, stream: StreamSettings, described: Sequence[RemoteField]
) -> Iterator[str]:
    """Fields that rules give new values, and that nobody can change at the remote."""
    fixed = {one.name for one in described if not one.writable}
    for (table, field), place in workspace.updates.items():
        column = stream.remote_field(field) if table == stream.table else None
        if column in fixed:
            yield (
                f"{place}: {table}.{field} cannot be updated: “{name}” keeps “{column}” itself, or "
                "lets this user only read it"
            )


def _check_mail(workspace: Workspace) -> Iterator[str]:
    """Whether the connection by which mails are to go out can send them."""
    name = workspace.installation.settings.mail
    try:
        if name is None or ActionKind.EMAIL in workspace.abilities(name):
            return
    except InvalidInputError:
        return  # that its connector does not work is told already
    place = workspace.installation.document.place(("mail",))
    connector = workspace.connection(name).connector
    yield f"{place}: the connection “{name}” cannot send mail; its connector is “{connector}”"


def _doubts_about_mail(workspace: Workspace, rules: RuleSet) -> Iterator[str]:
    """Connections whose customers would get no mail of a rule that sends some."""
    if workspace.installation.settings.mail is not None:
        return
    sending = [
        (rule, next(step for step in rule.then if isinstance(step, EmailStep)))
        for rule in rules.rules
        if any(isinstance(step, EmailStep) for step in rule.then)
    ]
    for name, connection in workspace.installation.settings.connections.items():
        tables = {stream.table for stream in connection.streams.values()}
        held = [step for rule, step in sending if rule.subject in tables]
        with suppress(InvalidInputError):  # that its connector does not work is told already
            if held and ActionKind.EMAIL not in workspace.abilities(name):
                more = len(held) - 1
                others = "" if not more else f" and of {more} {'others' if more > 1 else 'other'}"
                yield (
                    f"{held[0].place}: the connection “{name}” sends no mail, so mails of this "
                    f"rule{others} to its customers are held; {NAME_ANOTHER}"
                )


def check_texts(workspace: Workspace, rules: RuleSet) -> list[str]:
    """What is wrong with the templates, and with the texts that stand in rules."""
    problems: list[str] = []
    try:
        templates = workspace.templates
        known = set(templates.names())
    except CrmsyncError as error:
        return [str(error)]
    for rule in rules.rules:
        variables = variables_of(rule)
        for step in rule.then:
            if isinstance(step, EmailStep):
                names = variables | {"sender": "user", UNSUBSCRIBE_URL: None}
                found = templates.check([step.template], names, workspace.catalog)
                # A template that is missing is a mistake of the rule, so it has the rule's place.
                at = f"{place_of(step, 'template')}: " if step.template not in known else ""
                problems += [f"{at}{sentence}" for sentence in found]
            else:
                names = variables
            for path in step.requires:
                place = place_of(step, REQUIRES)
                text = f"{{{{ {path} }}}}"
                problems += templates.check_inline(text, place, names, workspace.catalog)
        for text, place in texts_of(rule):
            problems += templates.check_inline(text, place, variables, workspace.catalog)
    return problems
