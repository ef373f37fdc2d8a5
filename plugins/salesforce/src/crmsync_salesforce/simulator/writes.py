"""Creating, changing, upserting and deleting records over the wire."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.messages import Answer

if TYPE_CHECKING:
    from crmsync_salesforce.simulator.messages import Request
    from crmsync_salesforce.simulator.objects import ObjectDefinition
    from crmsync_salesforce.simulator.org import Org

_MOST_RECORDS = 200
_MOST_CHUNKS = 10
_LOCKED = OrgError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
# What the parser refuses before it looks at any record.
_WHOLE_REQUEST = {"INVALID_FIELD", "JSON_PARSER_ERROR"}


class Writes:
    """The resources ``sobjects`` and ``composite/sobjects``."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def answer(self, request: Request, *, locked: bool) -> Answer:
        """Answer a request; ``locked``: its first record is held by somebody else.

        Raises:
            OrgError: all of it is refused.
        """
        match request.method, request.parts:
            case "POST" | "PATCH", ("composite", "sobjects"):
                return Answer(body=self._several(request, locked=locked))
            case "DELETE", ("composite", "sobjects"):
                return Answer(body=self._deleted(request, locked=locked))
            case "PATCH", ("composite", "sobjects", name, key):
                return Answer(body=self._several(request, upsert=(name, key), locked=locked))
            case "POST", ("sobjects", name):
                if locked:
                    raise _LOCKED
                return Answer(status=201, body=_made(self._org.create(name, request.json())))
            case "PATCH", ("sobjects", name, record_id):
                if locked:
                    raise _LOCKED
                self._org.update(name, record_id, request.json())
                return Answer(status=204)
            case "PATCH", ("sobjects", name, key, value):
                return self._upsert_one(name, key, value, request)
            case "DELETE", ("sobjects", name, record_id):
                self._org.delete(name, record_id)
                return Answer(status=204)
        raise OrgError("NOT_FOUND", "The requested resource does not exist", status=404)

    def _several(
        self, request: Request, *, upsert: tuple[str, str] | None = None, locked: bool
    ) -> list[dict[str, Any]]:
        asked = request.json()
        records, all_or_none = asked.get("records"), asked.get("allOrNone", False)
        if not isinstance(records, list) or not records:
            raise OrgError("REQUIRED_FIELD_MISSING", "records is missing")
        if len(records) > _MOST_RECORDS:
            raise OrgError(
                "REQUEST_TOO_LARGE",
                f"record limit reached. cannot submit more than {_MOST_RECORDS}",
            )
        if all_or_none:
            raise OrgError("INVALID_OPERATION", "the simulator knows allOrNone false only")
        kinds = [_type_of(record) for record in records]
        chunks = 1 + sum(one != other for one, other in pairwise(kinds))
        if chunks > _MOST_CHUNKS:
            raise OrgError(
                "INVALID_INPUT", "Cannot have more than 10 chunks in a single operation."
            )
        self._refuse_unparsable(kinds, records, creating=request.method == "POST" or bool(upsert))
        keys = [] if upsert is None else [record.get(upsert[1]) for record in records]
        changed: set[str] = set()
        results = []
        for place, record in enumerate(records):
            try:
                if locked and place == 0:
                    raise _LOCKED
                if keys.count(keys[place] if keys else None) > 1:
                    raise OrgError("DUPLICATE_VALUE", "Duplicate external id specified")
                if request.method == "PATCH" and upsert is None:
                    _note_once(changed, record)
                results.append(self._one(request, record, upsert))
            except OrgError as error:
                results.append(error.as_result())
        return results

    def _deleted(self, request: Request, *, locked: bool) -> list[dict[str, Any]]:
        ids = [one for one in request.query.get("ids", "").split(",") if one]
        if not ids or len(ids) > _MOST_RECORDS:
            raise OrgError("REQUIRED_FIELD_MISSING", "ids is missing, or too long")
        results = []
        for place, record_id in enumerate(ids):
            one = self._org.object_of(record_id)
            try:
                if locked and place == 0:
                    raise _LOCKED
                if one is None:
                    raise OrgError("MALFORMED_ID", f"malformed id {record_id}")
                self._org.delete(one.name, record_id)
                results.append(_made(record_id))
            except OrgError as error:
                results.append(error.as_result())
        return results

    def _refuse_unparsable(
        self, kinds: list[str], records: list[dict[str, Any]], *, creating: bool
    ) -> None:
        """Columns that are not there, and values of another type, spoil the whole request."""
        from crmsync_salesforce.simulator.values import checked  # noqa: PLC0415  a cycle

        for kind, record in zip(kinds, records, strict=True):
            try:
                checked(self._org, self._org.object(kind), _fields(record), creating=creating)
            except OrgError as error:
                if error.code in _WHOLE_REQUEST:
                    raise

    def _one(
        self, request: Request, record: dict[str, Any], upsert: tuple[str, str] | None
    ) -> dict[str, Any]:
        kind, fields = _type_of(record), _fields(record)
        if upsert is not None:
            if kind.lower() != upsert[0].lower():
                raise OrgError("INVALID_TYPE", "the type differs from that of the request")
            value = fields.get(upsert[1])
            if value is None:
                raise OrgError("MISSING_ARGUMENT", f"{upsert[1]} not specified")
            record_id, created = self._upsert(kind, upsert[1], value, fields)
            return _made(record_id) | {"created": created}
        if request.method == "POST":
            return _made(self._org.create(kind, fields))
        changed = record.get("id") or record.get("Id")
        if changed is None:
            raise OrgError("MISSING_ARGUMENT", "Id not specified in an update call")
        self._org.update(kind, changed, fields)
        return _made(changed)

    def _upsert_one(self, name: str, key: str, value: str, request: Request) -> Answer:
        found = self._matches(name, key, value)
        if len(found) > 1:
            path = f"/services/data/v{request.version}/sobjects/{name}"
            return Answer(status=300, body=[f"{path}/{record_id}" for record_id in found])
        record_id, created = self._upsert(name, key, value, request.json())
        body = _made(record_id) | {"created": created}
        return Answer(status=201 if created else 200, body=body)

    def _upsert(self, name: str, key: str, value: str, fields: dict[str, Any]) -> tuple[str, bool]:
        found = self._matches(name, key, value)
        if len(found) > 1:
            raise OrgError("DUPLICATE_EXTERNAL_ID", f"{key}: more than one record found")
        if found:
            rest = {k: v for k, v in fields.items() if k.lower() != key.lower()}
            self._org.update(name, found[0], rest)
            return found[0], False
        return self._org.create(name, fields | {key: value}), True

    def _matches(self, name: str, key: str, value: str) -> list[str]:
        one: ObjectDefinition = self._org.object(name)
        field = one.visible(key)
        if field is None or not field.external_id:
            raise OrgError(
                "NOT_FOUND",
                f"Provided external ID field does not exist or is not accessible: {key}",
                status=404,
            )
        table = self._org.tables[one.name]
        with self._org.connected() as connection:
            rows = connection.execute(
                table.select().where((table.c[field.name] == value) & ~table.c.IsDeleted)
            ).mappings()
            return [row["Id"] for row in rows]


def _note_once(changed: set[str], record: dict[str, Any]) -> None:
    short = str(record.get("id") or record.get("Id"))[:15]
    if short in changed:
        raise OrgError("DUPLICATE_VALUE", "duplicate id in the list of records")
    changed.add(short)


def _type_of(record: dict[str, Any]) -> str:
    kind = record.get("attributes", {}).get("type")
    if not isinstance(kind, str):
        raise OrgError("INVALID_TYPE", "sObject type is missing in attributes")
    return kind


def _fields(record: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k not in {"attributes", "id", "Id"}}


def _made(record_id: str) -> dict[str, Any]:
    return {"id": record_id, "success": True, "errors": []}
