"""Syncs a CSV of activities through the whole path, and has DuckDB load the same file.

Each measurement is a process of its own, from its start to its end; the two take turns.
Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 1_000_000
ROUNDS = 3
MOST_TIMES_DUCKDB = 3.0
MOST_MEMORY_MIB = 1536
MOST_READ_AGAIN = 0.02  # of the file's bytes, when nothing has changed

_NOW = "2026-03-01T12:00:00+00:00"
_TYPES = {
    "id": "VARCHAR",
    "account": "VARCHAR",
    "contact": "VARCHAR",
    "owner": "VARCHAR",
    "kind": "VARCHAR",
    "direction": "VARCHAR",
    "at": "TIMESTAMP WITH TIME ZONE",
    "updated_at": "TIMESTAMP WITH TIME ZONE",
    "automated": "BOOLEAN",
    "status": "VARCHAR",
    "subject": "VARCHAR",
}


def write_activities(path: Path, rows: int) -> None:
    """The same file each time: ids out of order, skewed accounts, two years of instants."""
    import duckdb

    query = """
        COPY (
            SELECT 'A' || (i * 7919 % $rows) AS id,
                'C' || (h % 1000 * (h // 1000 % 50)) AS account,
                CASE WHEN h % 5 = 0 THEN NULL ELSE 'P' || h % 150000 END AS contact,
                'U' || h % 40 AS owner,
                ['call', 'email', 'email', 'email', 'meeting', 'note', 'task'][h % 7 + 1] AS kind,
                CASE WHEN h % 7 < 4 THEN ['inbound', 'outbound'][h % 2 + 1] END AS direction,
                strftime(timestamp '2024-03-01' + to_seconds(63 * i), '%Y-%m-%dT%H:%M:%SZ') AS at,
                strftime(timestamp '2024-03-01' + to_seconds(63 * i + h % 9999),
                         '%Y-%m-%dT%H:%M:%SZ') AS updated_at,
                CASE WHEN h % 11 = 0 THEN 'true' ELSE 'false' END AS automated,
                ['completed', 'completed', 'planned'][h % 3 + 1] AS status,
                'Re: ' || ['renewal, next steps', 'the "usage" report', 'Grüße', 'onboarding']
                    [h % 4 + 1] || ' ' || h % 100000 AS subject
            FROM (SELECT range AS i, (hash(range) % 1000000007)::BIGINT AS h FROM range($rows))
        ) TO '$path' (HEADER)
    """
    query = query.replace("$rows", str(rows)).replace("$path", str(path))
    with duckdb.connect() as connection:
        connection.execute(query).fetchall()


def load_with_duckdb(folder: Path) -> None:
    """What the file costs DuckDB itself."""
    import duckdb

    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _TYPES.items())
    with duckdb.connect(folder / "plain.duckdb") as connection:
        connection.execute(
            f"CREATE TABLE activity AS SELECT * FROM "
            f"read_csv('{folder}/crm/activities.csv', header = true, columns = {{{columns}}})"
        ).fetchall()


def sync(folder: Path) -> None:
    """The whole path, as the command goes it."""
    from datetime import datetime

    import ibis

    from crmsync.clock import FixedClock
    from crmsync.config.settings import ConnectionSettings
    from crmsync.model.tables import CANONICAL_TABLES
    from crmsync.observe import configure_logs
    from crmsync.plugins.contract import ConnectionContext, StreamRequest
    from crmsync.plugins.manager import Plugins
    from crmsync.sync.run import sync_connection
    from crmsync.warehouse.store import Warehouse

    configure_logs()
    fields = {name: name for name in _TYPES if name != "id"}
    stream = {"table": "activity", "key": "id", "file": "activities.csv", "fields": fields}
    settings = ConnectionSettings.model_validate(
        {"connector": "files", "path": "crm", "streams": {"activities": stream}}
    )
    spec = Plugins().connector("files")
    clock = FixedClock(instant=datetime.fromisoformat(_NOW))
    connector = spec.open(
        ConnectionContext(
            name="crm",
            options=spec.options.model_validate(settings.own_options),
            streams={
                name: StreamRequest(
                    name=name,
                    options=spec.stream_options.model_validate(one.own_options),
                    columns=one.columns,
                    key=tuple(one.key),
                )
                for name, one in settings.streams.items()
            },
            folder=folder,
            clock=clock,
        )
    )
    # What the first query imports is not to be counted as read.
    warmed = ibis.duckdb.connect()
    warmed.to_pyarrow(warmed.table("columns", database="information_schema"))
    warmed.disconnect()
    opened = _watch_opens()
    read_before = _bytes_read()
    report = sync_connection(
        connector=connector,  # type: ignore[arg-type]  # the spec does not say that it reads
        settings=settings,
        name="crm",
        warehouse=Warehouse(folder / "warehouse.duckdb", CANONICAL_TABLES),
        clock=clock,
        company_zone="UTC",
    )
    connector.close()
    (done,) = report
    if done.error or done.quarantined:
        sys.exit(f"the sync did not end well: {done}")
    opened_export = any(name.endswith("activities.csv") for name in opened)
    print(done.read, done.changed, _bytes_read() - read_before, int(opened_export))


def _watch_opens() -> list[str]:
    opened: list[str] = []
    sys.addaudithook(
        lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None
    )
    return opened


def _bytes_read() -> int:
    """Bytes that this process has asked the system for (Linux)."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def _measured(what: str, folder: Path) -> tuple[float, float, list[int]]:
    """Seconds, peak memory in MiB and what was printed by a process that does that."""
    command = [sys.executable, __file__, what, "--folder", str(folder)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{what} failed")
    seconds = time.perf_counter() - started
    return seconds, used.ru_maxrss / 1024, [int(word) for word in printed.split()]


def compare(rows: int, rounds: int) -> bool:
    """Print the figures; whether all targets are met."""
    times: dict[str, list[float]] = {"duckdb": [], "sync": [], "again": []}
    memory: dict[str, float] = dict.fromkeys(times, 0.0)
    again: list[int] = []
    with tempfile.TemporaryDirectory(prefix="crmsync-bench-") as name:
        folder = Path(name)
        (folder / "crm").mkdir()
        export = folder / "crm" / "activities.csv"
        write_activities(export, rows)
        size = export.stat().st_size
        for _ in range(rounds):
            for old in folder.glob("*.duckdb*"):
                old.unlink()
            for what, command in (("duckdb", "load"), ("sync", "sync"), ("again", "sync")):
                seconds, peak, printed = _measured(command, folder)
                times[what].append(seconds)
                memory[what] = max(memory[what], peak)
                if what == "sync" and printed[:2] != [rows, rows]:
                    sys.exit(f"{rows} rows are in the file; read and changed were {printed[:2]}")
                again = printed
    median = {what: statistics.median(values) for what, values in times.items()}
    ratio = median["sync"] / median["duckdb"]
    share = again[2] / size
    print(f"{rows:,} activities, {size / 2**20:.0f} MiB of CSV; median of {rounds} rounds")
    print(f"  DuckDB loads the file  {median['duckdb']:6.2f} s  {memory['duckdb']:5.0f} MiB")
    print(f"  sync                   {median['sync']:6.2f} s  {memory['sync']:5.0f} MiB")
    print(f"  sync, nothing changed  {median['again']:6.2f} s  {memory['again']:5.0f} MiB")
    targets = {
        f"sync takes {ratio:.2f} × DuckDB; at most {MOST_TIMES_DUCKDB}": ratio <= MOST_TIMES_DUCKDB,
        f"sync peaks at {memory['sync']:.0f} MiB; at most {MOST_MEMORY_MIB}": memory["sync"]
        <= MOST_MEMORY_MIB,
        f"with nothing changed it takes {median['again'] / median['sync']:.2f} of the first sync, "
        f"opens the export {again[3]} times and reads {share:.2%} of its size in all": again[0] == 0
        and again[3] == 0
        and share <= MOST_READ_AGAIN,
    }
    for sentence, met in targets.items():
        print(f"  {'met   ' if met else 'MISSED'} {sentence}")
    return all(targets.values())


def main() -> None:
    """Compare; or, as a process of the comparison, do one thing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["compare", "load", "sync"], default="compare")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    match arguments.what:
        case "load":
            load_with_duckdb(arguments.folder)
        case "sync":
            sync(arguments.folder)
        case _:
            sys.exit(0 if compare(arguments.rows, arguments.rounds) else 1)


if __name__ == "__main__":
    main()
