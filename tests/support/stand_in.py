"""A CRM over HTTP and a mail server over SMTP, really spoken to; they outlive who speaks to them.

They keep all that ever landed, doubles included, and sometimes fail as remotes do.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiosmtpd.smtp import SMTP, Envelope, Session


class StandIn:
    """What a remote knows.

    Attributes:
        native: a task or log with a key that is there already is not made again.
        faults: the share of calls that go wrong.
        thinks: how many seconds it takes at most until it has done what it is called for.
        tasks: how often each key's task was made.
        mails: how often each key's mail was taken.
        logs: how often each key's log of a mail was made.
        requests: how many calls there were, and how many of them went wrong on purpose.
        logged: account, kind, Message-ID and status of what was made, as its row of activities.
    """

    logged: Callable[[str, str, str, str], dict[str, str]]

    def __init__(self, *, native: bool, faults: float, seed: int) -> None:
        self.native = native
        self.faults = faults
        self.thinks = 0.0
        self.random = Random(seed)
        self.lock = threading.Lock()
        self.records: dict[str, list[dict[str, str]]] = {}
        self.tasks: Counter[str] = Counter()
        self.mails: Counter[str] = Counter()
        self.logs: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.http = ""
        self.smtp_port = 0

    def add(self, stream: str, record: dict[str, str]) -> None:
        with self.lock:
            self._add(stream, record)

    def _add(self, stream: str, record: dict[str, str]) -> None:
        self.records.setdefault(stream, []).append(record)

    def after(self, stream: str, count: int) -> list[dict[str, str]]:
        with self.lock:
            return self.records.get(stream, [])[count:]

    def make_task(self, task: dict[str, str]) -> None:
        with self.lock:
            if self.native and self.tasks[task["key"]]:
                return
            self.tasks[task["key"]] += 1
            self._log(task["account"], "task", "", "planned")

    def make_log(self, log: dict[str, str]) -> None:
        with self.lock:
            if self.native and self.logs[log["key"]]:
                return
            self.logs[log["key"]] += 1
            self._log(log["account"], "email", log["message_id"], "completed")

    def take_mail(self, key: str, account: str, message_id: str) -> None:
        """Each mail is logged as an activity, as a CRM with mail logging does."""
        with self.lock:
            self.mails[key] += 1
            self._log(account, "email", message_id, "completed")

    def _log(self, account: str, kind: str, message_id: str, status: str) -> None:
        number = len(self.records.get("activities", ()))
        row = self.logged(account, kind, message_id, status)
        self._add("activities", row | {"id": f"L{number}"})

    def known(self, keys: list[str]) -> list[str]:
        with self.lock:
            made = (self.tasks, self.mails, self.logs)
            return [key for key in keys if any(there[key] for there in made)]

    def fault(self) -> str | None:
        """What goes wrong with this call: it is not done, or its answer is lost."""
        time.sleep(self.random.uniform(0, self.thinks))
        with self.lock:
            self.requests["calls"] += 1
            if self.random.random() >= self.faults:
                return None
            kind = self.random.choice(["refused", "answer lost"])
            self.requests[kind] += 1
            return kind


class _Smtp:
    def __init__(self, remote: StandIn) -> None:
        self.remote = remote

    async def handle_DATA(  # noqa: N802  aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content)
        fault = self.remote.fault()
        if fault == "refused":
            return "451 try again later"
        self.remote.take_mail(str(mail["X-Key"]), str(mail["X-Account"]), str(mail["Message-ID"]))
        if fault is not None and server.transport is not None:
            server.transport.close()
        return "250 taken"


def _handler(remote: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            after = int(parse_qs(parts.query)["after"][0])
            self.answer({"rows": remote.after(parts.path.strip("/"), after)})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/search":
                self.answer({"found": remote.known(asked["keys"])})
                return
            fault = remote.fault()
            if fault == "refused":
                self.answer({"error": "busy"}, status=503)
                return
            (remote.make_log if self.path == "/logs" else remote.make_task)(asked)
            if fault is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.answer({"id": asked["key"]})

        def answer(self, value: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(value).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # whoever asked was killed

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name there
            """Nothing is printed."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # all streams are read at once

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked was killed in the middle of asking."""


@contextmanager
def standing_in(*, native: bool, faults: float, seed: int) -> Iterator[StandIn]:
    """A remote that runs until the end of the block."""
    remote = StandIn(native=native, faults=faults, seed=seed)
    server = _Server(("127.0.0.1", 0), _handler(remote))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        remote.smtp_port = free.getsockname()[1]
    smtp = Controller(_Smtp(remote), hostname="127.0.0.1", port=remote.smtp_port)
    remote.http = f"127.0.0.1:{server.server_address[1]}"
    thread.start()
    smtp.start()
    try:
        yield remote
    finally:
        smtp.stop()
        server.shutdown()
        server.server_close()
        thread.join()
