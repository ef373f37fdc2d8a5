"""``/healthz``, ``/readyz`` and ``/metrics``, answered by a thread of their own."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST

from crmsync.config.daemon import host_and_port
from crmsync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.daemon.board import Board

_JSON = "application/json"
_Answer = tuple[HTTPStatus, str, bytes]


def _json(status: HTTPStatus, told: object) -> _Answer:
    return status, _JSON, json.dumps(told, ensure_ascii=False).encode() + b"\n"


def answer(board: Board, path: str) -> _Answer:
    """The status, the content type and the body of an answer."""
    match path.partition("?")[0]:
        case "/healthz":
            stuck = board.stuck()
            if stuck is None:
                return _json(HTTPStatus.OK, {"alive": True})
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"alive": False, "problems": [stuck]})
        case "/readyz":
            problems = board.unready()
            status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
            return _json(status, {"ready": not problems, "problems": problems})
        case "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, board.metrics()
        case _:
            return _json(HTTPStatus.NOT_FOUND, {"paths": ["/healthz", "/readyz", "/metrics"]})


@contextmanager
def serving(board: Board, listen: str) -> Iterator[str]:
    """Answer at an address until the end of the block; yields it, with the port that was given.

    Raises:
        UsageError: nobody can listen there.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            status, kind, body = answer(board, self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  the name that http.server calls

        def log_message(self, *_: object) -> None:
            """Nobody needs to read that somebody looked."""

    try:
        server = ThreadingHTTPServer(host_and_port(listen), Handler)
    except OSError as error:
        raise UsageError(f"nobody can listen at {listen}: {error.strerror or error}") from None
    server.daemon_threads = True
    host, port = str(server.server_address[0]), server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="watchers").start()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.shutdown()
        server.server_close()
