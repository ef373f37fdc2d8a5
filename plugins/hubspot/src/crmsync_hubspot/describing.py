"""What a portal says of its objects' properties, and the columns that are no properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync.config.yaml import nearest
from crmsync.model.tables import FieldType
from crmsync.plugins.contract import RemoteField
from crmsync_hubspot import objects
from crmsync_hubspot.cursor import Types
from crmsync_hubspot.errors import RefusedError
from crmsync_hubspot.linking import LINK_COLUMNS
from crmsync_hubspot.whole import COLUMNS as WHOLE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.options import HubSpotStreamOptions

_TYPES = {
    "bool": FieldType.BOOLEAN,
    "number": FieldType.NUMBER,
    "date": FieldType.DATE,
    "datetime": FieldType.INSTANT,
}
HTML = "html"
_TOP_LEVEL_TYPES = {
    objects.ID: FieldType.TEXT,
    objects.CREATED: FieldType.INSTANT,
    objects.UPDATED: FieldType.INSTANT,
    objects.ARCHIVED: FieldType.BOOLEAN,
    objects.ARCHIVED_AT: FieldType.INSTANT,
}


class Descriptions:
    """The properties of a portal's objects, each asked for once."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client
        self._properties: dict[str, dict[str, dict[str, Any]]] = {}

    def forget(self) -> None:
        """Ask anew from now on."""
        self._properties.clear()

    def properties(self, object_name: str) -> dict[str, dict[str, Any]]:
        """The properties of an object by name.

        Raises:
            ConnectorError: there is no such object, or it may not be seen.
        """
        if object_name not in self._properties:
            try:
                answer = self._client.call("GET", f"/crm/v3/properties/{object_name}")
            except RefusedError as error:
                if error.status not in {400, 404}:
                    raise
                raise RefusedError(
                    f"the portal has no object “{object_name}”; a custom object's name is that "
                    f"under Settings, Objects, such as p_renewals or 2-1234567 ({error})",
                    status=error.status,
                    category=error.category,
                ) from None
            self._properties[object_name] = {one["name"]: one for one in answer.body["results"]}
        return self._properties[object_name]

    def types(self, object_name: str, columns: Sequence[str]) -> Types:
        """Which of these columns are dates, instants, and texts in HTML."""
        there = self.properties(object_name)
        kinds = {name: kind_of(there[name]) for name in columns if name in there}
        instants = tuple(name for name, kind in kinds.items() if kind == "datetime")
        return Types(
            dates=tuple(name for name, kind in kinds.items() if kind == "date"),
            instants=instants,
            html=tuple(name for name, kind in kinds.items() if kind == HTML),
            zone=str(self._client.portal_zone()) if instants else "",
        )

    def fields(self, options: HubSpotStreamOptions, columns: Sequence[str]) -> list[RemoteField]:
        """All columns that a stream can have.

        Raises:
            ConnectorError: the portal cannot be asked, or has no such object.
        """
        if options.object in objects.WITHOUT_CHANGES:
            return [_field(name) for name in WHOLE_COLUMNS[options.object]]
        if options.associations_to:
            return [_field(name) for name in (*LINK_COLUMNS, *options.associations_to)]
        found = [
            RemoteField(name=name, type=kind, writable=False)
            for name, kind in _TOP_LEVEL_TYPES.items()
        ]
        found += [
            RemoteField(
                name=name,
                type=_TYPES.get(one["type"]),
                writable=is_writable(one) or name == objects.OPTED_OUT,
            )
            for name, one in self.properties(options.object).items()
        ]
        found += [_field(name) for name in columns if name.startswith(objects.ASSOCIATED)]
        return found


def no_property(object_name: str, name: str, there: Collection[str]) -> RefusedError:
    """The portal does not have it."""
    return RefusedError(
        f"{object_name} have no property “{name}”{nearest(name, there)}; write its internal name, "
        "from Settings, Properties",
        status=400,
        category="PROPERTY_DOESNT_EXIST",
    )


def kind_of(one: Mapping[str, Any]) -> str:
    """The type of a property, as the portal calls it, or that it is HTML."""
    rich = one["name"] in objects.RICH_TEXT or one.get("fieldType") == "html"
    return HTML if rich else str(one["type"])


def is_writable(one: Mapping[str, Any]) -> bool:
    """Whether a property's values can be changed."""
    told = one.get("modificationMetadata") or {}
    return not (told.get("readOnlyValue") or one.get("calculated"))


def _field(name: str) -> RemoteField:
    return RemoteField(name=name, writable=False)
