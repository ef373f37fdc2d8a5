"""Jinja2, closed: sandboxed, no file from outside the folder, nothing undefined, nothing empty."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import BaseLoader, TemplateRuntimeError, TemplateSyntaxError, Undefined
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

from crmsync.config.yaml import nearest
from crmsync.templating.filters import BUILTIN_FILTERS, FilterError, as_text
from crmsync.templating.locales import current_reader, isolated
from crmsync.templating.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Environment

    from crmsync.templating.files import TemplateFiles

_LONGEST_REPEAT = 100_000
_TAG = re.compile(r"\{%.*?%\}")


class Unknown(Undefined):
    """A name that nobody knows: a mistake in the template, whatever is done with it."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        """The sentence for the template's author."""
        return self._undefined_hint or f"“{self._undefined_name}” is not known here"

    def _fail(self, *_args: object, **_kwargs: object) -> NoReturn:
        self._fail_with_undefined_error()

    __str__ = __iter__ = __len__ = __bool__ = __contains__ = _fail
    __eq__ = __ne__ = __hash__ = _fail


class Empty(Undefined):
    """A known name without a value: false in a condition, an error where it would be written."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """How the template reached it."""
        return str(self._undefined_name)

    def __str__(self) -> str:
        raise UndefinedError(self._undefined_message)

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Empty)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(None)


def empty(path: str, because: str | None = None) -> Empty:
    """An empty value at a path; ``because`` is the path that is empty before it."""
    sentence = f"{because or path} is empty"
    return Empty(
        f"{sentence}; list it under “requires”, or give {path} a “| default(…)”", name=path
    )


class ClosedEnvironment(ImmutableSandboxedEnvironment):
    """The environment of all templates. Fields of records come before attributes of objects."""

    intercepted_binops = frozenset({"*", "**"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """``obj.attribute`` in a template."""
        if isinstance(obj, Record):
            return self._field(obj, attribute)
        if isinstance(obj, Empty):
            return empty(f"{obj.path}.{attribute}", because=obj.path)
        value = super().getattr(obj, attribute)
        return empty(attribute) if value is None else value

    def getitem(self, obj: Any, argument: Any) -> Any:
        """``obj[argument]`` in a template."""
        if isinstance(obj, Record | Empty):
            return self.getattr(obj, str(argument))
        value = super().getitem(obj, argument)
        return empty(str(argument)) if value is None else value

    def _field(self, record: Record, name: str) -> object:
        path = f"{record.path}.{name}"
        if name not in record:
            hint = nearest(name, record.names())
            return self.undefined(f"{record.path} has no field “{name}”{hint}", name=name)
        value = record[name]
        if value is None or (isinstance(value, str) and not value.strip()):
            return empty(path)
        return value.called(path) if isinstance(value, Record) else value

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """``*`` and ``**``, as far as their results fit into a mail."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" and not (numbers and abs(right) <= _LONGEST_REPEAT.bit_length()):
            raise SecurityError("“**” is only for small exponents here")
        if operator == "*" and not numbers:
            for side, count in ((left, right), (right, left)):
                if hasattr(side, "__len__") and isinstance(count, int):
                    if len(side) * count > _LONGEST_REPEAT:
                        raise SecurityError("“*” would make something too long here")
                    break
        return super().call_binop(context, operator, left, right)

    def join_path(self, template: str, parent: str) -> str:
        """What ``include``, ``extends`` and ``import`` mean: a path from the templates folder."""
        if parent.endswith(".html") and not template.endswith(".html"):
            raise TemplateRuntimeError(
                f"an HTML part can only take in HTML files, and “{template}” is not one"
            )
        return template


class WholeLines(Extension):
    """Keeps the line break after a tag that shares its line with text, or that takes in a file.

    Jinja2's ``trim_blocks`` removes it after every tag, which would glue two lines of a mail.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source with ``+%}`` where the line break matters."""
        del name, filename
        return "\n".join(_keeping_break(line) for line in source.split("\n"))


def _keeping_break(line: str) -> str:
    end = line.rstrip()
    if not end.endswith("%}") or end.endswith(("-%}", "+%}")):
        return line
    if _TAG.sub("", end).strip() or "include" in end:
        return f"{end[:-2]}+%}}"
    return line


class FilesLoader(BaseLoader):
    """Gives Jinja2 the template files, with their lines where they stand in the file."""

    def __init__(self, files: TemplateFiles) -> None:
        self._files = files

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        """The text of a file; the front matter becomes a comment as long as it was."""
        del environment
        file = self._files.file(template)
        return file.body, file.shown_as, lambda: True


def make_environment(files: TemplateFiles, filters: Mapping[str, Any]) -> ClosedEnvironment:
    """An environment over a folder's files, with plugins' filters beside the built-in ones."""
    environment = ClosedEnvironment(
        loader=FilesLoader(files),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=Unknown,
        finalize=_finalize,
        extensions=[WholeLines],
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=400,
        auto_reload=False,
    )
    environment.filters |= {**filters, **BUILTIN_FILTERS, "default": _default, "d": _default}
    environment.tests |= {"none": _is_none}
    del environment.globals["lipsum"]  # it has no bound
    return environment


def _finalize(value: object) -> object:
    written = as_text(value)
    if isinstance(written, str) and not hasattr(written, "__html__"):
        return isolated(written, current_reader())
    return written


def _default(value: object, otherwise: object = "", also_false: bool = False) -> object:
    if isinstance(value, Unknown):
        value._fail()  # noqa: SLF001  a misspelt name must not hide behind its default
    missing = value is None or isinstance(value, Empty) or (also_false and not value)
    return otherwise if missing else value


def _is_none(value: object) -> bool:
    return value is None or isinstance(value, Empty)


def sentence_of(error: Exception) -> str:
    """What went wrong in a template, for its author."""
    if isinstance(error, TemplateSyntaxError):
        return error.message or "this is not valid Jinja2"
    if isinstance(error, UndefinedError | FilterError | SecurityError | TemplateRuntimeError):
        return str(error)
    if isinstance(error, RecursionError):
        return "this includes itself without end"
    return f"this cannot be worked out: {error}"
