"""What the portal fills in and calculates by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crmsync_hubspot.simulator.errors import PortalError
from crmsync_hubspot.simulator.values import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync_hubspot.simulator.definitions import ObjectType
    from crmsync_hubspot.simulator.portal import Portal
    from crmsync_hubspot.simulator.records import Record

_HEADER_FIELDS = {"email": "email", "firstName": "firstname", "lastName": "lastname"}


def filled_in(
    portal: Portal,
    kind: ObjectType,
    values: Mapping[str, str],
    before: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The values of a record that is about to be kept, none of them empty.

    Raises:
        PortalError: one that is required has none.
    """
    kept = {name: value for name, value in values.items() if value}
    if kind.name == "deals":
        kept.setdefault("pipeline", next(iter(portal.pipelines["deals"])))
    elif kind.name == "tickets":
        kept.setdefault("hs_pipeline", next(iter(portal.pipelines["tickets"])))
    elif kind.name == "emails" and "hs_email_headers" in kept:
        kept |= _addresses(kept["hs_email_headers"])
    elif kind.name == "tasks":
        kept.setdefault("hs_task_status", "NOT_STARTED")
        was_done = (before or {}).get("hs_task_status") == "COMPLETED"
        if kept["hs_task_status"] == "COMPLETED" and not was_done:
            kept["hs_task_completion_date"] = told(portal.now())
    missing = [
        one.name for one in kind.properties.values() if one.required and not kept.get(one.name)
    ]
    if missing:
        raise PortalError(
            f"Error creating {kind.singular.upper()}. Some required properties were not set.",
            context={"properties": missing},
        )
    return kept


def calculated(portal: Portal, kind: ObjectType, one: Record, name: str) -> str | None:
    """A value that follows from others; None where the property is none of those."""
    if name == "hs_object_id":
        return str(one.id)
    if name == kind.modified:
        return told(one.updated)
    if name == kind.created:
        return told(one.created)
    if name in {"hs_is_closed", "hs_is_closed_won"} and kind.name == "deals":
        return _closed(portal, one, name)
    if name == "associatedcompanyid" and kind.name == "contacts":
        company = portal.links.primary("contacts", one.id, "companies")
        return None if company is None else str(company)
    return None


def _closed(portal: Portal, one: Record, name: str) -> str:
    pipeline = portal.pipelines["deals"].get(one.get("pipeline") or "")
    stage = None if pipeline is None else pipeline.stages.get(one.get("dealstage") or "")
    if stage is None or stage.metadata["isClosed"] != "true":
        return "false"
    won = float(stage.metadata["probability"]) == 1
    return "true" if won or name == "hs_is_closed" else "false"


def _addresses(headers: str) -> dict[str, str]:
    """The read-only properties that the headers of a logged mail fill."""
    try:
        told_headers = json.loads(headers)
        sender = told_headers.get("from") or {}
        receivers = told_headers.get("to") or []
        found = {
            f"hs_email_from_{ours}": str(sender[theirs])
            for theirs, ours in _HEADER_FIELDS.items()
            if sender.get(theirs)
        }
        for theirs, ours in _HEADER_FIELDS.items():
            told_values = [str(one[theirs]) for one in receivers if one.get(theirs)]
            if told_values:
                found[f"hs_email_to_{ours}"] = ";".join(told_values)
    except (AttributeError, TypeError, ValueError):
        return {}
    return found
