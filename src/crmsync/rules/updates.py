"""What rules write into the CRM's own records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.rules import paths
from crmsync.rules.language import UpdateStep, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crmsync.config.yaml import Place
    from crmsync.model.catalog import Catalog
    from crmsync.rules.language import Rule


def updates(rules: Iterable[Rule], catalog: Catalog) -> Mapping[tuple[str, str], Place]:
    """The tables and fields that rules give new values, each with the place of the first."""
    found: dict[tuple[str, str], Place] = {}
    for rule in rules:
        for step in rule.then:
            if isinstance(step, UpdateStep):
                led_to = paths.record(catalog, rule.subject, step.record) if step.record else None
                table = rule.subject if led_to is None else led_to.table
                for name in step.fields:
                    found.setdefault((table, name), place_of(step, name))
    return found
