"""Syncs a large simulated org, and downloads the same bytes with nothing done to them.

The org is a process of its own; what is measured are its clients. API calls are counted by the org.
Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync_salesforce.simulator.org import Org

ACCOUNTS, TASKS = 100_000, 1_000_000
CHANGES = 5_000  # of each stream, within an hour
MOST_TIMES_BARE = 2.0
MOST_MEMORY_MIB = 700
RECORDS_A_CALL = 100_000
RECORDS_A_QUERY = 2_000
# A query that counts it, the job and two looks at it; which fields have one is always asked.
MOST_FOR_HISTORY = 4

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_ACCOUNT_FIELDS = {
    "name": "Name",
    "owner": "OwnerId",
    "renewal_date": "Renewal_Date__c",
    "updated_at": "SystemModstamp",
}
_TASK_FIELDS = {
    "account": "AccountId",
    "owner": "OwnerId",
    "subject": "Subject",
    "kind": {"column": "TaskSubtype", "values": {"Call": "call", "Email": "email", "*": "task"}},
    "at": {"column": ["CompletedDateTime", "ActivityDate"]},
}
_STREAMS = {
    "accounts": {"table": "account", "object": "Account", "fields": _ACCOUNT_FIELDS},
    "tasks": {"table": "activity", "object": "Task", "fields": _TASK_FIELDS},
}


class _Clock:
    """The org's time."""

    def __init__(self) -> None:
        self.instant = _NOW

    def now(self) -> datetime:
        return self.instant


def serve(folder: Path, accounts: int, tasks: int) -> None:
    """Run the org until standard input ends; each line is done, and tells the calls until then."""
    from crmsync_salesforce.simulator.org import Org
    from crmsync_salesforce.simulator.server import SimulatorServer
    from crmsync_salesforce.simulator.service import Service, Settings

    clock = _Clock()
    org = Org(
        clock,
        custom=[
            "Account Renewal_Date__c date",
            "Task Crmsync_Key__c string(255) external unique",
        ],
    )
    ids = _fill(org, "Account", accounts, _account, [])
    _fill(org, "Task", tasks, _task, ids)
    service = Service(org, Settings())
    server = SimulatorServer(service, folder)
    (folder / "secret").write_text(service.settings.client_secret)
    _say({"url": server.address, "client_id": service.settings.client_id})
    for line in sys.stdin:
        match line.split():
            case ["change", count]:
                clock.instant += timedelta(hours=1)
                _change(org, int(count))
            case ["track"]:
                _track(org, ids)
        _say({"calls": service.calls})
        service.calls.clear()
    server.close()


def _change(org: Org, count: int) -> None:
    """Somebody changes so many accounts and tasks, as many in a minute as in another."""
    for name, field in (("Account", "Name"), ("Task", "Subject")):
        table = org.tables[name]
        with org.connected() as connection:
            some = connection.execute(table.select().limit(count)).mappings()
            for place, row in enumerate(some.all()):
                stamp = _written(org.clock.now() - timedelta(minutes=place % 30))
                values = {field: f"{row[field]} (changed)", "SystemModstamp": stamp}
                connection.execute(table.update().where(table.c.Id == row["Id"]).values(values))


def _track(org: Org, accounts: list[str]) -> None:
    """Let the org have kept one change of each account."""
    org.tracked = {"Account": {"Name", "OwnerId", "Renewal_Date__c"}}
    rows = []
    for number, account in enumerate(accounts):
        made = _NOW - timedelta(seconds=60 * (len(accounts) - number) - 30)
        rows.append(
            {
                "Id": org.minted("AccountHistory"),
                "IsDeleted": False,
                "CreatedDate": _written(made),
                "CreatedById": org.user,
                "AccountId": account,
                "Field": "Renewal_Date__c",
                "OldValue": "2025-07-15",
                "NewValue": f"2026-{number % 12 + 1:02d}-15",
            }
        )
    org.load("AccountHistory", rows)


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def _fill(
    org: Org,
    name: str,
    count: int,
    make: Callable[[int, list[str]], dict[str, Any]],
    ids: list[str],
) -> list[str]:
    fields = org.objects[name].fields.values()
    empty: dict[str, Any] = {
        field.name: False if field.type == "boolean" else None for field in fields
    }
    empty |= {"OwnerId": org.user, "CreatedById": org.user, "LastModifiedById": org.user}
    made: list[str] = []
    for start in range(0, count, 20_000):
        rows = []
        for number in range(start, min(start + 20_000, count)):
            record_id = org.minted(name)
            stamp = _written(_NOW - timedelta(seconds=60 * (count - number)))
            stamps = {"Id": record_id, "CreatedDate": stamp, "SystemModstamp": stamp}
            stamps["LastModifiedDate"] = stamp
            rows.append(empty | stamps | make(number, ids))
            made.append(record_id)
        org.load(name, rows)
    return made


def _account(number: int, _ids: list[str]) -> dict[str, Any]:
    return {"Name": f"Account, “{number}”", "Renewal_Date__c": f"2026-{number % 12 + 1:02d}-15"}


def _task(number: int, ids: list[str]) -> dict[str, Any]:
    account = ids[number * 7919 % len(ids)]
    at = _written(_NOW - timedelta(minutes=63 * (number % 10_000)))
    return {
        "AccountId": account,
        "WhatId": account,
        "Subject": f"Re: renewal, next steps {number % 100_000}",
        "TaskSubtype": ("Call", "Email", "Task")[number % 3],
        "Status": "Completed",
        "IsClosed": True,
        "Priority": "Normal",
        "CompletedDateTime": at,
        "ActivityDate": at[:10],
    }


def bare(folder: Path) -> None:
    """Run the jobs of a first load, and drop what they bring."""
    from crmsync.clock import FixedClock
    from crmsync_salesforce import bulk, soql
    from crmsync_salesforce.client import SalesforceClient
    from crmsync_salesforce.options import SalesforceOptions

    told = json.loads((folder / "connection.json").read_text())
    client = SalesforceClient(
        SalesforceOptions.model_validate(told), folder, FixedClock(instant=_NOW)
    )
    selections = {
        "Account": "Id SystemModstamp IsDeleted MasterRecordId Name OwnerId Renewal_Date__c",
        "Task": "Id SystemModstamp IsDeleted AccountId OwnerId Subject TaskSubtype "
        "CompletedDateTime ActivityDate",
    }
    for name, selected in selections.items():
        job = bulk.create_job(client, soql.everything(name, selected.split()))
        while not bulk.wait_for(client, job):
            pass
        locator: str | None = "first"
        while locator not in {None, "null"}:
            params = {"maxRecords": str(RECORDS_A_CALL)}
            params |= {} if locator == "first" else {"locator": str(locator)}
            path = f"jobs/query/{job}/results"
            with client.call("GET", path, params=params, stream=True) as response:
                for _ in response.iter_content(2**20):
                    pass
                locator = response.headers.get("Sforce-Locator")
    client.close()


def _measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds on the wall and MiB of memory of a process."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def _config(folder: Path, told: dict[str, str]) -> tuple[Path, Path]:
    """A config of both streams, and one of the accounts alone."""
    connection: dict[str, Any] = {
        "url": told["url"],
        "client_id": told["client_id"],
        "client_secret": f"file:{folder / 'secret'}",
        "ca_file": str(folder / "certificate.pem"),
    }
    (folder / "connection.json").write_text(json.dumps(connection))
    streams = {name: {"key": "Id"} | stream for name, stream in _STREAMS.items()}
    both, alone = folder / "config.yaml", folder / "alone" / "config.yaml"
    for path, some in ((both, streams), (alone, {"accounts": streams["accounts"]})):
        config = {
            "company": {"name": "Vendor", "email": "hello@vendor.example"},
            "connections": {"sf": {"connector": "salesforce", "streams": some} | connection},
        }
        for name in ("rules", "segments", "templates"):
            (path.parent / name).mkdir(parents=True)
        path.write_text(json.dumps(config))  # JSON is YAML
    return both, alone


def _sync(config: Path, at: datetime) -> list[str]:
    command = [sys.executable, "-m", "crmsync", "sync", "--config", str(config), "--json"]
    return [*command, "--at", at.isoformat()]


def measure(folder: Path, accounts: int, tasks: int) -> bool:
    """Print what was measured; answers whether all targets were met."""
    script = [sys.executable, __file__, "--folder", str(folder)]
    serving = [*script, "--serve", "--accounts", str(accounts), "--tasks", str(tasks)]
    with subprocess.Popen(serving, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as org:
        assert org.stdin is not None
        assert org.stdout is not None
        asked, answered = org.stdin, org.stdout
        config, alone = _config(folder, json.loads(answered.readline()))

        def calls(order: str = "count") -> list[str]:
            asked.write(f"{order}\n")
            asked.flush()
            counted: list[str] = json.loads(answered.readline())["calls"]
            return counted

        crmsync = _sync(config, _NOW)
        bare_seconds, _ = _measured([*script, "--bare"], folder)
        calls()
        seconds, memory = _measured(crmsync, folder)
        first = calls()
        again_seconds, _ = _measured(crmsync, folder)
        calls()
        again_seconds, _ = _measured(crmsync, folder)
        again = calls(f"change {CHANGES}")
        later_seconds, _ = _measured(_sync(config, _NOW + timedelta(hours=1)), folder)
        later = calls()
        without_seconds, _ = _measured(_sync(alone, _NOW + timedelta(hours=1)), folder)
        without = calls("track")
        shutil.rmtree(alone.parent / "state")
        past_seconds, _ = _measured(_sync(alone, _NOW + timedelta(hours=1)), folder)
        past = calls()
        asked.close()
    results = [call for call in first if call.endswith("/results")]
    times = seconds / bare_seconds
    most = -(-accounts // RECORDS_A_CALL) + -(-tasks // RECORDS_A_CALL)
    print(f"first load of {accounts:,} accounts and {tasks:,} tasks: {seconds:.1f} s")
    print(f"  {times:.2f} times a bare download ({bare_seconds:.1f} s); at most {MOST_TIMES_BARE}")
    print(f"  {memory:.0f} MiB; at most {MOST_MEMORY_MIB}")
    print(f"  {len(results)} calls for results, at most {most}; {len(first)} calls in all")
    print(f"nothing changed: {again_seconds:.1f} s, {len(again)} calls; at most {len(_STREAMS)}")
    most_later = -(-CHANGES // RECORDS_A_QUERY) * len(_STREAMS)
    print(
        f"{CHANGES:,} accounts and {CHANGES:,} tasks changed: {later_seconds:.1f} s, {len(later)} "
        f"calls; at most {most_later}"
    )
    most_past = len(without) + MOST_FOR_HISTORY + -(-accounts // RECORDS_A_CALL)
    print(
        f"first load of the accounts alone: {without_seconds:.1f} s, {len(without)} calls; with a "
        f"change of each in the org's history: {past_seconds:.1f} s, {len(past)} calls, at most "
        f"{most_past}"
    )
    return (
        len(later) <= most_later
        and len(without) < len(past) <= most_past
        and times <= MOST_TIMES_BARE
        and memory <= MOST_MEMORY_MIB
        and len(results) <= most
        and len(again) <= len(_STREAMS)
    )


def main() -> None:
    """Measure, or be a part of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--bare", action="store_true")
    given = parser.parse_args()
    if given.serve:
        serve(given.folder, given.accounts, given.tasks)
    elif given.bare:
        bare(given.folder)
    else:
        with tempfile.TemporaryDirectory() as folder:
            sys.exit(0 if measure(Path(folder), given.accounts, given.tasks) else 1)


if __name__ == "__main__":
    main()
