"""A simulated portal as ``crmsync simulator hubspot`` runs it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync_hubspot.simulator.portal import Portal
from crmsync_hubspot.simulator.sample import CUSTOM, MAPPING, load_sample
from crmsync_hubspot.simulator.server import SimulatorServer
from crmsync_hubspot.simulator.service import Service
from crmsync_hubspot.simulator.settings import Settings

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.clock import Clock
    from crmsync.plugins.contract import SimulatorRequest


class RunningPortal:
    """A simulated portal with the sample company's records, or without any."""

    def __init__(self, request: SimulatorRequest) -> None:
        settings = Settings()
        self.portal = Portal(_Passing(request.clock), settings, custom=CUSTOM)
        load_sample(self.portal, request.sample)
        self.service = Service(self.portal)
        token = request.folder / "token"
        token.touch(mode=0o600)
        token.write_text(settings.token)
        self._server = SimulatorServer(self.service, request.port)
        self._head = (
            "hubspot:\n"
            "  connector: hubspot\n"
            f"  url: {self._server.address}\n"
            f"  access_token: file:{token}\n"
        )

    @property
    def config(self) -> str:
        """The YAML of a connection to it."""
        return self._head + MAPPING

    def close(self) -> None:
        """Stop listening."""
        self._server.close()


class _Passing:
    """A clock that goes on where another one stands still.

    Without it a portal at a fixed instant would refuse calls for ever, once a second's are made.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._began = clock, clock.now()
        self._since = time.monotonic()

    def now(self) -> datetime:
        """The present instant, in UTC."""
        told = self._clock.now()
        if told != self._began:
            return told
        return told + timedelta(seconds=time.monotonic() - self._since)
