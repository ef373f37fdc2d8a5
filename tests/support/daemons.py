"""A daemon as a process, as a service manager starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 90.0  # seconds; nothing takes as long unless it never comes


def until(happened: Callable[[], Any], what: str) -> Any:
    """What a question answers once the answer is neither empty nor false."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = happened()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what} never came")


@dataclass(kw_only=True)
class Running:
    process: subprocess.Popen[bytes]
    log: Path
    taken: set[int] = field(default_factory=set)

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_bytes().splitlines(keepends=True)
        told = [json.loads(line) for line in lines if line.endswith(b"}\n")]
        return [event for event in told if event["event"] == name]

    def waits_for(self, name: str, times: int = 1) -> dict[str, Any]:
        def there() -> list[dict[str, Any]]:
            found = self.events(name)
            assert self.process.poll() is None or len(found) >= times, self.log.read_text()
            return found[times - 1 :]

        found: list[dict[str, Any]] = until(there, f"{name} ({times})")
        return found[0]

    def asks(self, path: str) -> tuple[int, str]:
        """The status and the body of an answer."""
        address = self.waits_for("daemon.started")["watchers"]
        try:
            with urllib.request.urlopen(f"{address}{path}", timeout=10) as answer:  # noqa: S310  http
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ends(self, by: signal.Signals) -> int:
        self.process.send_signal(by)
        return self.process.wait(PATIENCE)


def command(config: Path) -> list[str]:
    module = [sys.executable, "-m", "crmsync", "daemon"]
    return [*module, "--config", str(config), "--listen", "127.0.0.1:0"]


@contextmanager
def running(config: Path, log: Path, **environment: str) -> Iterator[Running]:
    """A daemon on a free port, which is killed at the end if it is still there."""
    with (
        log.open("wb") as lines,
        subprocess.Popen(
            command(config), stdout=lines, stderr=lines, env=os.environ | environment
        ) as process,
    ):
        try:
            yield Running(process=process, log=log)
        finally:
            process.kill()
