"""The files of a templates folder: parts, variants by locale, front matter.

``renewal/check-in.txt`` makes the template ``renewal/check-in``; beside it may stand
``check-in.html`` and variants such as ``check-in.de.txt`` and ``check-in.de_CH.html``.
What starts with an underscore is there to be included, and makes no template.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from jinja2 import TemplateNotFound
from pydantic import Field

from crmsync.config.base import Settings, validate
from crmsync.config.yaml import Place, Problems, nearest, parse_yaml
from crmsync.errors import InvalidInputError
from crmsync.templating.locales import parse_locale, variant_names

if TYPE_CHECKING:
    from babel import Locale

_FENCE = "---"
_LARGEST = 1_000_000  # bytes; a mail's template is a few thousand


class FrontMatter(Settings):
    """What stands above the text part, between two lines of ``---``.

    ``class`` and ``requires`` of a variant are those of the base where it does not give its own.
    ``locale`` is the language that a base is written in; the company's where it is not given.
    """

    subject: str
    email_class: Literal["commercial", "service"] | None = Field(default=None, alias="class")
    requires: list[str] | None = None
    locale: str | None = None


@dataclass(frozen=True, kw_only=True)
class TemplateFile:
    """One file. ``body`` is as many lines as the file, the front matter a comment in it."""

    name: str
    shown_as: str
    body: str
    front: FrontMatter | None
    front_places: dict[str, Place]

    def place(self, line: int, column: int = 1) -> Place:
        """A place in this file."""
        return Place(file=self.shown_as, line=line, column=column)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a template that serve a locale.

    Attributes:
        locale: for what it is formatted: the asked one where the text is in its language.
    """

    name: str
    text: TemplateFile
    html: TemplateFile | None
    subject: str
    email_class: str
    requires: tuple[str, ...]
    locale: Locale


class TemplateFiles:
    """A folder of templates, each file read at most once."""

    def __init__(self, folder: Path, *, shown_as: str) -> None:
        self._folder = folder
        self._shown_as = shown_as
        self._read: dict[str, TemplateFile] = {}

    def names(self) -> list[str]:
        """The templates of the folder, sorted."""
        found = set()
        for path in self._folder.rglob("*.txt"):
            relative = PurePosixPath(path.relative_to(self._folder).as_posix())
            if not any(part.startswith(("_", ".")) for part in relative.parts):
                found.add(str(relative.parent / relative.name.split(".")[0]))
        return sorted(found)

    def files_of(self, name: str) -> list[str]:
        """All files of a template: its base, then its variants."""
        folder = self._folder / PurePosixPath(name).parent
        stem = glob.escape(PurePosixPath(name).name)
        return sorted(
            path.relative_to(self._folder).as_posix()
            for kind in ("txt", "html")
            for path in (*folder.glob(f"{stem}.{kind}"), *folder.glob(f"{stem}.*.{kind}"))
        )

    def exists(self, file_name: str) -> bool:
        """Whether there is such a file within the folder."""
        return self._path(file_name) is not None

    def file(self, file_name: str) -> TemplateFile:
        """A file by its path from the folder.

        Raises:
            TemplateNotFound: there is none, or it lies outside the folder.
            InvalidInputError: it is not text, or its front matter holds mistakes.
        """
        if file_name not in self._read:
            path = self._path(file_name)
            if path is None:
                raise TemplateNotFound(
                    file_name, f"there is no file “{file_name}” in {self._shown_as}"
                )
            self._read[file_name] = _parse(file_name, f"{self._shown_as}/{file_name}", path)
        return self._read[file_name]

    def lines(self, shown_as: str) -> list[str]:
        """The lines of a file that was read, by the name under which persons know it."""
        file = next((file for file in self._read.values() if file.shown_as == shown_as), None)
        return [] if file is None else file.body.split("\n")

    def parts(self, name: str, locale: Locale, company_locale: Locale) -> Parts:
        """The parts that serve a locale: the closest variant of the text, and its own HTML.

        A text and an HTML part of two languages never make one mail.

        Raises:
            InvalidInputError: there is no such template, or its front matter holds mistakes.
        """
        if not self.exists(f"{name}.txt"):
            raise InvalidInputError([f"{self._shown_as}: {self.unknown(name)}"])
        base = self.file(f"{name}.txt")
        variants = [
            f"{name}.{variant}"
            for variant in variant_names(locale)
            if self.exists(f"{name}.{variant}.txt")
        ]
        stem = variants[0] if variants else name
        text = self.file(f"{stem}.txt")
        front, base_front = _front(text), _front(base)
        html = f"{stem}.html"
        requires = base_front.requires if front.requires is None else front.requires
        return Parts(
            name=name,
            text=text,
            html=self.file(html) if self.exists(html) else None,
            subject=front.subject,
            email_class=front.email_class or base_front.email_class or "commercial",
            requires=tuple(requires or ()),
            locale=_written_for(text, locale, company_locale, is_variant=bool(variants)),
        )

    def unknown(self, name: str) -> str:
        """The sentence for a template that is not there."""
        return f"there is no template “{name}”{nearest(name, self.names())}"

    def _path(self, file_name: str) -> Path | None:
        pure = PurePosixPath(file_name)
        if pure.is_absolute() or ".." in pure.parts or "\\" in file_name or "\0" in file_name:
            return None
        path = (self._folder / pure).resolve()
        # A symbolic link may point anywhere; what counts is where it ends.
        inside = path.is_relative_to(self._folder.resolve())
        return path if inside and path.is_file() else None


def _front(file: TemplateFile) -> FrontMatter:
    if file.front is None:
        raise InvalidInputError(
            [f"{file.place(1)}: this needs a front matter: “---”, “subject: …”, “---”"]
        )
    return file.front


def _written_for(text: TemplateFile, asked: Locale, company: Locale, *, is_variant: bool) -> Locale:
    """The asked locale where the text is in its language; else that of the text."""
    declared = parse_locale(_front(text).locale)
    written = asked if is_variant and declared is None else declared or company
    if asked.language == written.language:
        return asked
    return company if company.language == written.language else written


def _parse(name: str, shown_as: str, path: Path) -> TemplateFile:
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidInputError([f"{shown_as}:1:1: this is too large for a template"])
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInputError([f"{shown_as}:1:1: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError:
        raise InvalidInputError([f"{shown_as}:1:1: is not UTF-8 text; save it as UTF-8"]) from None
    text = text.replace("\r\n", "\n")
    if not name.endswith(".txt") or not text.startswith(f"{_FENCE}\n"):
        return TemplateFile(name=name, shown_as=shown_as, body=text, front=None, front_places={})
    lines = text.split("\n")
    try:
        end = lines.index(_FENCE, 1)
    except ValueError:
        raise InvalidInputError(
            [f"{shown_as}:1:1: the front matter has no end; close it with a line “---”"]
        ) from None
    front, places = _parse_front("\n".join(["", *lines[1:end]]), shown_as)
    comment = "{#" + "\n" * end + "#}"
    body = "\n".join([comment, *lines[end + 1 :]])
    return TemplateFile(name=name, shown_as=shown_as, body=body, front=front, front_places=places)


def _parse_front(text: str, shown_as: str) -> tuple[FrontMatter, dict[str, Place]]:
    document = parse_yaml(text, shown_as)
    problems = Problems()
    read = validate(FrontMatter, document.data, document=document, path=(), problems=problems)
    if read is not None and read.locale is not None and parse_locale(read.locale) is None:
        problems.add(
            document.place(("locale",)),
            f"“{read.locale}” is not a locale; write for example en or de_CH",
        )
    front = problems.checked(read)
    places = {key: document.place((key,)) for key in ("subject", "requires", "locale")}
    for index in range(len(front.requires or ())):
        places[f"requires.{index}"] = document.place(("requires", index))
    return front, places
