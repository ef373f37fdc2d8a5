"""Which fields an org keeps the history of, and what it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.soql import Compared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync_salesforce.simulator.objects import FieldDefinition
    from crmsync_salesforce.simulator.org import Org, Row
    from crmsync_salesforce.simulator.soql import Query

_OF = {"Account": "AccountHistory", "Contact": "ContactHistory",
       "Opportunity": "OpportunityFieldHistory"}  # fmt: skip
_OWNER = ("EntityDefinition", "QualifiedApiName")


def kept(org: Org, object_name: str, before: Row, changed: Mapping[str, Any]) -> list[Row]:
    """The rows that the org writes when these fields of a record get new values."""
    rows: list[Row] = []
    for name in sorted(org.tracked.get(object_name, set()) & changed.keys()):
        old, new = before.get(name), changed[name]
        if old == new:
            continue
        field = org.objects[object_name].fields[name]
        pairs = [(_text(old), _text(new))]
        if field.type == "reference":
            # Twice: the names, and the ids.
            pairs.insert(0, (_name(org, old), _name(org, new)))
        rows += [
            {
                "Id": org.minted(_OF[object_name]),
                "IsDeleted": False,
                "CreatedDate": org.now(),
                "CreatedById": org.user,
                f"{object_name}Id": before["Id"],
                "Field": _called(field),
                "OldValue": pair[0],
                "NewValue": pair[1],
            }
            for pair in pairs
        ]
    return rows


def history_of(object_name: str) -> str:
    """The object that keeps the history of another's fields."""
    return _OF[object_name]


def definitions(org: Org, query: Query) -> list[dict[str, Any]]:
    """Answer a query of FieldDefinition, which is no table and wants to be asked just so.

    Raises:
        OrgError: it is refused.
    """
    where = query.where
    if not isinstance(where, Compared) or where.path != _OWNER or where.operator != "=":
        raise OrgError("MALFORMED_QUERY", "a filter on a reified column is required")
    one = org.object(where.values[0].text)
    known = {"QualifiedApiName", "IsFieldHistoryTracked", "DataType"}
    asked = [path[0] for path in query.fields or ()]
    for name in asked:
        if name not in known:
            raise OrgError("INVALID_FIELD", f"No such column '{name}' on entity 'FieldDefinition'.")
    found = []
    for field in one.fields.values():
        if field.name in one.hidden:
            continue
        told = {
            "QualifiedApiName": field.name,
            "IsFieldHistoryTracked": field.name in org.tracked.get(one.name, set()),
            "DataType": field.type,
        }
        attributes = {"attributes": {"type": "FieldDefinition"}}
        found.append(attributes | {name: told[name] for name in asked})
    return found


def _called(field: FieldDefinition) -> str:
    lookup = field.type == "reference" and not field.custom
    return field.name.removesuffix("Id") if lookup else field.name


def _name(org: Org, record_id: str | None) -> str | None:
    target = org.object_of(record_id) if record_id else None
    row = org.get(target.name, record_id) if target and record_id else None
    return str(row["Name"]) if row else None


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
