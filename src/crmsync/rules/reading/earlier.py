"""A rule as it was: read again from the text that is kept with its version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.config.policy import Policy
from crmsync.config.yaml import Problems
from crmsync.rules.reading.rule import OF_THE_VERSION, RuleParser
from crmsync.rules.reading.segments import Segments
from crmsync.rules.reading.sources import documents_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from crmsync.model.catalog import Catalog
    from crmsync.rules.language import Rule


def rule_as_it_was(
    present: Rule, version: str, source: str, catalog: Catalog, teams: Collection[str]
) -> Rule:
    """What an earlier version asks and does; all else is as the present one says it.

    Raises:
        InvalidInputError: it names what is no longer there, a field or a team for example.
    """
    problems = Problems()
    document, segment_documents = documents_of(source, OF_THE_VERSION)
    segments = Segments(catalog, problems)
    for one in segment_documents:
        segments.add(one)
    parser = RuleParser(
        catalog=catalog, problems=problems, segments=segments, teams=teams, policy=Policy()
    )
    was = parser.parse(document)
    problems.raise_if_any()
    assert was is not None  # noqa: S101  without problems there is a rule
    return replace(
        present,
        subject=was.subject,
        when=was.when,
        way=was.way,
        until=was.until,
        once_per=was.once_per,
        once_per_columns=was.once_per_columns,
        repeat_every=was.repeat_every,
        version=version,
        place=was.place,
        source=source,
    )
