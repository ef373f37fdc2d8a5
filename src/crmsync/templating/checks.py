"""What can be told of a template without rendering it, and where a rendering failed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, meta, nodes

from crmsync.config.yaml import Place, nearest
from crmsync.errors import InvalidInputError
from crmsync.templating.environment import ClosedEnvironment, sentence_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.catalog import Catalog
    from crmsync.templating.files import FrontMatter, TemplateFile, TemplateFiles

COMPANY = "company"  # stands for the config's own block; no canonical table is called so


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the names in a template mean.

    Attributes:
        variables: each name of the context, and the table of its record; None for other values.
        company: the fields of ``company``.
    """

    variables: Mapping[str, str | None]
    catalog: Catalog
    company: tuple[str, ...]

    def names(self, table: str) -> tuple[str, ...]:
        """What a record of a table has: fields and facts; lists of other records it has not."""
        if table == COMPANY:
            return self.company
        lists = {relation.name for relation in self.catalog.relations(table) if relation.many}
        return tuple(name for name in self.catalog.names(table) if name not in lists)

    def target(self, table: str, name: str) -> str | None:
        """The table of the record that a name leads to; None where it is a value."""
        relation = None if table == COMPANY else self.catalog.relation(table, name)
        return None if relation is None or relation.many else relation.target


@dataclass(frozen=True, kw_only=True)
class Source:
    """A text to look at. ``fixed`` is where it stands when it is part of another file."""

    lines: list[str]
    shown_as: str
    fixed: Place | None = None

    def place(self, line: int, word: str | None = None) -> Place:
        """Where a line of it begins, or a word in that line."""
        if self.fixed is not None:
            return self.fixed
        column = _column(self.lines, line, word)
        return Place(file=self.shown_as, line=line, column=column)


@dataclass(kw_only=True)
class _Check:
    files: TemplateFiles | None
    environment: ClosedEnvironment
    scope: Scope
    problems: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def check_template(
    name: str, files: TemplateFiles, environment: ClosedEnvironment, scope: Scope
) -> list[str]:
    """Every mistake in the files of a template, and in those that they include."""
    if not files.exists(f"{name}.txt"):
        return [files.unknown(name)]
    check = _Check(files=files, environment=environment, scope=scope)
    for file_name in files.files_of(name):
        _check_file(file_name, check)
    return check.problems


def check_text(text: str, place: Place, environment: ClosedEnvironment, scope: Scope) -> list[str]:
    """Every mistake in a text that stands in another file."""
    check = _Check(files=None, environment=environment, scope=scope)
    _check_source(text, Source(lines=[], shown_as=place.file, fixed=place), check)
    return check.problems


def failing_place(
    error: BaseException, sentence: str, files: TemplateFiles, otherwise: Place
) -> Place:
    """Where in which template a rendering failed; ``otherwise`` where no file can be named."""
    found = otherwise
    words = re.findall(r"“([\w.]+)”|^([\w.]+) is empty", sentence)
    word = next((one or two for one, two in words), None)
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        # Jinja2 puts frames into the traceback that stand for the template's own lines.
        if "__jinja_exception__" in frame.f_globals:
            name, line = frame.f_code.co_filename, trace.tb_lineno
            lines = files.lines(name)
            if lines:
                found = Place(file=name, line=line, column=_column(lines, line, word))
        trace = trace.tb_next
    return found


def _check_file(file_name: str, check: _Check) -> None:
    if file_name in check.seen or check.files is None:
        return
    check.seen.add(file_name)
    try:
        file = check.files.file(file_name)
    except InvalidInputError as error:
        check.problems += error.problems
        return
    if file.front is not None:
        _check_front(file, file.front, check)
    elif _is_template(file_name):
        check.problems.append(
            f"{file.place(1)}: this needs a front matter: “---”, “subject: …”, “---”"
        )
    _check_source(file.body, Source(lines=file.body.split("\n"), shown_as=file.shown_as), check)


def _is_template(file_name: str) -> bool:
    private = any(part.startswith("_") for part in file_name.split("/"))
    return file_name.endswith(".txt") and not private


def _check_front(file: TemplateFile, front: FrontMatter, check: _Check) -> None:
    place = file.front_places["subject"]
    source = Source(lines=[], shown_as=file.shown_as, fixed=place)
    _check_source(front.subject, source, check)
    for index, path in enumerate(front.requires or ()):
        place = file.front_places[f"requires.{index}"]
        source = Source(lines=[], shown_as=file.shown_as, fixed=place)
        if re.fullmatch(r"\w+(\.\w+)*", path):
            _check_source(f"{{{{ {path} }}}}", source, check)
        else:
            check.problems.append(
                f"{place}: “{path}” is not a path; write for example contact.first_name"
            )


def _check_source(text: str, source: Source, check: _Check) -> None:
    try:
        _check_tree(text, source, check)
    except RecursionError:
        check.problems.append(
            f"{source.place(1)}: brackets, blocks or filters nest too deep in this template; "
            "write it in several steps, with “{% set … %}”"
        )


def _check_tree(text: str, source: Source, check: _Check) -> None:
    try:
        tree = check.environment.parse(text)
    except TemplateSyntaxError as error:
        place = source.place(error.lineno)
        check.problems.append(f"{place}: {sentence_of(error)}")
        return
    _check_includes(tree, source, check)
    # Jinja2 cannot tell the names of a template whose filters it does not know.
    if _check_filters(tree, source, check):
        _check_names(tree, source, check)


def _check_names(tree: nodes.Template, source: Source, check: _Check) -> None:
    globals_ = set(check.environment.globals)
    undeclared = meta.find_undeclared_variables(tree) - globals_
    unknown = {name for name in undeclared if name not in check.scope.variables}
    asked_for = {
        test.node.name
        for test in tree.find_all(nodes.Test)
        if test.name in {"defined", "undefined"} and isinstance(test.node, nodes.Name)
    }
    reported = set()
    for node in tree.find_all(nodes.Name):
        if node.name in unknown - asked_for and node.name not in reported:
            reported.add(node.name)
            hint = nearest(node.name, check.scope.variables)
            place = source.place(node.lineno, node.name)
            check.problems.append(f"{place}: “{node.name}” is not known here{hint}")
    stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    tables = {
        name: table
        for name, table in check.scope.variables.items()
        if table is not None and name not in stored
    }
    for attribute in tree.find_all(nodes.Getattr):
        _check_attribute(attribute, tables, source, check)


def table_of(node: nodes.Node, tables: Mapping[str, str], scope: Scope) -> str | None:
    """The table of the record that an expression gives, where that can be seen."""
    if isinstance(node, nodes.Name):
        return tables.get(node.name)
    if isinstance(node, nodes.Getattr):
        table = table_of(node.node, tables, scope)
        return None if table is None else scope.target(table, node.attr)
    return None


def _check_attribute(
    node: nodes.Getattr, tables: Mapping[str, str], source: Source, check: _Check
) -> None:
    table = table_of(node.node, tables, check.scope)
    if table is None or node.attr in check.scope.names(table):
        return
    hint = nearest(node.attr, check.scope.names(table))
    place = source.place(node.lineno, node.attr)
    check.problems.append(f"{place}: {table} has no field “{node.attr}”{hint}")


def _check_filters(tree: nodes.Template, source: Source, check: _Check) -> bool:
    """Whether all filters and tests exist."""
    before = len(check.problems)
    for kind, word, known in (
        (nodes.Filter, "filter", check.environment.filters),
        (nodes.Test, "test", check.environment.tests),
    ):
        for node in tree.find_all(kind):
            if node.name not in known:
                hint = nearest(node.name, known)
                place = source.place(node.lineno, node.name)
                check.problems.append(f"{place}: there is no {word} “{node.name}”{hint}")
    return len(check.problems) == before


def _check_includes(tree: nodes.Template, source: Source, check: _Check) -> None:
    for kind in (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport):
        for node in tree.find_all(kind):
            template = getattr(node, "template", None)
            name = template.value if isinstance(template, nodes.Const) else None
            if not isinstance(name, str):
                continue
            place = source.place(node.lineno, name)
            if check.files is None:
                check.problems.append(f"{place}: a text in a rule cannot take in files")
            elif check.files.exists(name):
                _check_file(name, check)
            elif not getattr(node, "ignore_missing", False):
                check.problems.append(f"{place}: there is no file “{name}” in the templates")


def _column(lines: list[str], line: int, word: str | None) -> int:
    """The column of a word in a line; of the first expression where there is none."""
    if not 1 <= line <= len(lines):
        return 1
    text = lines[line - 1]
    if word is not None:
        match = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)
        if match is not None:
            return match.start() + 1
    match = re.search(r"\{[{%]", text)
    return 1 if match is None else match.start() + 1
