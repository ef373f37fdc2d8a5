"""Records as the API tells them, and inputs as it reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync_hubspot.simulator.derived import calculated
from crmsync_hubspot.simulator.errors import PortalError, bad_json
from crmsync_hubspot.simulator.links import CATEGORIES
from crmsync_hubspot.simulator.values import told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crmsync_hubspot.simulator.definitions import ObjectType
    from crmsync_hubspot.simulator.portal import Portal
    from crmsync_hubspot.simulator.records import Record

_CALCULATED = ("hs_object_id", "hs_is_closed", "hs_is_closed_won", "associatedcompanyid")
MOST_INPUTS = 100
# How many values of a property are kept.
_VERSIONS, _VERSIONS_OF = 20, {"contacts": 45}


def record_body(
    portal: Portal,
    kind: ObjectType,
    one: Record,
    names: Iterable[str],
    history: Sequence[str] = (),
) -> dict[str, Any]:
    """A record with some of its properties."""
    kept = one.items()
    special = {*_CALCULATED, kind.created, kind.modified}
    properties: dict[str, str | None] = {}
    for name in names:
        value = calculated(portal, kind, one, name) if name in special else kept.get(name)
        if value is not None:
            properties[name] = value
        elif portal.settings.null_values and kind.live(name) is not None:
            properties[name] = None
    body: dict[str, Any] = {
        "id": str(one.id),
        "properties": properties,
        "createdAt": told(one.created),
        "updatedAt": told(one.updated),
        "archived": one.archived is not None,
    }
    if one.archived is not None:
        body["archivedAt"] = told(one.archived)
    if history:
        body["propertiesWithHistory"] = {
            name: _versions(portal, kind, one, name)
            for name in history
            if kind.live(name) is not None
        }
    return body


def whole_body(portal: Portal, kind: ObjectType, one: Record) -> dict[str, Any]:
    """A record with all its properties, as a write answers."""
    names = [*one.names, kind.created, kind.modified, "hs_object_id"]
    return record_body(portal, kind, one, names)


def asked_for(kind: ObjectType, names: Sequence[str] | None) -> list[str]:
    """The properties to tell: those that were named, and in any case id and instants."""
    if names is None:
        return list(kind.defaults)
    basics = (kind.created, kind.modified, "hs_object_id")
    return list(dict.fromkeys([*names, *basics]))


def _versions(portal: Portal, kind: ObjectType, one: Record, name: str) -> list[dict[str, Any]]:
    """What a property was, the newest value first."""
    versions = portal.tables[kind.name].history.get(one.id, {}).get(name)
    if versions is None:
        value = portal.value(kind, one, name)
        if value is None:
            return []
        return [{"value": value, "timestamp": told(one.created), "sourceType": "INTEGRATION"}]
    return [
        {"value": version.value, "timestamp": told(version.at), "sourceType": version.source}
        for version in versions[: -_VERSIONS_OF.get(kind.name, _VERSIONS) - 1 : -1]
    ]


def inputs_of(body: dict[str, Any], most: int = MOST_INPUTS) -> list[dict[str, Any]]:
    """The inputs of a batch.

    Raises:
        PortalError: there are none, or too many.
    """
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(one, dict) for one in inputs):
        raise bad_json("inputs must be a list of objects")
    if len(inputs) > most:
        raise PortalError(
            f"The maximum number of inputs supported in a batch request is {most}. "
            f"Received {len(inputs)}"
        )
    return inputs


def properties_of(one: dict[str, Any]) -> dict[str, str]:
    """The values of an input; all of them are texts.

    Raises:
        PortalError: they are not there, or something else.
    """
    values = one.get("properties")
    if not isinstance(values, dict):
        raise bad_json("properties must be an object")
    for name, value in values.items():
        if not isinstance(value, str):
            raise bad_json(f"the value of {name} must be a text")
    return values


def text_of(one: dict[str, Any], name: str) -> str:
    """A text that an input must have.

    Raises:
        PortalError: it is not there, or something else.
    """
    value = one.get(name)
    if not isinstance(value, str) or not value:
        raise bad_json(f"{name} must be a text")
    return value


def maybe_text(one: dict[str, Any], name: str) -> str:
    """A text that an input may have; empty where it has none.

    Raises:
        PortalError: it is something else.
    """
    value = one.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_json(f"{name} must be a text")
    return value or ""


def objects_of(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects that a body may have; empty where it has none.

    Raises:
        PortalError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise bad_json(f"{name} must be a list of objects")
    return value


def specs_of(types: Any) -> list[dict[str, Any]]:  # noqa: ANN401  JSON is anything
    """The types of an association, as far as their shape goes.

    Raises:
        PortalError: they are not there, or something else.
    """
    if not isinstance(types, list) or not all(isinstance(one, dict) for one in types):
        raise bad_json("types must be a list of objects")
    for one in types:
        if one.get("associationCategory") not in CATEGORIES:
            raise bad_json(f"associationCategory must be one of {', '.join(CATEGORIES)}")
        number = one.get("associationTypeId")
        if isinstance(number, bool) or not isinstance(number, int):
            raise bad_json("associationTypeId must be a number")
    return types


def id_of(text: str) -> int:
    """The id that a text is.

    Raises:
        PortalError: it is none.
    """
    if not text.isdecimal() or len(text) > 18:  # noqa: PLR2004  what 64 bits hold
        raise PortalError(
            f"Object not found.  objectId are usually numeric. Received: {text}",
            status=404,
            category="OBJECT_NOT_FOUND",
        )
    return int(text)


def texts_of(body: dict[str, Any], name: str) -> list[str] | None:
    """A list of texts; None where it is not there."""
    if body.get(name) is None:
        return None
    value = body[name]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise bad_json(f"{name} must be a list of texts")
    return value


def batch_body(
    portal: Portal, results: list[dict[str, Any]], errors: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """What a batch answers with."""
    now = told(portal.now())
    body: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": now,
        "completedAt": now,
    }
    if errors:
        body |= {"numErrors": len(errors), "errors": list(errors)}
    return body
