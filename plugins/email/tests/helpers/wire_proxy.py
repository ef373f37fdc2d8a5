"""A proxy on loopback between a mail program and its server that counts, cuts and puts in."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 4_096


class WireProxy:
    """Takes connections at ``port`` and passes on what both sides say.

    Attributes:
        commands: the lines that clients have sent.
        cut_after: how many bytes of the server's a connection may bring before it breaks.
        reply: asked about each line of a client's; bytes are sent instead of passing the line on,
            and empty bytes end the connection.
        change: what is passed on of a line of a client's.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.commands: list[bytes] = []
        self.cut_after: int | None = None
        self.reply: Callable[[bytes], bytes | None] = lambda _: None
        self.change: Callable[[bytes], bytes] = lambda line: line
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._listening)
        for one in self._sockets:
            self._end(one)
        for thread in self._threads:
            thread.join(timeout=5)

    @staticmethod
    def _end(one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            for pump in (self._to_server, self._to_client):
                thread = threading.Thread(target=pump, args=(client, server), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, ValueError), client.makefile("rb") as lines:
            for line in lines:
                self.commands.append(line.rstrip())
                said = self.reply(line)
                if said is None:
                    server.sendall(self.change(line))
                elif said:
                    client.sendall(said)
                else:
                    break
        self._end(server)
        self._end(client)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := server.recv(_CHUNK):
                if self.cut_after is not None and passed + len(data) > self.cut_after:
                    client.sendall(data[: self.cut_after - passed])
                    break
                client.sendall(data)
                passed += len(data)
        self._end(client)
        self._end(server)
