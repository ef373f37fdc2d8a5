"""YAML as RevOps expect it: 1.2 booleans, no duplicate keys, and the place of every value."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from crmsync.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from pathlib import Path

Path_ = tuple[str | int, ...]


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


class Problems:
    """Collects mistakes, so that a person sees all of them at once."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def add(self, place: Place, sentence: str) -> None:
        """Note a mistake at a place."""
        self.sentences.append(f"{place}: {sentence}")

    def raise_if_any(self) -> None:
        """Raise what was collected.

        Raises:
            InvalidInputError: something was.
        """
        if self.sentences:
            raise InvalidInputError(self.sentences)


def nearest(name: object, valid: Iterable[str]) -> str:
    """A hint for an unknown name: “; did you mean …?”, or the valid names where few."""
    choices = sorted(set(valid))
    in_small = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(str(name).lower(), in_small, n=1, cutoff=0.6)
    if close:
        return f"; did you mean “{in_small[close[0]]}”?"
    if len(choices) <= 12:  # noqa: PLR2004  more would bury the sentence
        return f"; known here: {', '.join(choices)}" if choices else ""
    return ""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the core schema of YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}
        and tag not in {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)


_Loader.add_constructor(  # 010 is ten in YAML 1.2, not eight
    "tag:yaml.org,2002:int", lambda _loader, node: int(node.value)
)

# Aliases are followed by copying; this bounds what a file that repeats itself can unfold to.
_MOST_NODES = 200_000


def load_yaml(path: Path, *, shown_as: str | None = None) -> Document:
    """Read a YAML file.

    Raises:
        InvalidInputError: it cannot be read, is no YAML, or a key stands twice.
    """
    name = shown_as or str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInputError([f"{name}:1:1: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError:
        raise InvalidInputError([f"{name}:1:1: is not UTF-8 text; save it as UTF-8"]) from None
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> Document:
    """Read YAML text; ``name`` is what its places are called after.

    Raises:
        InvalidInputError: it is no YAML, or a key stands twice.
    """
    reader = _Reader(name)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            data = None if node is None else reader.build(loader, node, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (
            Place(file=name, line=mark.line + 1, column=mark.column + 1)
            if mark
            else Place(file=name, line=1, column=1)
        )
        raise InvalidInputError([f"{place}: this is not valid YAML: {error.problem}"]) from None
    except yaml.YAMLError as error:
        raise InvalidInputError([f"{name}:1:1: this is not valid YAML: {error}"]) from None
    reader.problems.raise_if_any()
    return Document(file=name, data=data, text=text, _values=reader.values, _keys=reader.keys)


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[Path_, Place] = {}
        self.keys: dict[Path_, Place] = {}
        self.problems = Problems()
        self._nodes = 0
        self._open: set[int] = set()

    def _place(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return Place(file=self.name, line=mark.line + 1, column=mark.column + 1)

    def build(self, loader: _Loader, node: yaml.Node, path: Path_) -> Any:  # noqa: ANN401  YAML is anything
        self.values[path] = self._place(node)
        self._nodes += 1
        if id(node) in self._open or self._nodes > _MOST_NODES:
            raise InvalidInputError(
                [f"{self._place(node)}: an alias here unfolds without end, or to too much"]
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(loader, node)
        self._open.add(id(node))
        built: object
        if isinstance(node, yaml.MappingNode):
            built = self._mapping(loader, node, path)
        else:
            built = [self.build(loader, item, (*path, i)) for i, item in enumerate(node.value)]
        self._open.discard(id(node))
        return built

    def _scalar(self, loader: _Loader, node: yaml.ScalarNode) -> object:
        try:
            return loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self.problems.add(self._place(node), f"“{node.value}” cannot be read: {error}")
            return None

    def _mapping(
        self, loader: _Loader, node: yaml.MappingNode, path: Path_
    ) -> dict[Hashable, object]:
        built: dict[Hashable, object] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                self.problems.add(self._place(key_node), "a key must be a plain word")
                continue
            if key in built:
                self.problems.add(self._place(key_node), f"“{key}” stands twice here")
                continue
            self.keys[*path, key] = self._place(key_node)
            built[key] = self.build(loader, value_node, (*path, key))
        return built
