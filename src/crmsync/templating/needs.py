"""The fields without which a text cannot be written: an empty value never reaches a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, nodes

from crmsync.errors import InvalidInputError
from crmsync.templating.checks import Source, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.config.yaml import Place
    from crmsync.templating.checks import Scope
    from crmsync.templating.environment import ClosedEnvironment
    from crmsync.templating.files import TemplateFiles

_OTHERWISE = frozenset({"default", "d"})


@dataclass(frozen=True, kw_only=True)
class Need:
    """A field that a text cannot do without.

    Attributes:
        path: as the text says it, ``account.owner.name``.
        table: of the record that ``name`` is a field of.
    """

    place: Place
    path: str
    table: str
    name: str


def needs_of_template(
    name: str, files: TemplateFiles, environment: ClosedEnvironment, scope: Scope
) -> list[Need]:
    """Those of the files of a template, and of what its front matter requires.

    Raises:
        InvalidInputError: one of the files holds mistakes.
    """
    found: list[Need] = []
    for file_name in files.files_of(name) if files.exists(f"{name}.txt") else ():
        file = files.file(file_name)
        texts = [(file.body, Source(lines=file.body.split("\n"), shown_as=file.shown_as))]
        if file.front is not None:
            asked = {f"requires.{at}": path for at, path in enumerate(file.front.requires or ())}
            words = {"subject": file.front.subject} | {
                key: f"{{{{ {path} }}}}" for key, path in asked.items()
            }
            texts += [(text, _at(file.front_places[key])) for key, text in words.items()]
        for text, source in texts:
            found += _needs(text, source, environment, scope)
    return found


def needs_of_text(
    text: str, place: Place, environment: ClosedEnvironment, scope: Scope
) -> list[Need]:
    """Those of a text that stands in another file.

    Raises:
        InvalidInputError: it holds mistakes.
    """
    return list(_needs(text, _at(place), environment, scope))


def _at(place: Place) -> Source:
    return Source(lines=[], shown_as=place.file, fixed=place)


def _needs(
    text: str, source: Source, environment: ClosedEnvironment, scope: Scope
) -> Iterator[Need]:
    try:
        tree = environment.parse(text)
    except (TemplateSyntaxError, RecursionError) as error:
        raise InvalidInputError([f"{source.place(1)}: {error}"]) from error
    stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    tables = {
        name: table
        for name, table in scope.variables.items()
        if table is not None and name not in stored
    }
    spared = {path for guard in _guards(tree) for path in _paths(guard)}
    for node in tree.find_all(nodes.Getattr):
        table, path = table_of(node.node, tables, scope), _path(node)
        if table in scope.catalog.tables and path is not None and path not in spared:
            place = source.place(node.lineno, node.attr)
            yield Need(place=place, path=path, table=str(table), name=node.attr)


def _guards(tree: nodes.Template) -> Iterator[nodes.Node]:
    """Where a text asks whether a value is there, or says what stands in its place."""
    yield from (branch.test for branch in tree.find_all(nodes.If))
    yield from (branch.test for branch in tree.find_all(nodes.CondExpr))
    yield from tree.find_all(nodes.Test)
    for one in tree.find_all(nodes.Filter):
        if one.name in _OTHERWISE and one.node is not None:
            yield one.node
    yield from tree.find_all(nodes.Or)


def _paths(node: nodes.Node) -> Iterator[str]:
    for one in (node, *node.find_all(nodes.Getattr)):
        if isinstance(one, nodes.Getattr) and (path := _path(one)) is not None:
            yield path


def _path(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        before = _path(node.node)
        return None if before is None else f"{before}.{node.attr}"
    return None
