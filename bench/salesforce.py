"""Syncs a large simulated org, and downloads the same bytes with nothing done to them.

The org is a process of its own; what is measured are its clients. API calls are counted by the org.
Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
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
MOST_TIMES_BARE = 2.0
MOST_MEMORY_MIB = 700
RECORDS_A_CALL = 100_000

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_ACCOUNT_FIELDS = {"name": "Name", "owner": "OwnerId", "renewal_date": "Renewal_Date__c"}
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


def serve(folder: Path, accounts: int, tasks: int) -> None:
    """Run the org until standard input ends; each line asked for tells its calls."""
    from crmsync.clock import FixedClock
    from crmsync_salesforce.simulator.org import Org
    from crmsync_salesforce.simulator.server import SimulatorServer
    from crmsync_salesforce.simulator.service import Service, Settings

    org = Org(
        FixedClock(instant=_NOW),
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
    for _ in sys.stdin:
        _say({"calls": service.calls})
        service.calls.clear()
    server.close()


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
            stamp = f"{_NOW - timedelta(seconds=60 * (count - number)):%Y-%m-%dT%H:%M:%S}.000Z"
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
    at = f"{_NOW - timedelta(minutes=63 * (number % 10_000)):%Y-%m-%dT%H:%M:%S}.000Z"
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


def _config(folder: Path, told: dict[str, str]) -> Path:
    connection: dict[str, Any] = {
        "url": told["url"],
        "client_id": told["client_id"],
        "client_secret": f"file:{folder / 'secret'}",
        "ca_file": str(folder / "certificate.pem"),
    }
    (folder / "connection.json").write_text(json.dumps(connection))
    streams = {name: {"key": "Id"} | stream for name, stream in _STREAMS.items()}
    config = {
        "company": {"name": "Vendor", "email": "hello@vendor.example"},
        "connections": {"sf": {"connector": "salesforce", "streams": streams} | connection},
    }
    for name in ("rules", "segments", "templates"):
        (folder / name).mkdir()
    path = folder / "config.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def measure(folder: Path, accounts: int, tasks: int) -> bool:
    """Print what was measured; answers whether all targets were met."""
    script = [sys.executable, __file__, "--folder", str(folder)]
    serving = [*script, "--serve", "--accounts", str(accounts), "--tasks", str(tasks)]
    with subprocess.Popen(serving, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as org:
        assert org.stdin is not None
        assert org.stdout is not None
        asked, answered = org.stdin, org.stdout
        config = _config(folder, json.loads(answered.readline()))

        def calls() -> list[str]:
            asked.write("calls\n")
            asked.flush()
            counted: list[str] = json.loads(answered.readline())["calls"]
            return counted

        crmsync = [sys.executable, "-m", "crmsync", "sync", "--config", str(config), "--json"]
        crmsync += ["--at", _NOW.isoformat()]
        bare_seconds, _ = _measured([*script, "--bare"], folder)
        calls()
        seconds, memory = _measured(crmsync, folder)
        first = calls()
        again_seconds, _ = _measured(crmsync, folder)
        calls()
        again_seconds, _ = _measured(crmsync, folder)
        again = calls()
        asked.close()
    results = [call for call in first if call.endswith("/results")]
    times = seconds / bare_seconds
    most = -(-accounts // RECORDS_A_CALL) + -(-tasks // RECORDS_A_CALL)
    print(f"first load of {accounts:,} accounts and {tasks:,} tasks: {seconds:.1f} s")
    print(f"  {times:.2f} times a bare download ({bare_seconds:.1f} s); at most {MOST_TIMES_BARE}")
    print(f"  {memory:.0f} MiB; at most {MOST_MEMORY_MIB}")
    print(f"  {len(results)} calls for results, at most {most}; {len(first)} calls in all")
    print(f"nothing changed: {again_seconds:.1f} s, {len(again)} calls; at most {len(_STREAMS)}")
    return (
        times <= MOST_TIMES_BARE
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
