"""The daemon as a real process."""

from __future__ import annotations

import csv
import json
import mailbox
import re
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from support.commands import call_json
from support.company import CONFIG, FILES, RULE, make_company
from support.daemons import PATIENCE, command, running, until
from support.public import BASE, BLOCK, SECRET, mails

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A company of today, in which two renewals are at risk."""
    soon, late = (datetime.now(UTC).date() + timedelta(days=days) for days in (10, 400))
    accounts = re.sub("2026-03-2[05]", soon.isoformat(), FILES["crm/accounts.csv"])
    accounts = accounts.replace("2026-11-30", late.isoformat())
    return make_company(tmp_path / "company", accounts=accounts)


def _done(config: Path) -> Counter[str]:
    """What the CRM has of us, by its key."""
    crm = config.parent / "crm"
    found: Counter[str] = Counter()
    if (crm / "tasks.csv").exists():
        with (crm / "tasks.csv").open(encoding="utf-8", newline="") as lines:
            found.update(line["key"] for line in csv.DictReader(lines))
    if (crm / "outbox").exists():
        for mail in mailbox.Maildir(crm / "outbox", create=False):
            found.update([mail["Message-ID"]])
    return found


def test_it_works_until_it_is_asked_to_stop_and_is_the_only_one(
    config: Path, tmp_path: Path
) -> None:
    with running(config, tmp_path / "log") as daemon:
        cycle = daemon.waits_for("daemon.cycle")
        assert (cycle["delivered"], cycle["waiting"]) == (3, 0)
        wakes = daemon.waits_for("daemon.waits")
        assert daemon.asks("/healthz")[0] == 200
        assert daemon.asks("/readyz") == (200, '{"ready": true, "problems": []}\n')
        status, metrics = daemon.asks("/metrics")
        assert status == 200
        assert 'crmsync_effects{kind="task",state="done"} 2.0' in metrics
        assert 'crmsync_runs_total{outcome="done"} 1.0' in metrics
        age = re.search(r'crmsync_stream_age_seconds\{.*stream="accounts"\} (\S+)', metrics)
        assert age is not None
        assert 0 <= float(age[1]) < PATIENCE
        assert daemon.asks("/etc/passwd")[0] == 404
        assert re.search(r'crmsync_stream_unreadable_rows\{.*stream="accounts"\} 0.0', metrics), (
            metrics
        )

        second = subprocess.run(command(config), capture_output=True, text=True, check=False)
        assert second.returncode == 1
        (sentence,) = second.stderr.splitlines()
        assert "a crmsync daemon serves" in sentence
        assert f"process {daemon.process.pid} on " in sentence

        report = call_json("status", "--config", config)
        assert f"process {daemon.process.pid} on " in report["daemon"]["process"]
        told = datetime.fromisoformat(report["daemon"]["wakes"]).replace(microsecond=0)
        assert told == datetime.fromisoformat(wakes["until"])
        assert report["daemon"]["for_what"] == wakes["next"]
        assert daemon.ends(signal.SIGTERM) == 0
        assert daemon.events("daemon.stopped")[0]["by"] == "SIGTERM"
    assert call_json("status", "--config", config)["daemon"]["process"] is None
    assert sorted(_done(config).values()) == [1, 1, 1]
    with Ledger(config.parent / "state" / "ledger.sqlite") as ledger:
        assert ledger.effect_counts() == {State.DONE: 3, State.DROPPED: 1}
        (run,) = ledger.last_runs()
        assert run.finished_at is not None
    said = (tmp_path / "log").read_text(encoding="utf-8") + metrics
    assert "acme.example" not in said
    assert "Ann" not in said


def test_a_bad_file_is_refused_and_the_last_good_ones_stay_in_force(
    config: Path, tmp_path: Path
) -> None:
    rule = config.parent / "rules" / "renewal-at-risk.yaml"
    with running(config, tmp_path / "log") as daemon:
        daemon.waits_for("daemon.cycle")
        rule.write_text(RULE.replace("older_than", "oldr_than"), encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        refused = daemon.waits_for("daemon.file_refused")["problem"]
        assert refused.startswith("rules/renewal-at-risk.yaml:6:")
        status, body = daemon.asks("/readyz")
        assert status == 503
        assert refused in json.loads(body)["problems"]
        assert "crmsync_files_refused 1.0" in daemon.asks("/metrics")[1]
        assert call_json("status", "--config", config)["daemon"]["refused"] == [refused]
        rule.write_text(RULE.replace("Call", "Ring"), encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.waits_for("daemon.files_in_force")["rules"] == 1
        assert daemon.asks("/readyz")[0] == 200
        assert call_json("status", "--config", config)["daemon"]["refused"] == []
        # Nobody is contacted twice because a text has changed.
        assert daemon.waits_for("daemon.cycle", 2)["delivered"] == 0
        config.write_text(CONFIG + "state: elsewhere\n", encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        again = daemon.waits_for("daemon.file_refused", 2)["problem"]
        assert "“state” cannot change while the daemon runs; restart it" in again
        assert daemon.ends(signal.SIGINT) == 0
    assert sorted(_done(config).values()) == [1, 1, 1]


def test_who_is_killed_does_nothing_twice(config: Path, tmp_path: Path) -> None:
    outbox = config.parent / "crm" / "tasks.csv"
    with running(config, tmp_path / "first") as daemon:
        while not outbox.exists():
            assert daemon.process.poll() is None, daemon.log.read_text(encoding="utf-8")
        daemon.ends(signal.SIGKILL)
    with running(config, tmp_path / "second") as daemon:
        daemon.waits_for("daemon.cycle")
        assert daemon.ends(signal.SIGTERM) == 0
    assert sorted(_done(config).values()) == [1, 1, 1]
    with Ledger(config.parent / "state" / "ledger.sqlite") as ledger:
        assert ledger.effect_counts() == {State.DONE: 3, State.DROPPED: 1}


def test_a_bad_config_at_the_start_is_told_like_everywhere(config: Path) -> None:
    config.write_text(CONFIG + "daemon: {schedule: hourly}\n", encoding="utf-8")
    told = subprocess.run(command(config), capture_output=True, text=True, check=False)
    assert told.returncode == 1
    (sentence,) = told.stderr.splitlines()
    assert "config.yaml:" in sentence
    assert "“hourly” is no schedule" in sentence


def test_a_link_out_of_its_mail_is_answered_and_the_crm_is_told(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a mail program presses it: one POST, and within seconds it is in the CRM's own field."""
    monkeypatch.setenv("CRMSYNC_UNSUBSCRIBE_SECRET", SECRET)
    config.write_text(config.read_text(encoding="utf-8") + BLOCK, encoding="utf-8")
    with running(config, tmp_path / "log") as daemon:
        daemon.waits_for("daemon.cycle")
        (mail,) = mails(config)
        link = mail["List-Unsubscribe"].split(">")[0].removeprefix("<")
        assert link.startswith(f"{BASE}/unsubscribe/")
        public = str(daemon.waits_for("daemon.started")["public"])
        here = public + link.removeprefix(BASE)
        with urllib.request.urlopen(here, timeout=30) as page:  # noqa: S310  http
            assert b"<button" in page.read()
        assert call_json("status", "--config", config)["stops"] == []
        one_click = urllib.parse.urlencode({"List-Unsubscribe": "One-Click"}).encode()
        with urllib.request.urlopen(here, one_click, timeout=30) as page:  # noqa: S310  http
            assert page.status == 200
        (stop,) = call_json("status", "--config", config)["stops"]
        assert (stop["kind"], stop["said_by"]) == ("unsubscribed", "unsubscribe link")
        updates = config.parent / "crm" / "updates.csv"
        until(updates.exists, "the update")
        assert "contact,C1,unsubscribed" in updates.read_text(encoding="utf-8")
        assert "crmsync_unsubscribes_total 1.0" in daemon.asks("/metrics")[1]
        # What watchers ask is not told to those outside.
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(f"{public}/metrics", timeout=30)  # noqa: S310  http
        assert told.value.code == 404
        told.value.close()
        assert daemon.ends(signal.SIGTERM) == 0
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert "acme.example" not in said
    assert link.rsplit("/", 1)[1] not in said
