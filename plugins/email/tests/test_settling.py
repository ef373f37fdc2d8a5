"""What broke while mail went out is settled by its copies: sent once each, and no person asked."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from delivering_server import DeliveringServer
from mail_servers import PASSWORD
from mailboxes import new_user
from smtp_server import Fault

from crmsync.app.workspace import Workspace
from support.commands import call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mail_servers import Mailboxes

_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
_COUNT = 30


@pytest.fixture
def server(mailboxes: Mailboxes, tmp_path: Path) -> Iterator[DeliveringServer]:
    user = new_user().replace("ours.example", "vendor.example")
    with closing(DeliveringServer(tmp_path, mailboxes, user)) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, server: DeliveringServer, mailboxes: Mailboxes) -> Path:
    """A company whose mail goes out from a mailbox."""
    (tmp_path / "password").write_text(PASSWORD)
    told = yaml.safe_load(CONFIG)
    told |= {"mail": "post", "policy": {"most_share_of_accounts": 1.0}}
    told["connections"]["post"] = {
        "connector": "mailbox",
        "address": server.user,
        "user": server.user,
        "password": "file:password",
        "imap": {"host": "127.0.0.1", "port": mailboxes.imap, "security": "none"},
        "smtp": server.options(user=None),
    }
    accounts = [f"A{n},Acme {n},U1,gold,2026-03-20" for n in range(_COUNT)]
    contacts = [f"C{n},A{n},Ann {n},Smith,ann{n}@acme{n}.example,no" for n in range(_COUNT)]
    calls = [f"T{n},A{n},call,2026-01-10 10:00" for n in range(_COUNT)]
    return make_company(
        tmp_path,
        config=yaml.safe_dump(told),
        accounts="\n".join(["id,name,owner,tier,renewal", *accounts]),
        contacts="\n".join(["id,account,first,last,email,unsubscribed", *contacts]),
        activities="\n".join(["id,account,kind,at", *calls]),
    )


@pytest.fixture(autouse=True)
def _quarter_of_an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock on the wall, every run of this process is late enough to ask for copies."""
    real = Workspace.spec
    monkeypatch.setattr(
        Workspace, "spec", lambda self, name: replace(real(self, name), lands_within=timedelta())
    )


def _run(config: Path, hours: float = 0) -> dict[str, Any]:
    at = (_AT + timedelta(hours=hours)).isoformat()
    report = call_json("run", "--config", config, "--at", at)
    delivery: dict[str, Any] = report["delivery"]
    return delivery


def _sent(server: DeliveringServer) -> Counter[str]:
    return Counter(one.recipients[0] for one in server.taken)


def test_what_a_killed_process_had_sent_is_not_sent_again(
    config: Path, server: DeliveringServer
) -> None:
    server.faults.append(Fault.HANG_AFTER_DOT)
    process = subprocess.Popen(
        [sys.executable, "-m", "crmsync", "run", "--config", config, "--at", _AT.isoformat()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    deadline = time.monotonic() + 60
    while not server.taken and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, "it waits for the answer"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(server.taken) == 1
    settled = _run(config, 1)
    assert settled["problems"] == []
    assert (settled["uncertain"], settled["problems"]) == (0, [])
    assert settled["already"] >= 1
    assert set(_sent(server).values()) == {1}
    assert len(server.taken) == _COUNT


def test_whatever_breaks_each_mail_is_sent_once(config: Path, server: DeliveringServer) -> None:
    dice = random.Random(23)
    faults = [one for one in Fault if not one.name.startswith("HANG")]
    for hour in range(10):
        server.faults.clear()
        if hour < 5:
            server.faults.extend(dice.sample(faults, k=4))
        last = _run(config, 2 * hour)
    assert (last["uncertain"], last["waiting"]) == (0, 0)
    assert set(_sent(server).values()) == {1}
    refused = _COUNT - len(server.taken)
    assert 0 <= refused <= 5  # RCPT_UNKNOWN and TAKEN_NEVER are the servers' last words
