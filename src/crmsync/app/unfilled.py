"""What check doubts of conditions that ask for what the CRM's exports do not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.wording import texts_of, variables_of
from crmsync.errors import InvalidInputError
from crmsync.rules.conditions import Comparison, Related, every_clause
from crmsync.rules.language import EmailStep, place_of
from crmsync.rules.reading.steps import REQUIRES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.app.workspace import Workspace
    from crmsync.config.yaml import Place
    from crmsync.rules.conditions import Clause
    from crmsync.rules.language import Rule
    from crmsync.rules.reading.load import RuleSet
    from crmsync.templating.needs import Need

# So many files are named in one sentence.
_MOST_FILES = 4
# What crmsync fills itself.
_OWN = frozenset({"id", "connection"})


def doubts_about_mappings(workspace: Workspace, rules: RuleSet) -> Iterator[str]:
    """A sentence for each field and table that rules ask for, and that no stream fills.

    What an author has said ``if_unknown`` of may be missing.
    """
    filled = _filled(workspace)
    tables: dict[str, list[Clause]] = {}
    fields: dict[tuple[str, str], list[Place]] = {}
    for rule in rules.rules:
        for clause in every_clause(rule.when):
            if clause.if_unknown is not None:
                continue
            missing = next((name for name in _tables(clause) if name not in filled), None)
            if missing is not None:
                tables.setdefault(missing, []).append(clause)
            elif isinstance(clause, Comparison) and clause.column.fact is None:
                owner, name = clause.column.owner, clause.column.name
                if name not in filled[owner]:
                    fields.setdefault((owner, name), []).append(clause.place)
    for (owner, name), places in fields.items():
        yield (
            f"{places[0]}: no stream of the config fills “{name}” of the table {owner}, so it is "
            f"always empty; map it under “fields”{_likewise(places)}"
        )
    for missing, found in tables.items():
        first, plural = found[0], workspace.catalog.tables[missing].plural
        yield (
            f"{first.place}: “{first.text}” asks for {plural}, and no stream of the config has "
            f"the table {missing}, so this is never known{_likewise([one.place for one in found])}"
        )


def _likewise(places: Sequence[Place]) -> str:
    """The other files that the same is so in; of many the first."""
    others = list(dict.fromkeys(one.file for one in places if one.file != places[0].file))
    if not others:
        return ""
    more = len(others) - _MOST_FILES
    named = others if more <= 1 else [*others[:_MOST_FILES], f"{more} more"]
    return f"; likewise in {', '.join(named)}"


def doubts_about_texts(workspace: Workspace, rules: RuleSet) -> Iterator[str]:
    """A sentence for each field that a text cannot do without, and that no stream fills."""
    filled = _filled(workspace)
    lacking: dict[str, list[Need]] = {}
    for rule in rules.rules:
        for need in _needs(workspace, rule):
            if workspace.catalog.tables[need.table].field(need.name) is None:
                continue
            if need.table not in filled:
                if need.table == rule.subject:
                    continue  # there is nobody of whom such a text could be written
                why = f"no stream of the config has the table {need.table}"
            elif need.name not in filled[need.table]:
                why = (
                    f"no stream of the config fills “{need.name}” of the table {need.table}; "
                    "map it under “fields”"
                )
            else:
                continue
            lacking.setdefault(why, []).append(need)
    for why, needs in lacking.items():
        yield (
            f"{needs[0].place}: without {needs[0].path} this is never sent or written, and {why}"
            f"{_likewise([need.place for need in needs])}"
        )


def doubts_about_recipients(workspace: Workspace, rules: RuleSet) -> Iterator[str]:
    """A sentence for each mail whose recipient is sought by a role, while no stream tells roles."""
    if "role" in _filled(workspace).get("contact", ()):
        return
    for rule in rules.rules:
        for step in rule.then:
            to = step.to if isinstance(step, EmailStep) else None
            while to is not None and to.role is None:
                to = to.otherwise
            if to is not None:
                yield (
                    f"{place_of(step, 'to')}: nobody is known to have the role “{to.role}”, and no "
                    "stream of the config fills “role” of the table contact; map it under “fields”"
                )


def _needs(workspace: Workspace, rule: Rule) -> Iterator[Need]:
    """What the texts of a rule cannot do without; texts with mistakes are told elsewhere."""
    templates, catalog = workspace.templates, workspace.catalog
    variables = variables_of(rule)
    try:
        for step in rule.then:
            names = variables
            if isinstance(step, EmailStep):
                names = variables | {"sender": "user"}
                yield from templates.needs(step.template, names, catalog)
            for path in step.requires:
                text, place = f"{{{{ {path} }}}}", place_of(step, REQUIRES)
                yield from templates.needs_inline(text, place, names, catalog)
        for text, place in texts_of(rule):
            yield from templates.needs_inline(text, place, variables, catalog)
    except InvalidInputError:
        return


def _filled(workspace: Workspace) -> dict[str, set[str]]:
    """The tables that a stream reads, each with the fields that one of them fills."""
    filled: dict[str, set[str]] = {}
    for connection in workspace.installation.settings.connections.values():
        for stream in connection.streams.values():
            filled.setdefault(stream.table, set(_OWN)).update(stream.fields)
    return filled


def _tables(clause: Clause) -> tuple[str, ...]:
    """The tables that a clause rests on."""
    if isinstance(clause, Related):
        return (clause.of.relation.target,)
    fact = clause.column.fact
    return (clause.column.owner,) if fact is None else fact.rests_on
