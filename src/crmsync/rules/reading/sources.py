"""The text of a rule, segments included, as one text that is kept with its version."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.config.yaml import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from crmsync.config.yaml import Document


def source_of(rule: Document, segments: Iterable[Document]) -> str:
    """The files of a rule and of its segments: name and text of each, the rule first, as JSON."""
    return json.dumps([[one.file, one.text] for one in (rule, *segments)], ensure_ascii=False)


def documents_of(source: str, keys: Collection[str]) -> tuple[Document, list[Document]]:
    """The rule of a source, cut down to some keys, and its segments.

    Raises:
        InvalidInputError: this version of crmsync does not read the YAML of it.
    """
    rule, *segments = [parse_yaml(text, f"{file} (as it was)") for file, text in json.loads(source)]
    said = {key: value for key, value in rule.data.items() if key in keys}
    return replace(rule, data=said), segments
