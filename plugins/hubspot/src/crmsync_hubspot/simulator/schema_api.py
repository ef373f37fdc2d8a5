"""The endpoints for properties, their groups, pipelines, and the schemas of custom objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from crmsync_hubspot.simulator.access import schema_scopes
from crmsync_hubspot.simulator.bodies import (
    batch_body,
    inputs_of,
    maybe_text,
    objects_of,
    text_of,
)
from crmsync_hubspot.simulator.definitions import Property
from crmsync_hubspot.simulator.errors import PortalError, not_allowed, not_found
from crmsync_hubspot.simulator.messages import Answer, Request
from crmsync_hubspot.simulator.values import told

if TYPE_CHECKING:
    from crmsync_hubspot.simulator.access import Access
    from crmsync_hubspot.simulator.definitions import ObjectType
    from crmsync_hubspot.simulator.portal import Portal

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_MOST_UNIQUE = 10
_FIELD_TYPES = {
    "string": {"text", "textarea", "html", "phonenumber", "file"},
    "number": {"number", "calculation_equation"},
    "date": {"date"},
    "datetime": {"date"},
    "enumeration": {"select", "radio", "checkbox", "booleancheckbox", "calculation_equation"},
    "bool": {"booleancheckbox", "calculation_equation"},
    "phone_number": {"phonenumber"},
}


class SchemaApi:
    """Answers requests for what records look like."""

    def __init__(self, portal: Portal, access: Access) -> None:
        self._portal, self._access = portal, access

    def properties(self, request: Request) -> Answer:
        """Answer a request whose route is ``properties``, a type, and more."""
        kind = self._portal.type(request.route[1])
        self._need(kind, writes=request.writes)
        match request.method, request.route[2:]:
            case "GET", ():
                return self._all(kind, archived=request.flag("archived"))
            case "POST", ():
                return Answer(status=201, body=property_body(self.create(kind, request.fields())))
            case "POST", ("batch", verb):
                return self._batch(kind, verb, request.fields())
            case _, ("groups", *rest):
                return self._groups(kind, request, rest)
            case "GET", (name,):
                one = kind.properties.get(name)
                if one is None or (one.archived is not None) != request.flag("archived"):
                    raise _no_property(name)
                return Answer(body=property_body(one))
            case "PATCH", (name,):
                return Answer(body=property_body(self._update(kind, name, request.fields())))
            case "DELETE", (name,):
                self._archive(kind, name)
                return Answer(status=204)
        raise not_found()

    def pipelines(self, request: Request) -> Answer:
        """Answer a request whose route is ``pipelines``, a type, and more."""
        kind = self._portal.type(request.route[1])
        self._need(kind, writes=request.writes)
        all_of = self._portal.pipelines.get(kind.name, {})
        if request.method != "GET":
            raise not_allowed()
        match request.route[2:]:
            case ():
                return Answer(body={"results": [one.as_body() for one in all_of.values()]})
            case (name,) if name in all_of:
                return Answer(body=all_of[name].as_body())
            case (name, "stages") if name in all_of:
                stages = all_of[name].stages.values()
                return Answer(body={"results": [one.as_body() for one in stages]})
            case (name, "stages", stage) if name in all_of and stage in all_of[name].stages:
                return Answer(body=all_of[name].stages[stage].as_body())
        raise not_found()

    def create(self, kind: ObjectType, body: dict[str, Any]) -> Property:
        """Add a property, as an administrator or an app does.

        Raises:
            PortalError: it is refused.
        """
        name = text_of(body, "name")
        for required in ("label", "type", "fieldType", "groupName"):
            text_of(body, required)
        if not _NAME.fullmatch(name):
            raise PortalError(
                f"Property name {name} is invalid: it begins with a letter and has only small "
                "letters, digits and underscores",
            )
        if kind.properties.get(name) is not None:
            raise PortalError(
                f"A property named '{name}' already exists.",
                status=409,
                category="OBJECT_ALREADY_EXISTS",
                context={"name": [name]},
            )
        if body["fieldType"] not in _FIELD_TYPES.get(body["type"], ()):
            raise PortalError(f"fieldType {body['fieldType']} does not go with type {body['type']}")
        self._check_group(kind, body["groupName"])
        if body.get("hasUniqueValue"):
            self._check_unique(kind, body["type"])
        options = [_option(one, place) for place, one in enumerate(objects_of(body, "options"))]
        now = self._portal.now()
        one = Property(
            name=name,
            type=body["type"],
            field_type=body["fieldType"],
            label=body["label"],
            group=body["groupName"],
            description=maybe_text(body, "description"),
            options=options,
            multiple=body["fieldType"] == "checkbox",
            unique=bool(body.get("hasUniqueValue")),
            hidden=bool(body.get("hidden")),
            form_field=bool(body.get("formField")),
            display_order=body.get("displayOrder", -1),
            created=now,
            updated=now,
        )
        kind.add(one)
        return one

    def _need(self, kind: ObjectType, *, writes: bool) -> None:
        scopes = schema_scopes(kind.name, custom=kind.custom is not None, writes=writes)
        self._access.require(*scopes)

    def _all(self, kind: ObjectType, *, archived: bool) -> Answer:
        found = [
            property_body(one)
            for one in kind.properties.values()
            if (one.archived is not None) == archived
        ]
        return Answer(body={"results": found})

    def _check_group(self, kind: ObjectType, name: str) -> None:
        if name not in self._group_bodies(kind):
            raise PortalError(
                f"Property group {name} does not exist for {kind.name}",
                context={"groupName": [name]},
            )

    def _check_unique(self, kind: ObjectType, value_type: str) -> None:
        if kind.custom is None and kind.name not in self._portal.settings.unique_on:
            raise PortalError(f"hasUniqueValue is not supported for {kind.name}")
        if value_type not in {"string", "number"}:
            raise PortalError(f"hasUniqueValue is not supported for type {value_type}")
        own = [p for p in kind.properties.values() if p.unique and not p.hubspot_defined]
        if len(own) >= _MOST_UNIQUE:
            raise PortalError(f"{kind.name} have {_MOST_UNIQUE} unique properties already")

    def _batch(self, kind: ObjectType, verb: str, body: dict[str, Any]) -> Answer:
        inputs = inputs_of(body)
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for one in inputs:
            name = text_of(one, "name")
            try:
                match verb:
                    case "create":
                        results.append(property_body(self.create(kind, one)))
                    case "archive":
                        self._archive(kind, name)
                    case "read":
                        found = kind.properties.get(name)
                        archived = bool(body.get("archived"))
                        if found is None or (found.archived is not None) != archived:
                            raise _no_property(name)
                        results.append(property_body(found))
                    case _:
                        raise not_found()
            except PortalError as error:
                errors.append(error.as_item(name=[name]))
        if verb == "archive":
            return Answer(status=204)
        status = 207 if errors else (201 if verb == "create" else 200)
        return Answer(status=status, body=batch_body(self._portal, results, errors))

    def _update(self, kind: ObjectType, name: str, body: dict[str, Any]) -> Property:
        one = kind.live(name)
        if one is None:
            raise _no_property(name)
        if one.hubspot_defined:
            raise PortalError(f"The definition of {name} is read only", context={"name": [name]})
        one.label = maybe_text(body, "label") or one.label
        one.description = maybe_text(body, "description") or one.description
        if "options" in body:
            one.options = [
                _option(told, place) for place, told in enumerate(objects_of(body, "options"))
            ]
        one.updated = self._portal.now()
        return one

    def _archive(self, kind: ObjectType, name: str) -> None:
        one = kind.live(name)
        if one is None:
            raise _no_property(name)
        if one.hubspot_defined:
            raise PortalError(f"{name} cannot be archived", context={"name": [name]})
        one.archived = self._portal.now()

    def _group_bodies(self, kind: ObjectType) -> dict[str, dict[str, Any]]:
        own = self._portal.groups.setdefault(kind.name, {})
        for one in kind.properties.values():
            own.setdefault(
                one.group,
                {"name": one.group, "label": one.group, "displayOrder": 0, "archived": False},
            )
        return own

    def _groups(self, kind: ObjectType, request: Request, rest: list[str]) -> Answer:
        groups = self._group_bodies(kind)
        match request.method, rest:
            case "GET", []:
                return Answer(body={"results": list(groups.values())})
            case "GET", [name] if name in groups:
                return Answer(body=groups[name])
            case "POST", []:
                body = request.fields()
                name, label = text_of(body, "name"), text_of(body, "label")
                if name in groups:
                    raise PortalError(
                        f"A property group named '{name}' already exists.",
                        status=409,
                        category="OBJECT_ALREADY_EXISTS",
                    )
                order = body.get("displayOrder", -1)
                groups[name] = {
                    "name": name,
                    "label": label,
                    "displayOrder": order,
                    "archived": False,
                }
                return Answer(status=201, body=groups[name])
        raise not_found()


def property_body(one: Property) -> dict[str, Any]:
    """A property, as the API tells it."""
    body: dict[str, Any] = {
        "name": one.name,
        "label": one.label,
        "type": one.type,
        "fieldType": one.field_type,
        "description": one.description,
        "groupName": one.group,
        "options": one.options,
        "displayOrder": one.display_order,
        "calculated": one.calculated,
        "externalOptions": one.external or bool(one.source),
        "hasUniqueValue": one.unique,
        "hidden": one.hidden,
        "hubspotDefined": one.hubspot_defined,
        "formField": one.form_field,
        "dataSensitivity": "non_sensitive",
        "archived": one.archived is not None,
        "modificationMetadata": {
            "archivable": not one.hubspot_defined,
            "readOnlyDefinition": one.hubspot_defined,
            "readOnlyValue": one.read_only,
        },
    }
    if one.source == "owner":
        body["referencedObjectType"] = "OWNER"
    for name, at in (
        ("createdAt", one.created),
        ("updatedAt", one.updated),
        ("archivedAt", one.archived),
    ):
        if at is not None:
            body[name] = told(at)
    return body


def _option(one: dict[str, Any], place: int) -> dict[str, Any]:
    return {
        "label": text_of(one, "label"),
        "value": text_of(one, "value"),
        "displayOrder": one.get("displayOrder", place),
        "hidden": bool(one.get("hidden")),
    }


def _no_property(name: str) -> PortalError:
    return PortalError(
        f"Property {name} does not exist",
        status=404,
        category="OBJECT_NOT_FOUND",
        context={"propertyName": [name]},
    )
