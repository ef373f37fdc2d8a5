"""What the daemon tells whoever watches it: metrics, whether it lives, whether it can work.

No record's data is ever in it: numbers, and the names of connections, streams and rules' states.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from crmsync.observe import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from crmsync.clock import Clock
    from crmsync.ledger.states import State
    from crmsync.model.actions import ActionKind
    from crmsync.model.records import StreamState

# Each of them would be a second line beside every counter.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here

_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)


class Board:
    """The loop writes, and what answers those outside; anybody reads.

    Args:
        clock: ages are told at its present.
        patience: after so long without a sign of life it counts as stuck.
    """

    def __init__(self, clock: Clock, patience: timedelta) -> None:
        self._clock = clock
        self._patience = patience
        self._lock = threading.Lock()
        self._beat = time.monotonic()
        self._first_cycle_done = False
        self._failure: str | None = None
        self._stopped: str | None = None
        self._refused: tuple[str, ...] = ()
        self._unread: dict[str, str] = {}
        self.registry = CollectorRegistry()
        # Metrics, by the names that Prometheus knows them under.
        gauge, registry = Gauge, self.registry
        self._runs = Counter(
            "crmsync_runs", "Cycles, by how they ended.", ["outcome"], registry=registry
        )
        for outcome in ("done", "failed", "stopped"):
            self._runs.labels(outcome)
        self._cycle = Histogram(
            "crmsync_cycle_seconds",
            "How long deciding and delivering took.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._sync = Histogram(
            "crmsync_sync_seconds",
            "How long a connection was read.",
            ["connection"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._sync_failures = Counter(
            "crmsync_sync_failures",
            "Readings that did not reach their end.",
            ["connection"],
            registry=registry,
        )
        self._ages = gauge(
            "crmsync_stream_age_seconds",
            "Since a stream was last read to its end.",
            ["connection", "stream"],
            registry=registry,
        )
        self._unreadable = gauge(
            "crmsync_stream_unreadable_rows",
            "Rows of a stream that cannot be used.",
            ["connection", "stream"],
            registry=registry,
        )
        self._effects = gauge(
            "crmsync_effects", "Effects in the ledger.", ["state", "kind"], registry=registry
        )
        self._held = gauge(
            "crmsync_held", "Subjects and steps that the last cycle held back.", registry=registry
        )
        self._wake = gauge(
            "crmsync_next_wake_timestamp_seconds", "When something is due next.", registry=registry
        )
        self._since = gauge(
            "crmsync_started_timestamp_seconds", "When the daemon began.", registry=registry
        )
        self._bad_files = gauge(
            "crmsync_files_refused", "Mistakes in files that are not in force.", registry=registry
        )
        self._hooks = Counter(
            "crmsync_hooks",
            "What remotes told by themselves, by whether it could be believed.",
            ["connection", "outcome"],
            registry=registry,
        )
        self._unsubscribes = Counter(
            "crmsync_unsubscribes",
            "Addresses whose owners declined commercial mail by a link.",
            registry=registry,
        )
        self._since.set(clock.now().timestamp())

    # What the loop and its work tell

    def beat(self) -> None:
        """The loop goes round."""
        self._beat = time.monotonic()

    def wakes(self, at: datetime) -> None:
        """When something is due next."""
        self._wake.set(at.timestamp())

    def acted(self, seconds: float, *, held: int, stopped: str | None) -> None:
        """What a cycle did; ``stopped`` is why the circuit breaker let nothing out."""
        self._runs.labels("done" if stopped is None else "stopped").inc()
        self._cycle.observe(seconds)
        self._held.set(held)
        with self._lock:
            self._stopped = stopped

    def went_through(self) -> None:
        """A cycle came to its end, so what an earlier one failed with is over."""
        with self._lock:
            self._first_cycle_done, self._failure = True, None

    def failed(self, problem: str) -> None:
        """A cycle did not go through."""
        self._runs.labels("failed").inc()
        with self._lock:
            self._failure = problem

    def synced(self, connection: str, seconds: float, problem: str | None) -> None:
        """A connection was read, or could not be."""
        self._sync.labels(connection).observe(seconds)
        with self._lock:
            self._unread.pop(connection, None)
            if problem is not None:
                self._unread[connection] = problem
        self._sync_failures.labels(connection).inc(problem is not None)

    def refused(self, problems: Sequence[str]) -> None:
        """What is wrong with the files; nothing, where they are in force."""
        self._bad_files.set(len(problems))
        with self._lock:
            self._refused = tuple(problems)

    def keep_connections(self, names: Collection[str]) -> None:
        """Forget the connections that there are no longer."""
        with self._lock:
            self._unread = {name: why for name, why in self._unread.items() if name in names}

    def streams(
        self, states: Iterable[StreamState], unreadable: Mapping[tuple[str, str], int]
    ) -> None:
        """How far each stream has been read, and how many of its rows cannot be used."""
        self._ages.clear()
        self._unreadable.clear()
        for state in (one.seen_from(self._clock.now()) for one in states):
            names = (state.connection, state.stream)
            self._unreadable.labels(*names).set(unreadable.get(names, 0))
            if state.known_at is not None:
                self._ages.labels(*names).set_function(partial(self._age, state.known_at))

    def _age(self, at: datetime) -> float:
        return (self._clock.now() - at).total_seconds()

    def effects(self, counts: Mapping[tuple[State, ActionKind], int]) -> None:
        """How many effects there are."""
        self._effects.clear()
        for (state, kind), count in counts.items():
            self._effects.labels(state.value, kind.value).set(count)

    def heard(self, connection: str, *, believed: bool) -> None:
        """A remote told something by itself, or somebody else in its name."""
        self._hooks.labels(connection, "believed" if believed else "refused").inc()

    def unsubscribed(self) -> None:
        """Somebody declined commercial mail."""
        self._unsubscribes.inc()

    # What watchers ask

    def metrics(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def stuck(self) -> str | None:
        """Why it must be taken for stuck; None while it lives."""
        silent = time.monotonic() - self._beat
        if silent <= self._patience.total_seconds():
            return None
        return f"no sign of life for {silent:.0f} seconds"

    def unready(self) -> tuple[str, ...]:
        """What keeps it from doing all that it should, a sentence each."""
        with self._lock:
            found = [*self._refused, *(f"{name}: {why}" for name, why in self._unread.items())]
            found += [why for why in (self._stopped, self._failure) if why is not None]
            if self._failure is None and not self._first_cycle_done:
                found.append("the first cycle has not ended yet")
        return tuple(redact(sentence, personal=True) for sentence in found)
