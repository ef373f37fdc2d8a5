"""Values as the org takes them, keeps them and tells them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.objects import as_long_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync_salesforce.simulator.objects import FieldDefinition, ObjectDefinition
    from crmsync_salesforce.simulator.org import Org, Row

_LONE_NEWLINE = re.compile(r"\r?\n")
# Refused here: what the real one does with them is not known.
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_NUMBERS = {"int", "double", "currency", "percent"}


def told(instant: datetime) -> str:
    """An instant as the org keeps it: UTC, in whole seconds."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def kept_instant(text: str) -> str:
    """An instant as the org keeps it.

    Raises:
        ValueError: it is none.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(text)
    return told(instant)


def checked(org: Org, one: ObjectDefinition, values: Mapping[str, Any], *, creating: bool) -> Row:
    """The values of a record that somebody writes, as the org keeps them.

    Raises:
        OrgError: they are refused.
    """
    row: Row = {}
    for name, value in values.items():
        field = one.visible(name)
        if field is None:
            raise OrgError(
                "INVALID_FIELD", f"No such column '{name}' on sobject of type {one.name}"
            )
        if not (field.createable if creating else field.updateable):
            raise OrgError(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                f"Unable to create/update fields: {field.name}. Please check the security settings "
                "of this field and verify that it is read/write for your profile or permission "
                "set.",
                fields=(field.name,),
            )
        row[field.name] = None if value is None or value == "" else _kept(org, field, value)
    needed = [f.name for f in one.fields.values() if f.required]
    missing = [n for n in needed if (creating or n in row) and row.get(n) is None]
    if missing:
        raise OrgError(
            "REQUIRED_FIELD_MISSING",
            f"Required fields are missing: [{', '.join(missing)}]",
            fields=tuple(missing),
        )
    return row


def _kept(org: Org, field: FieldDefinition, value: object) -> object:
    if field.type == "boolean":
        return _typed(field, value, bool)
    if field.type in _NUMBERS:
        return _typed(field, value, (int, float))
    if field.type == "junctionidlist":
        listed = _typed(field, value, list)
        assert isinstance(listed, list)  # noqa: S101  it was looked at
        return ";".join(_referred(org, field, str(one)) for one in listed)
    text = str(_typed(field, value, str))
    if field.type == "date":
        return _parsed(field, text, lambda t: date.fromisoformat(t).isoformat())
    if field.type == "datetime":
        return _parsed(field, text, kept_instant)
    if field.type == "reference":
        return _referred(org, field, text)
    if _NO_TEXT.search(text):
        raise OrgError("JSON_PARSER_ERROR", "Illegal character in text")
    if len(text) > field.length:
        raise OrgError(
            "STRING_TOO_LONG",
            f"{field.name}: data value too large: {text[:80]} (max length={field.length})",
            fields=(field.name,),
        )
    return _LONE_NEWLINE.sub("\r\n", text) if field.type == "textarea" else text


def _typed(field: FieldDefinition, value: object, kind: type | tuple[type, ...]) -> object:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise OrgError(
            "JSON_PARSER_ERROR",
            f"Cannot deserialize instance of {field.type} from value {value!r}",
            fields=(field.name,),
        )
    return value


def _parsed(field: FieldDefinition, text: str, parse: Any) -> str:  # noqa: ANN401  a parser
    try:
        return str(parse(text))
    except ValueError:
        raise OrgError(
            "JSON_PARSER_ERROR",
            f"Cannot deserialize instance of {field.type} from VALUE_STRING value {text}",
            fields=(field.name,),
        ) from None


def _referred(org: Org, field: FieldDefinition, text: str) -> str:
    record_id = as_long_id(text)
    if record_id is None:
        raise OrgError(
            "MALFORMED_ID",
            f"{field.name}: id value of incorrect type: {text}",
            fields=(field.name,),
        )
    target = org.object_of(record_id)
    if target is None or target.name not in field.references:
        raise OrgError(
            "FIELD_INTEGRITY_EXCEPTION",
            f"{field.name}: id value of incorrect type: {text}",
            fields=(field.name,),
        )
    row = org.get(target.name, record_id)
    if row is None:
        raise OrgError(
            "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields=(field.name,)
        )
    if row.get("IsDeleted"):
        raise OrgError("ENTITY_IS_DELETED", "entity is deleted", fields=(field.name,))
    if field.name == "OwnerId" and row.get("IsActive") is False and target.name == "User":
        raise OrgError(
            "INACTIVE_OWNER_OR_USER",
            f"operation performed with inactive user [{record_id}] as owner",
            fields=(field.name,),
        )
    return record_id
