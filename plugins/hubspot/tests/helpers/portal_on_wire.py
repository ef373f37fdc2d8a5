"""A simulated portal on a port of this machine, with a clock of its own, and plain requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from crmsync_hubspot.simulator.portal import Portal
from crmsync_hubspot.simulator.server import SimulatorServer
from crmsync_hubspot.simulator.service import Service
from crmsync_hubspot.simulator.settings import Settings

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class HandClock:
    """A clock that passes when it is told to."""

    def __init__(self) -> None:
        self.instant = BEGIN

    def now(self) -> datetime:
        return self.instant

    def pass_time(self, by: timedelta) -> None:
        self.instant += by


class PortalOnWire:
    """A running portal, and requests to it as any client would send them."""

    def __init__(self, settings: Settings | None = None, custom: tuple[str, ...] = ()) -> None:
        self.clock = HandClock()
        self.settings = settings or Settings(index_lag=timedelta(0))
        self.portal = Portal(self.clock, self.settings, custom=custom)
        self.service = Service(self.portal)
        self.server = SimulatorServer(self.service)
        self.http = httpx.Client(
            base_url=self.server.address,
            headers={"Authorization": f"Bearer {self.settings.token}"},
            trust_env=False,
            timeout=10,
        )

    def __call__(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self.http.request(method, path, **arguments)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, *, status: int = 200) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def make(self, kind: str, /, **values: str) -> str:
        """A new record's id."""
        return str(self.portal.create(kind, values).id)

    def close(self) -> None:
        self.http.close()
        self.server.close()
        assert self.service.mistakes == []
