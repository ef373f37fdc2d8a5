"""Reads a mailbox of 100,000 mails at dovecot, first all of it and then what is new: nothing.

The mails lie in a Maildir that is written directly; dovecot is a process of its own, and what is
measured is its client. Round trips are counted on the wire. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins/email/tests/helpers"))

from mail_servers import PASSWORD, Dovecot, why_no_servers
from wire_proxy import WireProxy

MAILS = 100_000
MOST_MEMORY_MIB = 500
FOLDERS = 2
# Round trips of a connection, whatever it is for: CAPABILITY, AUTHENTICATE and what it is answered
# with, LIST, LOGOUT.
_TO_CONNECT = 5

_USER = "me@ours.example"
_NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_WORDS = ["renewal", "contract", "meeting", "price", "user", "licence", "team", "question"]


def fill(folder: Path, count: int) -> int:
    """Write the mailbox; answers with its size in bytes."""
    dice = random.Random(2026)
    size = 0
    for sub in ("cur", "new", "tmp", ".Gesendetes/cur", ".Gesendetes/new", ".Gesendetes/tmp"):
        (folder / sub).mkdir(parents=True)
    for number in range(count):
        sent = number % 4 == 0
        raw = _mail(number, sent, dice)
        at = int((_NOW - timedelta(minutes=5 * (count - number))).timestamp())
        path = folder / (".Gesendetes/cur" if sent else "cur") / f"{at}.M{number}.bench:2,S"
        path.write_bytes(raw)
        os.utime(path, (at, at))
        size += len(raw)
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, "mail", "mail")
    return size


def _mail(number: int, sent: bool, dice: random.Random) -> bytes:
    """A mail as people write them: an answer above a quote, some with HTML, few with a file."""
    person = f"person{number % 20_000}@customer{number % 5_000}.example"
    sender, receiver = (_USER, person) if sent else (person, _USER)
    at = _NOW - timedelta(minutes=5 * (100_000 - number))
    words = " ".join(dice.choices(_WORDS, k=60))
    quote = "\n".join(f"> {' '.join(dice.choices(_WORDS, k=10))}" for _ in range(15))
    text = f"Hello,\n\n{words}\n\nBest regards\nAnn\n\nOn Fri, 20 Nov 2026, Bo wrote:\n{quote}\n"
    head = (
        f"From: A Name <{sender}>\nTo: {receiver}\nDate: {at:%a, %d %b %Y %H:%M:%S} +0000\n"
        f"Message-ID: <{number}@bench.example>\nIn-Reply-To: <{number - 4}@bench.example>\n"
        f"Subject: Re: {words[:40]}\nMIME-Version: 1.0\n"
    )
    plain = f"Content-Type: text/plain; charset=utf-8\n\n{text}"
    if number % 3:
        return f"{head}{plain}".encode()
    html = f"Content-Type: text/html; charset=utf-8\n\n<p>{text.replace(chr(10), '<br>')}</p>\n" * 2
    file = "" if number % 150 else f"Content-Type: application/pdf\n\n{'JVBERi0x' * 50_000}\n"
    parts = "".join(f"--b\n{part}\n" for part in (plain, html, file) if part)
    return f"{head}Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n".encode()


def _config(folder: Path, port: int) -> Path:
    fields = ["at", "kind", "direction", "automated", "subject", "text", "message_id", "answers"]
    fields += ["addresses", "sender", "notice", "notice_address", "notice_reason", "notice_until"]
    mail = {"table": "activity", "key": "id", "fields": {name: name for name in fields}}
    (folder / "password").write_text(PASSWORD)
    connection: dict[str, Any] = {
        "connector": "mailbox",
        "address": _USER,
        "user": _USER,
        "password": f"file:{folder / 'password'}",
        "imap": {"host": "127.0.0.1", "port": port, "security": "none"},
        "streams": {"mail": mail},
    }
    for name in ("rules", "segments", "templates"):
        (folder / name).mkdir()
    config = {
        "company": {"name": "Vendor", "email": _USER},
        "connections": {"mailbox": connection},
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def _measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds of CPU and MiB of memory of a process."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _word(line: bytes) -> str:
    """A command's name; what a client only answers has none."""
    _, _, rest = line.decode("ascii", "replace").partition(" ")
    return rest.split(" ", 1)[0].strip().upper() or "(an answer)"


def _known(config: Path) -> int:
    """How many mails have arrived in the warehouse."""
    import duckdb

    with duckdb.connect(config.parent / "state/warehouse.duckdb", read_only=True) as warehouse:
        (count,) = warehouse.execute("select count(*) from records.activity").fetchone() or (0,)
    return int(count)


def measure(folder: Path, mails: int) -> bool:
    """Print what was measured; answers whether all targets were met."""
    for name in ("dovecot", "company"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    server = Dovecot.start(folder / "dovecot")
    try:
        size = fill(folder / "dovecot/mail" / _USER, mails)
        with WireProxy(server.imap) as proxy:
            config = _config(folder / "company", proxy.port)
            crmsync = [sys.executable, "-m", "crmsync", "sync", "--config", str(config)]
            seconds, memory = _measured(crmsync, folder)
            first = len(proxy.commands)
            known = _known(config)
            proxy.commands.clear()
            again_seconds, _ = _measured(crmsync, folder)
            again = len(proxy.commands)
            words = Counter(_word(line) for line in proxy.commands)
    finally:
        server.stop()
    print(f"first sync of {mails:,} mails, {size / 2**20:,.0f} MiB: {seconds:.0f} s of CPU")
    print(f"  {memory:.0f} MiB of memory; at most {MOST_MEMORY_MIB}; {first:,} round trips")
    print(f"  {known:,} mails are known; all are {mails:,}")
    most = FOLDERS + _TO_CONNECT
    print(
        f"nothing new: {again_seconds:.1f} s of CPU, {again} round trips; at most {most}, one for"
    )
    print(f"  each of {FOLDERS} folders and {_TO_CONNECT} for the connection:")
    print("  " + ", ".join(f"{count} {word}" for word, count in words.items()))
    return memory <= MOST_MEMORY_MIB and known == mails and again <= most


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=MAILS)
    given = parser.parse_args()
    if (reason := why_no_servers()) is not None:
        print(f"the mailbox was not measured: {reason}")
    else:
        with tempfile.TemporaryDirectory(prefix="crmsync-bench-") as folder:
            sys.exit(0 if measure(Path(folder), given.mails) else 1)


if __name__ == "__main__":
    main()
