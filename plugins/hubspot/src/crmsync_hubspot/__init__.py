"""A HubSpot portal, and a simulated one to try it on.

This module is loaded at every start, so what is heavy is imported when a connection is opened.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.plugins.contract import ConnectorSpec, SimulatorSpec
from crmsync.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from crmsync.plugins.contract import (
        ConnectionContext,
        Connector,
        HeardRequest,
        Simulator,
        SimulatorRequest,
    )


def _open(context: ConnectionContext) -> Connector:
    from crmsync_hubspot.connector import HubSpotConnector  # noqa: PLC0415  heavy

    return HubSpotConnector(context)


def _hear(context: ConnectionContext, request: HeardRequest) -> Collection[str]:
    from crmsync_hubspot.hearing import heard  # noqa: PLC0415  rarely needed

    return heard(context, request)


def _simulate(request: SimulatorRequest) -> Simulator:
    from crmsync_hubspot.simulator.running import RunningPortal  # noqa: PLC0415  heavy

    return RunningPortal(request)


@hookimpl
def crmsync_connectors() -> Sequence[ConnectorSpec]:
    """The connector “hubspot”."""
    from crmsync_hubspot.options import (  # noqa: PLC0415  heavy
        HubSpotOptions,
        HubSpotStreamOptions,
    )

    return [
        ConnectorSpec(
            name="hubspot",
            description="A HubSpot portal.",
            options=HubSpotOptions,
            stream_options=HubSpotStreamOptions,
            open=_open,
            actions={
                # Where the portal keeps the keys unique it is more than that; whether it does on
                # tasks and notes, HubSpot does not promise.
                ActionKind.TASK: KeyHandling.LOOKUP,
                ActionKind.NOTE: KeyHandling.LOOKUP,
                ActionKind.LOG: KeyHandling.LOOKUP,
                # No property of the record that is updated keeps the key.
                ActionKind.UPDATE: KeyHandling.UNSAFE,
                ActionKind.WITHDRAWAL: KeyHandling.NATIVE,
            },
            batch_size=100,
            # The portal's search knows of a record some minutes after it was made; how long a
            # request may run there, HubSpot does not say.
            lands_within=timedelta(minutes=10),
            hear=_hear,
            example=Path(__file__).with_name("example.yaml"),
        )
    ]


@hookimpl
def crmsync_simulators() -> Sequence[SimulatorSpec]:
    """The simulated portal “hubspot”."""
    return [
        SimulatorSpec(
            name="hubspot",
            description="A HubSpot portal on this machine, with made-up records.",
            start=_simulate,
        )
    ]
