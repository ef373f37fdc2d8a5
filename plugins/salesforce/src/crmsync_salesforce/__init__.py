"""A Salesforce org, and a simulated one to try it on.

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
    from collections.abc import Sequence

    from crmsync.plugins.contract import (
        ConnectionContext,
        Connector,
        Simulator,
        SimulatorRequest,
    )


def _open(context: ConnectionContext) -> Connector:
    from crmsync_salesforce.connector import SalesforceConnector  # noqa: PLC0415  heavy

    return SalesforceConnector(context)


def _simulate(request: SimulatorRequest) -> Simulator:
    from crmsync_salesforce.simulator.running import RunningOrg  # noqa: PLC0415  heavy

    return RunningOrg(request)


@hookimpl
def crmsync_connectors() -> Sequence[ConnectorSpec]:
    """The connector “salesforce”."""
    from crmsync_salesforce.options import (  # noqa: PLC0415  heavy
        SalesforceOptions,
        SalesforceStreamOptions,
    )

    return [
        ConnectorSpec(
            name="salesforce",
            description="A Salesforce org.",
            options=SalesforceOptions,
            stream_options=SalesforceStreamOptions,
            open=_open,
            actions={
                ActionKind.TASK: KeyHandling.NATIVE,
                ActionKind.NOTE: KeyHandling.NATIVE,
                # No field of the record that is updated keeps the key.
                ActionKind.UPDATE: KeyHandling.UNSAFE,
                ActionKind.WITHDRAWAL: KeyHandling.NATIVE,
                ActionKind.LOG: KeyHandling.NATIVE,
            },
            batch_size=200,
            # A request may run for ten minutes at the org; what it wrote is found at once.
            lands_within=timedelta(minutes=10),
            example=Path(__file__).with_name("example.yaml"),
        )
    ]


@hookimpl
def crmsync_simulators() -> Sequence[SimulatorSpec]:
    """The simulated org “salesforce”."""
    return [
        SimulatorSpec(
            name="salesforce",
            description="A Salesforce org on this machine, with made-up records.",
            start=_simulate,
        )
    ]
