"""Reads conditions that a person gives on the command line, in the language of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.config.yaml import Problems, nearest, parse_yaml
from crmsync.rules.reading.conditions import ConditionParser
from crmsync.rules.unknown import settle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.catalog import Catalog
    from crmsync.rules.conditions import Condition
    from crmsync.rules.reading.segments import Segment


def condition_of(
    text: str, table: str, catalog: Catalog, segments: Mapping[str, Segment], *, called: str
) -> Condition:
    """The condition that a text means about the records of a table.

    Args:
        text: YAML, such as ``status: churned`` or a list of conditions.
        called: what mistakes are placed in, for example ``--outcome``.

    Raises:
        InvalidInputError: it holds mistakes; all of them are named.
    """
    document, problems = parse_yaml(text, called), Problems()

    def segment(name: str, subject: str) -> tuple[Condition, int]:
        if name not in segments:
            raise ValueError(f"there is no segment “{name}”{nearest(name, segments)}")
        found = segments[name]
        if found.subject != subject:
            raise ValueError(f"the segment “{name}” is about {found.subject}, and not {subject}")
        return found.when, 1

    read = ConditionParser(catalog, document, problems, segment).parse(document.data, table, ())
    problems.raise_if_any()
    assert read is not None  # noqa: S101  without problems there is a condition
    return settle(read)
