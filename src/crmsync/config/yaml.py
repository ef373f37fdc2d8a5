"""YAML as RevOps expect it: 1.2 booleans, no duplicate keys, and the place of every value."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import yaml

from crmsync.config.yaml_mistakes import Mistake, hidden, told
from crmsync.errors import EnoughMistakesError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from pathlib import Path

Path_ = tuple[str | int, ...]
_MOST_MISTAKES = 100
_LONGEST_SENTENCE = 500
_LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something stands: the file as the person named it; line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True)
class Document:
    """A YAML file: plain Python data, and the place of each value and key by its path."""

    file: str
    data: Any
    text: str
    _values: dict[Path_, Place] = field(repr=False)
    _keys: dict[Path_, Place] = field(repr=False)

    def place(self, path: Path_ = ()) -> Place:
        """The place of the value at a path; of the nearest one above where there is none."""
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, Place(file=self.file, line=1, column=1))

    def key_place(self, path: Path_) -> Place:
        """The place of the key at the end of a path."""
        return self._keys.get(path) or self.place(path)


_Found = TypeVar("_Found")


class Problems:
    """Collects mistakes, so that a person sees all of them at once.

    A file that was never meant for us can hold a mistake in each of its thousand lines; after the
    first hundred the rest of it is left alone.
    """

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self._counts: dict[str, int] = {}

    def add(self, place: Place, sentence: str) -> None:
        """Note a mistake at a place.

        Raises:
            EnoughMistakesError: its file holds very many; all that was collected is in the error.
        """
        count = self._counts.get(place.file, 0) + 1
        self._counts[place.file] = count
        self.sentences.append(f"{place}: {shortened(sentence, _LONGEST_SENTENCE)}")
        if count >= _MOST_MISTAKES:
            self.give_up(place, "what follows here was not looked at; mend the above first")

    def give_up(self, place: Place, sentence: str) -> NoReturn:
        """Note why the rest of a file is not looked at, and leave it.

        Raises:
            EnoughMistakesError: always.
        """
        self.sentences.append(f"{place}: {sentence}")
        raise EnoughMistakesError(self.sentences)

    def raise_if_any(self) -> None:
        """Raise what was collected.

        Raises:
            InvalidInputError: something was.
        """
        if self.sentences:
            raise InvalidInputError(self.sentences)

    def checked(self, found: _Found | None) -> _Found:
        """What was read: None stands for it only where there are mistakes.

        Raises:
            InvalidInputError: there are.
        """
        self.raise_if_any()
        assert found is not None  # noqa: S101  nothing says why it would be missing
        return found


def shortened(text: object, most: int = _LONGEST_NAME) -> str:
    """A text that fits into a sentence."""
    written = str(text)
    return written if len(written) <= most else f"{written[:most]}…"


def nearest(name: object, valid: Iterable[str]) -> str:
    """A hint for an unknown name: “; did you mean …?”, or the valid names where few."""
    choices = sorted(set(valid))
    in_small = {choice.lower(): choice for choice in choices}
    # What is very long is no misspelt name, and slow to compare.
    sought = str(name).lower()[: _LONGEST_NAME + 1]
    close = [] if len(sought) > _LONGEST_NAME else difflib.get_close_matches(sought, in_small, n=1)
    if close:
        return f"; did you mean “{in_small[close[0]]}”?"
    if len(choices) <= 12:  # noqa: PLR2004  more would bury the sentence
        return f"; known here: {', '.join(choices)}" if choices else ""
    return ""


# libyaml where PyYAML was built with it: fifteen times as fast.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE

# The core schema of YAML 1.2.
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True} | {
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?")
_TEXT_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_MERGE = "<<"

# No file of rules comes near these; one that does was not written as rules.
MOST_BYTES = 1_000_000
_MOST_DEPTH = 100
_MOST_UNFOLDED = 10_000
_MOST_DIGITS = 1000


def load_yaml(path: Path, *, shown_as: str | None = None) -> Document:
    """Read a YAML file.

    Raises:
        InvalidInputError: it cannot be read, is no YAML, or a key stands twice.
    """
    name = shown_as or str(path)
    try:
        if path.exists() and not path.is_file():
            raise InvalidInputError([f"{name}:1:1: is no file; give a file this name, or none"])
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InvalidInputError([f"{name}:1:1: {_too_large(size)}"])
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInputError([f"{name}:1:1: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError:
        raise InvalidInputError([f"{name}:1:1: is not UTF-8 text; save it as UTF-8"]) from None
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> Document:
    """Read YAML text; ``name`` is what its places are called after.

    Raises:
        InvalidInputError: it is no YAML, it is too large, or a key stands twice.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MOST_BYTES:
        raise InvalidInputError([f"{name}:1:1: {_too_large(len(text))}"])
    invisible = _UNPRINTABLE.search(text)
    if invisible is not None:
        raise _refused(name, hidden(text, invisible.start()))
    reader = _Reader(name, _Parser(text))
    try:
        data = reader.read()
    except yaml.YAMLError as error:
        raise _refused(name, told(error, text)) from None
    finally:
        reader.parser.dispose()
    reader.problems.raise_if_any()
    return Document(file=name, data=data, text=text, _values=reader.values, _keys=reader.keys)


def _too_large(size: int) -> str:
    return (
        f"is {size / 1e6:.1f} MB large, and a file of rules or settings is a few kB; "
        "does something else lie here, an export perhaps?"
    )


def _refused(name: str, mistake: Mistake) -> InvalidInputError:
    place = Place(file=name, line=mistake.line, column=mistake.column)
    return InvalidInputError([f"{place}: {mistake.sentence}"])


class _Reader:
    """Makes data of the parser's events, and notes the place of each.

    Composing it here and not by PyYAML bounds depth and aliases while they are read.
    """

    def __init__(self, name: str, parser: Any) -> None:
        self.name = name
        self.parser = parser
        self.values: dict[Path_, Place] = {}
        self.keys: dict[Path_, Place] = {}
        self.problems = Problems()
        self._anchors: dict[str, tuple[Path_, object]] = {}
        self._open: set[str] = set()
        self._unfolded = 0

    def read(self) -> Any:
        """The one document."""
        self.parser.get_event()  # the stream's start
        if self.parser.check_event(yaml.StreamEndEvent):
            return None
        self.parser.get_event()  # the document's start
        data = self._node((), self.parser.get_event())
        self.parser.get_event()  # its end
        if not self.parser.check_event(yaml.StreamEndEvent):
            place = self._place(self.parser.get_event())
            self.problems.add(place, "a second document begins here, and a file holds one")
        return data

    def _place(self, event: yaml.Event) -> Place:
        mark: Any = event.start_mark
        return Place(file=self.name, line=mark.line + 1, column=mark.column + 1)

    def _node(self, path: Path_, event: Any) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(path, event)
        self.values[path] = self._place(event)
        if len(path) > _MOST_DEPTH:
            self._too_deep(event)
        if event.anchor is not None:
            self._open.add(event.anchor)
        built: object
        if isinstance(event, yaml.ScalarEvent):
            built = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, "tag:yaml.org,2002:seq")
            built = self._sequence(path)
        else:
            self._check_tag(event, "tag:yaml.org,2002:map")
            built = self._mapping(path)
        if event.anchor is not None:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (path, built)
        return built

    def _sequence(self, path: Path_) -> list[object]:
        built: list[object] = []
        while not isinstance(event := self.parser.get_event(), yaml.SequenceEndEvent):
            built.append(self._node((*path, len(built)), event))
        return built

    def _mapping(self, path: Path_) -> dict[Hashable, object]:
        built: dict[Hashable, object] = {}
        while not isinstance(event := self.parser.get_event(), yaml.MappingEndEvent):
            key = self._key(event)
            if key is None or key in built:
                if key is not None:
                    self.problems.add(self._place(event), f"“{shortened(key)}” stands twice here")
                self._skip(self.parser.get_event())
                continue
            self.keys[*path, key] = self._place(event)
            built[key] = self._node((*path, key), self.parser.get_event())
        return built

    def _key(self, event: Any) -> str | None:
        """A key; None where it cannot be one, noted already."""
        place = self._place(event)
        if not isinstance(event, yaml.ScalarEvent):
            self._skip(event)
            brace = isinstance(event, yaml.MappingStartEvent) and event.flow_style
            hint = "; a text that begins with “{{” needs quotes" if brace else ""
            self.problems.add(place, f"a key must be a plain word{hint}")
            return None
        if event.value == _MERGE and not event.style:
            self.problems.add(place, "“<<” is not known in YAML 1.2; write the keys out")
            return None
        return str(event.value)

    def _skip(self, event: Any) -> None:
        """Read over a node."""
        depth = 0
        while True:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > _MOST_DEPTH:  # the parser takes ever longer for each further level
                    self._too_deep(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth == 0:
                return
            event = self.parser.get_event()

    def _too_deep(self, event: yaml.Event) -> NoReturn:
        self.problems.give_up(
            self._place(event), f"this nests deeper than {_MOST_DEPTH} levels; write it flatter"
        )

    def _scalar(self, event: Any) -> object:
        value: str = event.value
        self._check_tag(event, *_TEXT_TAGS)
        if event.style or event.tag is not None:  # the style of plain text is empty, or None
            return value
        if value in _NULLS:
            return None
        if value in _BOOLEANS:
            return _BOOLEANS[value]
        if not _FLOAT.fullmatch(value):
            return value
        if len(value) > _MOST_DIGITS:
            self.problems.add(self._place(event), f"“{shortened(value)}” is too long for a number")
            return None
        # 010 is ten in YAML 1.2, not eight
        return int(value) if _INTEGER.fullmatch(value) else float(value)

    def _check_tag(self, event: Any, *known: str) -> None:
        if event.tag is not None and event.tag not in known:
            self.problems.add(
                self._place(event),
                "what begins with “!” is a tag, and none are used here; "
                "leave it out, or put the text in quotes",
            )

    def _alias(self, path: Path_, event: Any) -> object:
        name = event.anchor
        if name in self._open:
            self.problems.give_up(
                self._place(event), f"“*{name}” stands within “&{name}”, which it repeats: no end"
            )
        if name not in self._anchors:
            self.problems.add(
                self._place(event),
                f"“*{name}” repeats what “&{name}” marks, and nothing does; a text that begins "
                "with “*” needs quotes",
            )
            self.values[path] = self._place(event)
            return None
        source, data = self._anchors[name]
        self._repeat(data, source, path, event)
        return data

    def _repeat(self, data: object, source: Path_, path: Path_, event: yaml.Event) -> None:
        """Note the places of repeated data: those where it was written."""
        self._unfolded += 1
        if self._unfolded > _MOST_UNFOLDED or len(path) > _MOST_DEPTH:
            self.problems.give_up(
                self._place(event),
                f"the aliases of this file unfold to more than {_MOST_UNFOLDED:,} values, or "
                f"deeper than {_MOST_DEPTH} levels; write out what is meant, or make a segment",
            )
        self.values[path] = self.values[source]
        if source in self.keys and path not in self.keys:
            self.keys[path] = self.keys[source]
        for step, part in _parts(data):
            self._repeat(part, (*source, step), (*path, step), event)


def _parts(data: object) -> Iterable[tuple[Any, object]]:
    """What data is made of, each with the step of a path that leads to it."""
    if isinstance(data, dict):
        return data.items()
    return enumerate(data) if isinstance(data, list) else ()
