"""A HubSpot portal, and a simulated one to try it on.

This module is loaded at every start, so what is heavy is imported when a connection is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.plugins.contract import SimulatorSpec
from crmsync.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.plugins.contract import Simulator, SimulatorRequest


def _simulate(request: SimulatorRequest) -> Simulator:
    from crmsync_hubspot.simulator.running import RunningPortal  # noqa: PLC0415  heavy

    return RunningPortal(request)


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
