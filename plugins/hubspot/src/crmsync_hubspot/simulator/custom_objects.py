"""Custom objects: their schemas, and what they can be associated with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync_hubspot.simulator.bodies import text_of, texts_of
from crmsync_hubspot.simulator.definitions import (
    ENGAGEMENTS,
    ObjectType,
    Property,
    options,
    with_basics,
)
from crmsync_hubspot.simulator.errors import PortalError, bad_json, not_found
from crmsync_hubspot.simulator.links import USER_DEFINED, LinkType
from crmsync_hubspot.simulator.messages import Answer, Request
from crmsync_hubspot.simulator.schema_api import property_body
from crmsync_hubspot.simulator.values import told

if TYPE_CHECKING:
    from crmsync_hubspot.simulator.access import Access
    from crmsync_hubspot.simulator.portal import Portal

_FIRST_TYPE, _FIRST_LINK = 170_001, 9001


class CustomObjectsApi:
    """Answers requests whose route begins with ``schemas``."""

    def __init__(self, portal: Portal, access: Access) -> None:
        self._portal, self._access = portal, access
        self._links = _FIRST_LINK

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        if request.writes:
            self._access.require("crm.schemas.custom.write")
        else:
            self._access.require("crm.schemas.custom.read", "crm.objects.custom.read")
        match request.method, request.route[1:]:
            case "GET", ():
                found = [self._body(one) for one in self._portal.types.values() if one.custom]
                return Answer(body={"results": found})
            case "POST", ():
                return Answer(status=201, body=self._body(self.create(request.fields())))
            case "GET", (name,):
                return Answer(body=self._body(self._custom(name)))
            case "DELETE", (name,):
                kind = self._custom(name)
                if next(self._portal.tables[kind.name].live(), None) is not None:
                    raise PortalError(f"{kind.name} cannot be deleted: there are records of it")
                del self._portal.types[kind.name]
                return Answer(status=204)
        raise not_found()

    def create(self, body: dict[str, Any]) -> ObjectType:
        """Let there be a custom object.

        Raises:
            PortalError: it is refused.
        """
        name = text_of(body, "name")
        if name in self._portal.types:
            raise PortalError(
                f"An object type named {name} already exists.",
                status=409,
                category="OBJECT_ALREADY_EXISTS",
            )
        number = _FIRST_TYPE + sum(one.custom is not None for one in self._portal.types.values())
        kind = ObjectType(
            name=name,
            singular=name,
            id=f"2-{number}",
            created="hs_createdate",
            modified="hs_lastmodifieddate",
            custom={
                "fullyQualifiedName": f"p{self._portal.settings.portal_id}_{name}",
                "labels": _labels(body),
                "requiredProperties": texts_of(body, "requiredProperties") or [],
                "searchableProperties": texts_of(body, "searchableProperties") or [],
                "secondaryDisplayProperties": texts_of(body, "secondaryDisplayProperties") or [],
                "at": self._portal.now(),
                "number": number,
            },
        )
        kind.defaults = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")
        for one in body.get("properties") or []:
            self._add(kind, one)
        kind.custom = (kind.custom or {}) | self._display(kind, body)
        self._portal.add_type(with_basics(kind))
        others = [self._portal.type(one).name for one in texts_of(body, "associatedObjects") or []]
        for other in [*others, *sorted(ENGAGEMENTS - set(others))]:
            self._associate(kind.name, other)
        return kind

    def _add(self, kind: ObjectType, one: Any) -> None:  # noqa: ANN401  JSON is anything
        if not isinstance(one, dict):
            raise bad_json("properties must be objects")
        name = text_of(one, "name")
        settings = kind.custom or {}
        values = [text_of(option, "value") for option in one.get("options") or []]
        kind.add(
            Property(
                name=name,
                type=text_of(one, "type"),
                field_type=text_of(one, "fieldType"),
                label=text_of(one, "label"),
                group=one.get("groupName") or f"{kind.singular}information",
                options=options(*values),
                unique=bool(one.get("hasUniqueValue")),
                required=name in settings["requiredProperties"],
                searchable=name in settings["searchableProperties"],
                created=settings["at"],
                updated=settings["at"],
            )
        )

    def _display(self, kind: ObjectType, body: dict[str, Any]) -> dict[str, Any]:
        name = body.get("primaryDisplayProperty")
        if name is None:
            return {}
        if name not in kind.properties:
            raise PortalError(f"primaryDisplayProperty {name} is no property of {kind.name}")
        return {"primaryDisplayProperty": name}

    def _associate(self, name: str, other: str) -> None:
        there, back = self._links, self._links + 1
        self._links += 2
        for number, inverse, source, target in (
            (there, back, name, other),
            (back, there, other, name),
        ):
            self._portal.links.define(
                LinkType(
                    number=number,
                    category=USER_DEFINED,
                    label=None,
                    source=source,
                    target=target,
                    inverse=inverse,
                )
            )

    def _custom(self, name: str) -> ObjectType:
        kind = self._portal.type(name)
        if kind.custom is None:
            raise not_found()
        return kind

    def _body(self, kind: ObjectType) -> dict[str, Any]:
        told_custom = kind.custom or {}
        at = told(told_custom["at"])
        kept = {k: v for k, v in told_custom.items() if k not in {"at", "number"}}
        ids = {one.name: one.id for one in self._portal.types.values()}
        associations = [
            {
                "id": str(number),
                "fromObjectTypeId": kind.id,
                "toObjectTypeId": ids[target],
                "name": f"{kind.name}_to_{target}",
                "createdAt": at,
                "updatedAt": at,
            }
            for (source, target), types in self._portal.links.types.items()
            if source == kind.name
            for number in types
        ]
        return kept | {
            "id": str(told_custom["number"]),
            "name": kind.name,
            "objectTypeId": kind.id,
            "properties": [property_body(one) for one in kind.properties.values()],
            "associations": associations,
            "allowsSensitiveProperties": False,
            "archived": False,
            "createdAt": at,
            "updatedAt": at,
        }


def _labels(body: dict[str, Any]) -> dict[str, str]:
    told_labels = body.get("labels")
    if not isinstance(told_labels, dict):
        raise bad_json("labels must be an object")
    return {name: text_of(told_labels, name) for name in ("singular", "plural")}
