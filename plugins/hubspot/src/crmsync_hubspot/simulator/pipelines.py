"""Pipelines and their stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crmsync_hubspot.simulator.values import told


@dataclass(kw_only=True)
class Stage:
    """A stage; for deals its metadata tell the probability, for tickets whether it is open."""

    id: str
    label: str
    order: int
    metadata: dict[str, str]
    created: int
    updated: int

    def as_body(self) -> dict[str, Any]:
        """The stage, as the API tells it."""
        return {
            "id": self.id,
            "label": self.label,
            "displayOrder": self.order,
            "metadata": self.metadata,
            "createdAt": told(self.created),
            "updatedAt": told(self.updated),
            "archived": False,
            "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
        }


@dataclass(kw_only=True)
class Pipeline:
    """A pipeline of deals or tickets."""

    id: str
    label: str
    order: int
    created: int
    updated: int
    stages: dict[str, Stage] = field(default_factory=dict)

    def as_body(self) -> dict[str, Any]:
        """The pipeline with its stages, as the API tells it."""
        return {
            "id": self.id,
            "label": self.label,
            "displayOrder": self.order,
            "stages": [stage.as_body() for stage in self.stages.values()],
            "createdAt": told(self.created),
            "updatedAt": told(self.updated),
            "archived": False,
        }


_DEALS = (
    ("appointmentscheduled", "Appointment Scheduled", "0.2"),
    ("qualifiedtobuy", "Qualified To Buy", "0.4"),
    ("presentationscheduled", "Presentation Scheduled", "0.6"),
    ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
    ("contractsent", "Contract Sent", "0.9"),
    ("closedwon", "Closed Won", "1.0"),
    ("closedlost", "Closed Lost", "0.0"),
)
_TICKETS = (
    ("1", "New", "OPEN"),
    ("2", "Waiting on contact", "OPEN"),
    ("3", "Waiting on us", "OPEN"),
    ("4", "Closed", "CLOSED"),
)


def standard_pipelines(now: int) -> dict[str, dict[str, Pipeline]]:
    """The pipelines that each portal begins with, by type and id."""
    deals = Pipeline(id="default", label="Sales Pipeline", order=0, created=now, updated=now)
    for place, (name, label, probability) in enumerate(_DEALS):
        metadata = {
            "isClosed": "true" if probability in {"1.0", "0.0"} else "false",
            "probability": probability,
        }
        deals.stages[name] = Stage(
            id=name, label=label, order=place, metadata=metadata, created=now, updated=now
        )
    tickets = Pipeline(id="0", label="Support Pipeline", order=0, created=now, updated=now)
    for place, (name, label, state) in enumerate(_TICKETS):
        metadata = {"isClosed": "true" if state == "CLOSED" else "false", "ticketState": state}
        tickets.stages[name] = Stage(
            id=name, label=label, order=place, metadata=metadata, created=now, updated=now
        )
    return {"deals": {"default": deals}, "tickets": {"0": tickets}}
