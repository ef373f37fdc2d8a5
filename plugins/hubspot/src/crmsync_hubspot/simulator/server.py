"""Carries the simulated API over HTTP on this machine."""

from __future__ import annotations

import gzip
import threading
import traceback
from contextlib import suppress
from datetime import UTC
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import orjson

from crmsync_hubspot.simulator.messages import Answer, CutError, Request
from crmsync_hubspot.simulator.routes import route_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync_hubspot.simulator.service import Service

_SMALLEST_ZIPPED = 1024


class SimulatorServer:
    """A running simulator; it listens from its construction to `close`.

    Args:
        service: what answers.
        port: 0 takes a free one.
    """

    def __init__(self, service: Service, port: int = 0) -> None:
        self.service = service
        self._server = _Server(("127.0.0.1", port), _handler(service))
        self.port = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nobody's trouble."""


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body go out at once; else the client's machine waits before it confirms the head.
        wbufsize = -1
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            try:
                answer = _answered(service, _request(self, body))
            except CutError as cut:
                self.close_connection = True
                if cut.part is not None:
                    self._send(cut.part, in_part=True)
                return
            self._send(answer)

        def __getattr__(self, name: str) -> Callable[[], None]:
            # The base looks for a method of its own for each one of HTTP.
            return _if_method(name, self._serve)

        def _send(self, answer: Answer, *, in_part: bool = False) -> None:
            headers, body = _on_the_wire(answer, self.headers.get("Accept-Encoding", ""))
            self.send_response(answer.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if in_part else body)
                self.wfile.flush()

        def date_time_string(self, timestamp: float | None = None) -> str:
            """The portal's time, not this machine's."""
            del timestamp
            return format_datetime(service.portal.clock.now().astimezone(UTC), usegmt=True)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
            """Say nothing."""

    return Handler


def _if_method(name: str, serve: Callable[[], None]) -> Callable[[], None]:
    if name.startswith("do_"):
        return serve
    raise AttributeError(name)


def _answered(service: Service, request: Request) -> Answer:
    try:
        return service.answer(request)
    except CutError:
        raise
    except Exception:  # noqa: BLE001  a mistake of the simulator's own is not to be hidden
        words = traceback.format_exc()
        service.mistakes.append(words)
        return Answer(status=500, body={"status": "error", "message": words})


def _on_the_wire(answer: Answer, encodings: str) -> tuple[dict[str, str], bytes]:
    headers, body = dict(answer.headers), answer.body
    if body is not None and not isinstance(body, bytes):
        body = orjson.dumps(body)
        headers.setdefault("Content-Type", "application/json;charset=utf-8")
    if body and len(body) >= _SMALLEST_ZIPPED and "gzip" in encodings:
        body = gzip.compress(body, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    if answer.status != 204:  # noqa: PLR2004  HTTP: no content
        headers["Content-Length"] = str(len(body or b""))
    return headers, body or b""


def _request(handler: BaseHTTPRequestHandler, body: bytes) -> Request:
    path, _, query = handler.path.partition("?")
    return Request(
        method=handler.command,
        target=handler.path,
        route=route_of(path),
        query=parse_qs(query, keep_blank_values=True),
        headers={name.lower(): value for name, value in handler.headers.items()},
        body=body,
    )
