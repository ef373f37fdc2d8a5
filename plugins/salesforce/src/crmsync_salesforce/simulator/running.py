"""A simulated org as ``crmsync simulator salesforce`` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_salesforce.simulator.org import Org
from crmsync_salesforce.simulator.sample import CUSTOM, MAPPING, load_sample
from crmsync_salesforce.simulator.server import SimulatorServer
from crmsync_salesforce.simulator.service import Service, Settings

if TYPE_CHECKING:
    from crmsync.plugins.contract import SimulatorRequest

_KEY_FIELDS = [
    f"{name} Crmsync_Key__c string(255) external unique" for name in ("Task", "EmailMessage")
]


class RunningOrg:
    """A simulated org with the sample company's records, or without any."""

    def __init__(self, request: SimulatorRequest) -> None:
        settings = Settings(shows_new_fields=True)  # there is no administrator
        self.org = Org(request.clock, custom=[*_KEY_FIELDS, *CUSTOM])
        load_sample(self.org, request.sample)
        self.service = Service(self.org, settings)
        secret = request.folder / "client-secret"
        secret.touch(mode=0o600)
        secret.write_text(settings.client_secret)
        self._server = SimulatorServer(self.service, request.folder, request.port)
        self._head = (
            "salesforce:\n"
            "  connector: salesforce\n"
            f"  url: {self._server.address}\n"
            f"  client_id: {settings.client_id}\n"
            f"  client_secret: file:{secret}\n"
            f"  ca_file: {self._server.certificate}\n"
        )

    @property
    def config(self) -> str:
        """The YAML of a connection to it."""
        return self._head + MAPPING

    def close(self) -> None:
        """Stop listening."""
        self._server.close()
