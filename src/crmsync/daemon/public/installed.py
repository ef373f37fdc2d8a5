"""What those outside bring about in an installation."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crmsync.app.stopping import unsubscribe
from crmsync.errors import CrmsyncError, UntrustedError
from crmsync.observe import logger
from crmsync.plugins.contract import HeardRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock
    from crmsync.daemon.board import Board
    from crmsync.daemon.hints import Hints

# A remote signs the time into its request; nobody can repeat it for longer than this.
_REPEATABLE = timedelta(minutes=15)
_MOST_REMEMBERED = 1_000
_TOLD_EACH = timedelta(minutes=1)  # who floods us does not flood the log
_log = logger()


class InstalledOutside:
    """Over what is in force at each request.

    Args:
        workspace: answers with what is in force.
    """

    def __init__(
        self, workspace: Callable[[], Workspace], clock: Clock, hints: Hints, board: Board
    ) -> None:
        self._workspace = workspace
        self._clock = clock
        self._hints = hints
        self._board = board
        self._lock = threading.Lock()
        self._heard: dict[bytes, datetime] = {}
        self._told: dict[str, datetime] = {}

    @property
    def company(self) -> str:
        """Whose mails they are."""
        return self._workspace().installation.settings.company.name

    @property
    def base_path(self) -> str:
        """The path of the public URL."""
        return urlsplit(self._public_url).path

    @property
    def _public_url(self) -> str:
        public = self._workspace().installation.settings.public
        return "" if public is None else public.url

    def who(self, token: str) -> str | None:
        """The address that a link was made for."""
        links = self._workspace().unsubscribe_links
        return None if links is None else links.address(token)

    def unsubscribe(self, address: str) -> None:
        """Recorded before anybody is answered; the CRM's own field follows with a cycle."""
        if unsubscribe(self._workspace(), address):
            self._board.unsubscribed()
            _log.info("public.unsubscribed")
            self._hints.act()

    def hear(
        self, name: str, method: str, uri: str, headers: Mapping[str, str], body: bytes
    ) -> HTTPStatus:
        """Take what a remote says for a hint, where it is that remote who says it.

        Args:
            uri: path and query as they arrived.
        """
        workspace = self._workspace()
        if name not in workspace.installation.settings.connections:
            return HTTPStatus.NOT_FOUND
        now = self._clock.now()
        try:
            hear = workspace.spec(name).hear
            if hear is None:
                return HTTPStatus.NOT_FOUND
            context = workspace.context(name)
            url = self._public_url + uri.removeprefix(self.base_path)
            request = HeardRequest(method=method, url=url, headers=headers, body=body, at=now)
            streams = {*hear(context, request)} & context.streams.keys()
        except UntrustedError as error:
            self._refused(name, str(error), now)
            return HTTPStatus.UNAUTHORIZED
        except CrmsyncError as error:
            self._refused(name, str(error), now)
            return HTTPStatus.SERVICE_UNAVAILABLE
        except Exception as error:  # noqa: BLE001  a connector can raise anything; the daemon goes on
            self._refused(name, f"{type(error).__name__} in the connector", now)
            return HTTPStatus.INTERNAL_SERVER_ERROR
        if streams and self._is_new(name, request):
            self._board.heard(name, believed=True)
            self._hints.read(name)
        return HTTPStatus.OK

    def _refused(self, name: str, problem: str, now: datetime) -> None:
        self._board.heard(name, believed=False)
        with self._lock:
            last = self._told.get(name)
            if last is not None and timedelta() <= now - last < _TOLD_EACH:
                return
            self._told[name] = now
        _log.warning("public.hook_refused", connection=name, problem=problem)

    def _is_new(self, name: str, request: HeardRequest) -> bool:
        """Whether the very same request was not heard before, as when somebody plays it again."""
        headers = sorted(request.headers.items())
        said = repr((name, request.method, request.url, headers)).encode() + request.body
        digest = hashlib.sha256(said).digest()
        with self._lock:
            if digest in self._heard:
                return False
            earliest = request.at - _REPEATABLE
            self._heard = {old: at for old, at in self._heard.items() if at > earliest}
            if len(self._heard) < _MOST_REMEMBERED:
                self._heard[digest] = request.at
            return True
