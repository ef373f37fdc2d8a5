"""What the portal looks at before it keeps values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_hubspot.simulator.errors import PortalError, invalid_values
from crmsync_hubspot.simulator.values import InvalidValueError, accepted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync_hubspot.simulator.definitions import ObjectType, Property
    from crmsync_hubspot.simulator.portal import Portal
    from crmsync_hubspot.simulator.records import Record


def checked(
    portal: Portal, kind: ObjectType, values: Mapping[str, str], old: Record | None
) -> dict[str, str]:
    """Values as they are kept; an empty one takes the value away.

    Raises:
        PortalError: some of them are refused.
    """
    kept: dict[str, str] = {}
    problems: list[tuple[str, str, str]] = []
    for name, text in values.items():
        one = kind.live(name)
        if one is None:
            words = f'Property "{name}" does not exist'
            problems.append((name, "PROPERTY_DOESNT_EXIST", words))
        elif one.read_only:
            words = f'"{name}" is a read only property; its value cannot be set.'
            problems.append((name, "READ_ONLY_VALUE", words))
        else:
            try:
                kept[name] = accepted(one, text) if text else ""
                if text and one.source == "owner":
                    _refuse_strangers(portal, text)
                elif text and one.source:
                    _refuse_others(text, _options(portal, kind, one, kept, old))
            except InvalidValueError as error:
                problems.append((name, error.code, error.words))
    if problems:
        raise invalid_values(problems)
    refuse_duplicate(portal, kind, kept, old)
    return kept


def _refuse_strangers(portal: Portal, text: str) -> None:
    if not (text.isdecimal() and int(text) in portal.owners):
        raise InvalidValueError("INVALID_OWNER_ID", f"Owner {text} does not exist")


def _refuse_others(text: str, options: list[str]) -> None:
    if text not in options:
        told = ", ".join(options)
        raise InvalidValueError(
            "INVALID_OPTION", f"{text} was not one of the allowed options: [{told}]"
        )


def _options(
    portal: Portal,
    kind: ObjectType,
    one: Property,
    values: Mapping[str, str],
    old: Record | None,
) -> list[str]:
    """The ids of pipelines or stages that a property takes."""
    pipelines = portal.pipelines.get(kind.name, {})
    if one.source == "pipeline":
        return list(pipelines)
    within = "hs_pipeline" if one.name == "hs_pipeline_stage" else "pipeline"
    chosen = values.get(within) or (old.get(within) if old is not None else None)
    return [
        stage.id
        for pipeline in pipelines.values()
        if chosen in {None, pipeline.id}
        for stage in pipeline.stages.values()
    ]


def refuse_duplicate(
    portal: Portal, kind: ObjectType, kept: Mapping[str, str], old: Record | None
) -> None:
    """Refuse a value that another record has, where it can be there once only.

    Raises:
        PortalError: it is there.
    """
    table = portal.tables[kind.name]
    for name, value in kept.items():
        if not kind.properties[name].unique or not value:
            continue
        found = table.with_value(name, value)
        if found is None or (old is not None and found == old.id):
            continue
        if (kind.name, name) == ("contacts", "email"):
            raise PortalError(
                f"Contact already exists. Existing ID: {found}",
                status=409,
                category="CONFLICT",
            )
        words = (
            f'A(n) {kind.id} object with id {found} already has the value "{value}" '
            f"for property {name}"
        )
        raise invalid_values([(name, "CONFLICTING_UNIQUE_VALUE", words)])
