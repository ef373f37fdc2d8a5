"""Starts a simulated remote that a plugin brings."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.app.sample.company import ZONE, build
from crmsync.config.yaml import nearest
from crmsync.errors import UsageError
from crmsync.plugins.contract import SimulatorRequest
from crmsync.plugins.manager import Plugins

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.clock import Clock
    from crmsync.plugins.contract import Simulator


def start(name: str, folder: Path, *, port: int, sample: bool, clock: Clock) -> Simulator:
    """Start the simulator of that name; the folder is made where it is missing.

    Raises:
        UsageError: no plugin brings one of that name, or the folder cannot be made.
        PluginError: two plugins bring one.
    """
    known = Plugins().simulators()
    if name not in known:
        installed = ", ".join(sorted(known)) or "none"
        hint = nearest(name, known)
        raise UsageError(f"there is no simulator “{name}”{hint}; installed: {installed}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from None
    now = clock.now().astimezone(ZoneInfo(ZONE)).replace(microsecond=0)
    return known[name].start(
        SimulatorRequest(
            folder=folder.resolve(),
            port=port,
            sample=build(now) if sample else {},
            clock=clock,
        )
    )
