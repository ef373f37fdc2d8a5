"""Reads what files of rules and of segments begin with, and checks which keys stand in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crmsync.config.yaml import nearest
from crmsync.rules.operators import shown

if TYPE_CHECKING:
    from crmsync.config.yaml import Document, Problems
    from crmsync.model.catalog import Catalog


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """A kind of file: which keys it may have, and which it must.

    Attributes:
        name: also the key that bears the name of what stands in the file.
    """

    name: str
    keys: tuple[str, ...]
    needed: tuple[str, ...]


def check_keys(document: Document, kind: FileKind, problems: Problems) -> bool:
    """Whether all that such a file must have is there; unknown keys are noted."""
    data: Any = document.data
    if not isinstance(data, dict):
        problems.add(document.place(), f"a {kind.name} file begins with “{kind.name}: NAME”")
        return False
    for key in data:
        place = document.key_place((key,))
        if key not in kind.keys:
            problems.add(place, f"unknown key “{key}”{nearest(key, kind.keys)}")
    missing = [key for key in kind.needed if key not in data]
    for key in missing:
        problems.add(document.place(), f"“{key}:” is missing in this {kind.name}")
    return not missing


def parse_name(document: Document, kind: FileKind, problems: Problems) -> str | None:
    """What the file calls its rule or segment."""
    name = document.data[kind.name]
    if isinstance(name, str) and name and not any(c.isspace() or c in ":/" for c in name):
        return name
    problems.add(
        document.place((kind.name,)),
        f"a {kind.name}'s name is one word like renewal-at-risk, and not {shown(name)}",
    )
    return None


def parse_subject(document: Document, catalog: Catalog, problems: Problems) -> str | None:
    """The table whose records it looks at."""
    subject = document.data["subject"]
    if isinstance(subject, str) and subject in catalog.tables:
        return subject
    hint = nearest(subject, catalog.tables)
    problems.add(document.place(("subject",)), f"there is no subject {shown(subject)}{hint}")
    return None


def parse_description(document: Document, problems: Problems) -> str:
    """What the file says of itself; empty where it says nothing."""
    description = document.data.get("description", "")
    if not isinstance(description, str):
        problems.add(document.place(("description",)), "“description” is a text")
        return ""
    return description.strip()
