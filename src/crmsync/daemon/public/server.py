"""The server for requests from outside: a few threads, and bounds on all that a client can do.

It is waitress, which reads a request in full before a thread is given to it: so who sends slowly
holds nothing but a socket.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.server import create_server

from crmsync.config.daemon import host_and_port
from crmsync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIApplication

LONGEST_BODY = 1024 * 1024
LONGEST_HEADER = 32 * 1024
_THREADS = 4
MOST_CONNECTIONS = 200
SILENCE = 20  # seconds after which a connection on which nothing happens is closed
_STOP = 5.0


@contextmanager
def open_to_public(application: WSGIApplication, listen: str) -> Iterator[str]:
    """Answer until the end of the block; yields the address, with the port that was given.

    Raises:
        UsageError: nobody can listen there.
    """
    # Its own lines would tell who looked, and repeat what they sent.
    logging.getLogger("waitress").setLevel(logging.CRITICAL)
    channels: dict[int, Any] = {}
    with _listening(listen) as listener:
        host, port = listener.getsockname()[:2]
        server = create_server(
            application,
            map=channels,
            sockets=[listener],
            threads=_THREADS,
            connection_limit=MOST_CONNECTIONS,
            channel_timeout=SILENCE,
            cleanup_interval=SILENCE // 2,
            max_request_header_size=LONGEST_HEADER,
            max_request_body_size=LONGEST_BODY,
            inbuf_overflow=2 * LONGEST_BODY,  # nothing is put into files
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
            ident=None,
        )
        thread = threading.Thread(target=server.run, daemon=True, name="public")
        thread.start()
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
        finally:
            # In its own thread, where nobody waits on the sockets just then.
            server.trigger.pull_trigger(lambda: wasyncore.close_all(channels))
            thread.join(_STOP)
            server.task_dispatcher.shutdown(timeout=_STOP)


def _listening(listen: str) -> socket.socket:
    host, port = host_and_port(listen)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(f"nobody can listen at {listen}: {error.strerror or error}") from None
