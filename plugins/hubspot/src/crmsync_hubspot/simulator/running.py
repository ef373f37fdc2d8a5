"""A simulated portal as ``crmsync simulator hubspot`` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_hubspot.simulator.portal import Portal
from crmsync_hubspot.simulator.server import SimulatorServer
from crmsync_hubspot.simulator.service import Service
from crmsync_hubspot.simulator.settings import Settings

if TYPE_CHECKING:
    from crmsync.plugins.contract import SimulatorRequest


class RunningPortal:
    """A simulated portal with the sample company's records, or without any."""

    def __init__(self, request: SimulatorRequest) -> None:
        settings = Settings()
        self.portal = Portal(request.clock, settings)
        self.service = Service(self.portal)
        token = request.folder / "token"
        token.touch(mode=0o600)
        token.write_text(settings.token)
        self._server = SimulatorServer(self.service, request.port)
        self.config = (
            "hubspot:\n"
            "  connector: hubspot\n"
            f"  url: {self._server.address}\n"
            f"  access_token: file:{token}\n"
        )

    def close(self) -> None:
        """Stop listening."""
        self._server.close()
