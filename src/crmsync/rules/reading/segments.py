"""Segments: named lists of conditions, each in a file of its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.config.yaml import nearest
from crmsync.errors import EnoughMistakesError
from crmsync.rules.reading.conditions import ConditionParser
from crmsync.rules.reading.heads import (
    FileKind,
    check_keys,
    parse_description,
    parse_name,
    parse_subject,
)

if TYPE_CHECKING:
    from crmsync.config.yaml import Document, Problems
    from crmsync.model.catalog import Catalog
    from crmsync.rules.conditions import Condition

SEGMENT_FILE = FileKind(
    name="segment",
    keys=("segment", "subject", "description", "when"),
    needed=("segment", "subject", "when"),
)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A named list of conditions."""

    name: str
    subject: str
    description: str
    when: Condition


class Segments:
    """The segments by name; each is read when it is first asked for."""

    def __init__(self, catalog: Catalog, problems: Problems) -> None:
        self._catalog = catalog
        self._problems = problems
        self._documents: dict[str, Document] = {}
        self._read: dict[str, Segment | None] = {}
        self._open: list[str] = []
        self._counts: dict[str, int] = {}

    def add(self, document: Document) -> None:
        """Take in a file."""
        if not check_keys(document, SEGMENT_FILE, self._problems):
            return
        name = parse_name(document, SEGMENT_FILE, self._problems)
        if name in self._documents:
            first = self._documents[name].file
            self._problems.add(
                document.place(("segment",)), f"a segment “{name}” stands in {first} already"
            )
        elif name is not None:
            self._documents[name] = document

    def all(self) -> dict[str, Segment]:
        """Every segment without a mistake."""
        read = {name: self._segment(name) for name in self._documents}
        return {name: segment for name, segment in read.items() if segment is not None}

    def condition(self, name: str, table: str) -> tuple[Condition, int] | None:
        """What the segment means, and how many conditions that is; None where it has mistakes.

        Raises:
            ValueError: there is none, it is about another subject, or contains itself.
        """
        if name not in self._documents:
            raise ValueError(f"there is no segment “{name}”{nearest(name, self._documents)}")
        if name in self._open:
            circle = " → ".join((*self._open[self._open.index(name) :], name))
            raise ValueError(f"the segment “{name}” contains itself: {circle}")
        segment = self._segment(name)
        if segment is not None and segment.subject != table:
            raise ValueError(f"the segment “{name}” is about {segment.subject}, and not {table}")
        return None if segment is None else (segment.when, self._counts[name])

    def document(self, name: str) -> Document:
        """The file of a segment."""
        return self._documents[name]

    def _segment(self, name: str) -> Segment | None:
        if name not in self._read:
            self._open.append(name)
            self._read[name] = None
            with suppress(EnoughMistakesError):  # noted; the other files are still to be read
                self._read[name] = self._parse(name, self._documents[name])
            self._open.pop()
        return self._read[name]

    def _parse(self, name: str, document: Document) -> Segment | None:
        subject = parse_subject(document, self._catalog, self._problems)
        if subject is None:
            return None
        parser = ConditionParser(self._catalog, document, self._problems, self.condition)
        when = parser.parse(document.data["when"], subject, ("when",))
        description = parse_description(document, self._problems)
        self._counts[name] = parser.count
        if when is None:
            return None
        return Segment(name=name, subject=subject, description=description, when=when)
