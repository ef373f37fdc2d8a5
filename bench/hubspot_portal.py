"""Syncs a large simulated portal, and counts the calls against the least that HubSpot allows.

Portal and connector share a clock in which waiting costs nothing, so the rate limits are kept and
nobody sits through them; how long it would have taken is told.
Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from crmsync.cli.commands import app
from crmsync_hubspot import waiting
from crmsync_hubspot.simulator.portal import Portal
from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.server import SimulatorServer
from crmsync_hubspot.simulator.service import Service
from crmsync_hubspot.simulator.settings import Settings
from crmsync_hubspot.simulator.values import milliseconds, told

if TYPE_CHECKING:
    from collections.abc import Callable

COMPANIES, CONTACTS, ENGAGEMENTS = 100_000, 300_000, 1_000_000
CHANGES = 5_000
MOST_TIMES_FIRST, MOST_TIMES_CHANGES = 1.1, 1.2
# What one call brings at most, by HubSpot's documentation.
LISTED, SEARCHED, ASSOCIATED = 100, 200, 1000

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_MAILS = {"INCOMING_EMAIL": "inbound", "*": "outbound"}
_ENGAGEMENT = {"account": "associations.companies", "at": "hs_timestamp", "updated_at": "updatedAt"}
_STREAMS: dict[str, dict[str, Any]] = {
    "companies": {
        "table": "account",
        "fields": {"name": "name", "industry": "industry", "updated_at": "updatedAt"},
    },
    "contacts": {
        "table": "contact",
        "fields": {
            "account": "associations.companies",
            "email": "email",
            "last_name": "lastname",
            "updated_at": "updatedAt",
        },
    },
    "emails": {
        "table": "activity",
        "fields": _ENGAGEMENT
        | {
            "kind": {"value": "email"},
            "direction": {"column": "hs_email_direction", "values": _MAILS},
            "subject": "hs_email_subject",
        },
    },
    "calls": {
        "table": "activity",
        "fields": _ENGAGEMENT | {"kind": {"value": "call"}, "subject": "hs_call_title"},
    },
    # Listed with the calls, so that a first load costs nothing more.
    "call_links": {
        "table": "activity_link",
        "object": "calls",
        "associations_to": ["companies", "contacts"],
        "fields": {"activity": "from", "account": "companies", "contact": "contacts"},
    },
    "tasks": {
        "table": "activity",
        "fields": _ENGAGEMENT | {"kind": {"value": "task"}, "subject": "hs_task_subject"},
    },
}
_SHARES = {"emails": 0.5, "calls": 0.3, "tasks": 0.2}


class Clock:
    """The portal's and the connector's: what is waited for, passes."""

    def __init__(self) -> None:
        self.instant = _NOW

    def now(self) -> datetime:
        """The portal's present."""
        return self.instant


class Seconds:
    """The same clock, as the connector waits by it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.instant.timestamp()

    def sleep(self, seconds: float) -> None:
        """Let them pass."""
        self._clock.instant += timedelta(seconds=seconds)


class Bench:
    """A portal, a config, and what was counted."""

    def __init__(self, folder: Path, sizes: dict[str, int]) -> None:
        self.clock = Clock()
        self.portal = Portal(self.clock, Settings())
        self.sizes = sizes
        companies = self._fill("companies", sizes["companies"], _company, [])
        for name, made in (("contacts", _contact), *((one, _engagement(one)) for one in _SHARES)):
            self._fill(name, sizes[name], made, companies)
        self.service = Service(self.portal)
        self.server = SimulatorServer(self.service)
        self.config = self._written(folder)
        waiting.TIME = Seconds(self.clock)

    def _fill(
        self,
        name: str,
        count: int,
        made: Callable[[int], dict[str, str]],
        companies: list[int],
    ) -> list[int]:
        ids = [self.portal.minted(name) for _ in range(count)]
        newest = milliseconds(_NOW - timedelta(hours=1))
        self.portal.load(
            name,
            [
                record(one, newest - 2000 * (count - n), newest - 1000 * (count - n), None, made(n))
                for n, one in enumerate(ids)
            ],
        )
        for n, one in enumerate(ids if companies else ()):
            self.portal.links.add(name, one, "companies", companies[n * 7919 % len(companies)])
        return ids

    def _written(self, folder: Path) -> Path:
        (folder / "token").write_text(self.service.settings.token)
        streams = {name: {"key": "id", "object": name} | one for name, one in _STREAMS.items()}
        hub = {
            "connector": "hubspot",
            "url": self.server.address,
            "access_token": f"file:{folder / 'token'}",
            "streams": streams,
        }
        config = {
            "company": {"name": "Vendor", "email": "hello@vendor.example"},
            "connections": {"hub": hub},
        }
        for name in ("rules", "segments", "templates"):
            (folder / name).mkdir()
        path = folder / "config.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML
        return path

    def sync(self) -> tuple[Counter[str], float, float]:
        """The calls of a sync, the processor's seconds, and those that would have passed."""
        self.service.calls.clear()
        began, cpu = self.clock.now(), time.process_time()
        command = ["sync", "--config", str(self.config), "--json", "--at", began.isoformat()]
        result = CliRunner().invoke(app, command)
        if result.exit_code:
            sys.exit(f"the sync failed: {result.output}")
        passed = (self.clock.now() - began).total_seconds()
        return Counter(self.service.calls), time.process_time() - cpu, passed

    def change(self, changes: dict[str, int]) -> None:
        """Let so many records of each kind be changed."""
        for name, count in changes.items():
            every = list(self.portal.tables[name].records)
            step = max(1, len(every) // count)
            for one in every[: step * count : step]:
                self.portal.update(name, one, {_CHANGED[name]: "changed"})

    def close(self) -> None:
        """Stop the portal."""
        self.server.close()


_CHANGED = {
    "companies": "name",
    "contacts": "lastname",
    "emails": "hs_email_subject",
    "calls": "hs_call_title",
    "tasks": "hs_task_subject",
}


def _company(number: int) -> dict[str, str]:
    return {"name": f"Company, “{number}”", "industry": "tea"}


def _contact(number: int) -> dict[str, str]:
    return {"email": f"p{number}@customer.example", "lastname": f"Person {number % 10_000}"}


def _engagement(name: str) -> Callable[[int], dict[str, str]]:
    texts = {
        "emails": {"hs_email_subject": "Re: renewal, next steps", "hs_email_direction": "EMAIL"},
        "calls": {"hs_call_title": "Renewal"},
        "tasks": {"hs_task_subject": "Follow up", "hs_task_status": "COMPLETED"},
    }
    first = milliseconds(_NOW - timedelta(days=700))
    return lambda number: (
        {"hs_timestamp": told(first + 60_000 * (number % 1_000_000))} | texts[name]
    )


def _pages(count: int, size: int) -> int:
    return -(-count // size)


def measure(folder: Path, sizes: dict[str, int]) -> bool:
    """Print what was measured; answers whether all targets were met."""
    bench = Bench(folder, sizes)
    linked = [name for name in sizes if name != "companies"]

    calls, cpu, passed = bench.sync()
    least = sum(_pages(count, LISTED) for count in sizes.values())
    first = sum(calls.values()) / least
    print(f"first load of {sum(sizes.values()):,} records: {sum(calls.values()):,} calls")
    print(f"  {cpu:.0f} s of processor, with the portal's own; {passed / 60:.0f} min by its limits")
    met = _verdict(
        first <= MOST_TIMES_FIRST,
        f"{first:.3f} times the least ({least:,}, by pages of {LISTED}); "
        f"at most {MOST_TIMES_FIRST}",
    )

    bench.clock.instant += timedelta(hours=2)
    calls, cpu, _ = bench.sync()
    quiet = sum(calls.values())
    print(f"nothing changed: {quiet} calls, {cpu:.1f} s")
    met &= _verdict(quiet <= len(_STREAMS), f"one call for each of {len(_STREAMS)} streams at most")

    whole = sum(sizes.values())
    share = {name: max(1, CHANGES * count // whole) for name, count in sizes.items()}
    bench.change(share)
    bench.clock.instant += timedelta(hours=2)
    calls, cpu, _ = bench.sync()
    least = sum(_pages(count, SEARCHED) for count in share.values())
    least += sum(_pages(share[name], ASSOCIATED) for name in linked)
    # The stream of associations asks for itself, for both of its objects.
    least += _pages(share["calls"], SEARCHED) + 2 * _pages(share["calls"], ASSOCIATED)
    some = sum(calls.values()) / least
    print(f"{sum(share.values()):,} changes: {sum(calls.values())} calls, {cpu:.1f} s")
    met &= _verdict(
        some <= MOST_TIMES_CHANGES,
        f"{some:.3f} times the least ({least}, by pages of {SEARCHED} and {ASSOCIATED}); "
        f"at most {MOST_TIMES_CHANGES}",
    )

    limits, refused = bench.portal.settings, bench.service.limits.refused
    print(
        f"limits, in virtual time: {limits.burst} calls in ten seconds, "
        f"{limits.searches} searches in one, {limits.daily:,} calls in a day"
    )
    met &= _verdict(not refused, f"{sum(refused.values())} calls refused; at most 0")
    mistakes = len(bench.service.mistakes)
    met &= _verdict(not mistakes, f"{mistakes} mistakes of the simulated portal; at most 0")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{peak:,.0f} MiB at most, with the portal's own records")
    bench.close()
    return met


def _verdict(met: bool, sentence: str) -> bool:
    print(f"  {'met' if met else 'MISSED'}: {sentence}")
    return met


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--companies", type=int, default=COMPANIES)
    parser.add_argument("--contacts", type=int, default=CONTACTS)
    parser.add_argument("--engagements", type=int, default=ENGAGEMENTS)
    given = parser.parse_args()
    sizes = {"companies": given.companies, "contacts": given.contacts}
    sizes |= {name: int(given.engagements * share) for name, share in _SHARES.items()}
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if measure(Path(folder), sizes) else 1)


if __name__ == "__main__":
    main()
