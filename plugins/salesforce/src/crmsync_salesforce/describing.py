"""What the org says of an object, and what of the mapping's columns it lets us read.

A column of a mapping is a field (``Name``), a field of a related record (``Owner.Email``), or a
reference where it leads to one object (``WhatId:Opportunity``), because the org puts references to
many objects into one field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crmsync.config.yaml import nearest
from crmsync.model.tables import FieldType
from crmsync.plugins.contract import RemoteField
from crmsync_salesforce.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from crmsync_salesforce.client import SalesforceClient

# Which field orders changes, the best first.
_CHANGE_TIMES = ("SystemModstamp", "LastModifiedDate", "CreatedDate", "LoginTime")
CREATED = "CreatedDate"
_COMPOUND = {"address", "location"}
_UNREADABLE = _COMPOUND | {"base64"}
_OF_ANY_RECORD = ("Id", "Name", "Type", "Email")
_TYPES = {
    "boolean": FieldType.BOOLEAN,
    "int": FieldType.INTEGER,
    "double": FieldType.NUMBER,
    "currency": FieldType.NUMBER,
    "percent": FieldType.NUMBER,
    "date": FieldType.DATE,
    "datetime": FieldType.INSTANT,
}
_DEEPEST = 5  # SOQL follows so many relations


def no_field(name: str, column: str, there: Collection[str]) -> str:
    """That the org does not show a column of an object, and what to do."""
    return (
        f"{name} has no field “{column}”, or field-level security hides it from the API's user, "
        f"and a permission set shows it{nearest(column, there)}"
    )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a read asks for, as the org's description allows it. It stands in cursors.

    Attributes:
        selected: the columns of the query.
        instants: those of them that are instants.
        prefixes: for each column with a colon, the first characters of the ids that it keeps.
        missing: columns of the mapping that the org does not have, or hides; they are optional.
        changed: the field that orders changes; None where the object has none.
        deletable: whether the org tells what was deleted.
        mergeable: whether records are merged into others.
        described: when the org was asked, in seconds since 1970.
    """

    selected: tuple[str, ...]
    instants: tuple[str, ...]
    prefixes: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    changed: str | None
    deletable: bool
    mergeable: bool
    described: int


class Descriptions:
    """The descriptions of an org's objects, each asked for once."""

    def __init__(self, client: SalesforceClient) -> None:
        self._client = client
        self._objects: dict[str, dict[str, Any]] = {}
        self._prefixes: dict[str, str | None] | None = None

    def object(self, name: str) -> dict[str, Any]:
        """The org's description of an object.

        Raises:
            RejectedError: there is none of that name, or it is hidden.
        """
        if name not in self._objects:
            try:
                response = self._client.call("GET", f"sobjects/{name}/describe")
            except RefusedError as error:
                if error.code != "NOT_FOUND":
                    raise
                raise RefusedError(
                    f"the org has no object “{name}”, or the API's user may not read it; write "
                    "its API name, and give the user a permission set with it",
                    code=error.code,
                ) from None
            self._objects[name] = response.json()
        return self._objects[name]

    def fields(self, name: str) -> dict[str, dict[str, Any]]:
        """The fields of an object by name."""
        return {one["name"]: one for one in self.object(name)["fields"]}

    def prefix(self, name: str) -> str | None:
        """The first characters of the ids of an object's records; None where there is none."""
        if self._prefixes is None:
            listed = self._client.call("GET", "sobjects").json()["sobjects"]
            self._prefixes = {one["name"]: one["keyPrefix"] for one in listed}
        return self._prefixes.get(name)

    def forget(self) -> None:
        """Ask anew from now on."""
        self._objects.clear()

    def remote_fields(self, name: str, columns: Iterable[str]) -> list[RemoteField]:
        """All fields of an object, and those of the columns that are more than a field."""
        fields = self.fields(name)
        found = [
            RemoteField(
                name=one["name"], type=_TYPES.get(one["type"]), writable=bool(one["updateable"])
            )
            for one in fields.values()
            if one["type"] not in _UNREADABLE
        ]
        for column in columns:
            if column not in fields and self.type_of(name, column) is not None:
                kind = _TYPES.get(self.type_of(name, column) or "")
                found.append(RemoteField(name=column, type=kind, writable=False))
        return found

    def type_of(self, name: str, column: str) -> str | None:
        """The org's type of a column; None where it cannot be read."""
        path, _, target = column.partition(":")
        *relations, last = path.split(".")
        if len(relations) > _DEEPEST:
            return None
        fields = self.fields(name)
        for place, relation in enumerate(relations):
            step = next((f for f in fields.values() if f["relationshipName"] == relation), None)
            if step is None:
                return None
            if len(step["referenceTo"]) != 1:
                ends = place == len(relations) - 1 and last in _OF_ANY_RECORD
                return "string" if ends and not target else None
            fields = self.fields(step["referenceTo"][0])
        one = fields.get(last)
        if one is None or one["type"] in _UNREADABLE:
            return None
        if target and (target not in one["referenceTo"] or self.prefix(target) is None):
            return None
        return str(one["type"])

    def plan(
        self, name: str, columns: Sequence[str], *, now: int, with_creation: bool = False
    ) -> Plan:
        """What a read of these columns asks for; ``with_creation``: also when records were made.

        Raises:
            RejectedError: there is no such object, or it has no ids.
        """
        fields = self.fields(name)
        changed = next((f for f in _CHANGE_TIMES if f in fields and fields[f]["filterable"]), None)
        deletable, mergeable = "IsDeleted" in fields, "MasterRecordId" in fields
        own = ["Id", *([changed] if changed else [])]
        own += ["IsDeleted"] * deletable + ["MasterRecordId"] * mergeable
        own += [CREATED] * (with_creation and CREATED in fields)
        types = {column: self.type_of(name, column) for column in (*own, *columns)}
        readable = {column: kind for column, kind in types.items() if kind is not None}
        paths = {column.partition(":")[0]: kind for column, kind in readable.items()}
        return Plan(
            selected=tuple(paths),
            instants=tuple(path for path, kind in paths.items() if kind == "datetime"),
            prefixes={
                column: self.prefix(column.partition(":")[2]) or ""
                for column in readable
                if ":" in column
            },
            missing=tuple(column for column in types if column not in readable),
            changed=changed,
            deletable=deletable,
            mergeable=mergeable,
            described=now,
        )
