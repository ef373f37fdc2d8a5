"""Bad input: one clear sentence naming file and row, nothing half-written, nothing lost."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.warehouse.locking import file_lock
from support.commands import call, call_json
from support.company import CONFIG, FILES, RULE, TEMPLATE, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT = "2026-03-02T09:00"


def _records(config: Path) -> dict[str, int]:
    status = call_json("status", "--config", config, "--at", _AT)
    return {stream["stream"]: stream["records"] for stream in status["streams"]}


def _synced(folder: Path) -> Path:
    config = make_company(folder)
    assert call("sync", "--config", config, "--at", _AT).exit_code == 0
    return config


def _accounts(old: str, new: str) -> str:
    text = FILES["crm/accounts.csv"]
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            _accounts("renewal", "Renewal Date"),
            "accounts.csv: there is no column “renewal”; did you mean “Renewal Date”?",
        ),
        (
            _accounts("2026-03-25", "25.03.2026"),
            "accounts.csv, row 2: “25.03.2026” in renewal is not a date",
        ),
        (
            _accounts("A2,Blue", "A1,Blue"),
            "accounts.csv, row 1: the key “A1” stands again in row 2",
        ),
        (
            _accounts("A2,Blue,U1,silver,2026-03-25", "A2,Blue,U1,silver"),
            "accounts.csv, row 2: it has 4 values, and the header has 5 columns",
        ),
        (
            FILES["crm/accounts.csv"] + 'A4,"Delta,U1',
            "accounts.csv",
        ),
    ],
    ids=["missing column", "unreadable date", "duplicate key", "short row", "truncated"],
)
def test_a_bad_export_is_named_and_loses_nothing(tmp_path: Path, text: str, sentence: str) -> None:
    config = _synced(tmp_path)
    before = _records(config)
    (tmp_path / "crm" / "accounts.csv").write_text(text, encoding="utf-8")
    result = call("sync", "--config", config, "--at", _AT)
    status = call("status", "--config", config, "--at", _AT)
    assert (result.exit_code, status.exit_code) == (1, 1)
    assert sentence in " ".join((result.output + status.output).split())
    assert _records(config)["accounts"] >= before["accounts"] - 1
    assert _records(config) | {"accounts": 0} == before | {"accounts": 0}
    (tmp_path / "crm" / "accounts.csv").write_text(FILES["crm/accounts.csv"], encoding="utf-8")
    healed = call("sync", "--config", config, "--at", _AT)
    assert healed.exit_code == 0, healed.output
    assert _records(config) == before


def test_a_key_that_stands_twice_is_told_of_every_export(tmp_path: Path) -> None:
    """Two changes of one record have two times; with one time, somebody's row is lost."""
    text = FILES["crm/activities.csv"] + "T1,A1,call,2026-02-28 10:00\n"
    config = make_company(tmp_path, activities=text)
    report = call_json("sync", "--config", config, "--at", _AT)
    assert report["quarantine"] == [
        (
            "activities.csv, row 1: the key “T1” stands again in row 4, which counts; "
            "give each record a key of its own"
        )
    ]
    text = config.read_text(encoding="utf-8")
    timed = text.replace("kind: kind, at: at}", "kind: kind, at: at, updated_at: at}")
    config.write_text(timed, encoding="utf-8")
    assert call_json("sync", "--config", config, "--at", _AT)["quarantine"] == []


def test_activities_of_accounts_that_nobody_knows_are_pointed_out(tmp_path: Path) -> None:
    """Else every account would look as if nobody had ever spoken with it."""
    text = FILES["crm/activities.csv"].replace(",A", ",ACC-")
    config = make_company(tmp_path, activities=text)
    report = call_json("sync", "--config", config, "--at", _AT)
    assert report["doubts"] == [
        (
            "crm/activities: in 3 of 3 the “account” is no account we know, "
            "for example “ACC-1”; is it the same id as the key of the account stream?"
        )
    ]


def test_activities_that_cannot_be_read_are_not_taken_for_silence(tmp_path: Path) -> None:
    """Else every account would look as if nobody had ever spoken with it."""
    text = FILES["crm/activities.csv"].replace(",call,", ",Anruf,").replace(",meeting,", ",Besuch,")
    config = make_company(tmp_path, activities=text)
    plan = call_json("plan", "--config", config, "--at", _AT)
    assert [(rule["matches"], rule["unknown"]) for rule in plan["rules"]] == [(0, 2)]
    reasons = {hold["reason"] for hold in plan["held"]}
    why = "3 of 3 rows of the activity stream “activities” of crm could not be read"
    assert reasons, plan
    assert all(why in reason for reason in reasons), reasons
    status = call("status", "--config", config, "--at", _AT)
    assert "3 of 3 rows cannot be read" in " ".join(status.output.split())
    # Once the mapping is mended, the same rows are read.
    mended = config.read_text(encoding="utf-8").replace(
        "kind: kind,", "kind: {column: kind, values: {Anruf: call, Besuch: meeting}},"
    )
    config.write_text(mended, encoding="utf-8")
    plan = call_json("plan", "--config", config, "--at", _AT)
    assert [(rule["matches"], rule["unknown"]) for rule in plan["rules"]] == [(2, 0)]


def test_a_key_that_stands_twice_is_no_record_that_is_missing(tmp_path: Path) -> None:
    text = FILES["crm/activities.csv"] + "T1,A1,call,2026-02-28 10:00\n"
    config = make_company(tmp_path, activities=text)
    plan = call_json("plan", "--config", config, "--at", _AT)
    assert [(rule["matches"], rule["unknown"]) for rule in plan["rules"]] == [(1, 0)]


def test_an_emptied_complete_export_deletes_nobody_unasked(tmp_path: Path) -> None:
    config = _synced(tmp_path)
    before = _records(config)
    header = FILES["crm/accounts.csv"].splitlines()[0] + "\n"
    (tmp_path / "crm" / "accounts.csv").write_text(header, encoding="utf-8")
    result = call("sync", "--config", config, "--at", _AT)
    assert result.exit_code == 1
    assert "--confirm-deletions" in result.output
    assert _records(config) == before
    assert call("sync", "--config", config, "--at", _AT, "--confirm-deletions").exit_code == 0
    assert _records(config)["accounts"] == 0


def test_every_mistake_is_found_at_once_and_has_its_place(tmp_path: Path) -> None:
    config = make_company(
        tmp_path,
        renewal_at_risk=RULE.replace("renewal_date", "renewl_date", 1).replace("owner", "ownr"),
        check_in=TEMPLATE.replace("{{ contact.first_name }},", "{{ contact.frist_name }},"),
        config=CONFIG.replace("tier: tier", "tier: teir"),
    )
    result = call("check", "--config", config)
    assert result.exit_code == 1
    printed = " ".join(result.output.split())
    assert "rules/renewal-at-risk.yaml:5:5" in printed
    assert "did you mean “renewal_date”?" in printed
    assert "did you mean “owner”?" in printed
    assert "config.yaml:" in printed
    assert "“teir”" in printed
    # Templates are checked against rules, so they wait until the rules can be read.
    rule = tmp_path / "rules" / "renewal-at-risk.yaml"
    rule.write_text(RULE, encoding="utf-8")
    printed = " ".join(call("check", "--config", config).output.split())
    assert "templates/renewal/check-in.txt:6:" in printed
    assert "first_name" in printed


def test_wrong_use_has_exit_code_2(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    assert call("plan", "--config", tmp_path / "none.yaml").exit_code == 2
    assert call("plan", "--config", config, "--at", "tomorrow").exit_code == 2
    assert call("plan", "--config", config, "--rule", "none").exit_code == 2
    assert call("sync", "none", "--config", config).exit_code == 2
    assert call("init", tmp_path).exit_code == 2
    assert call("no-such-command").exit_code == 2


def test_a_plan_during_a_sync_takes_what_was_last_read(tmp_path: Path) -> None:
    config = _synced(tmp_path)
    lock = tmp_path / "state" / "sync-crm.lock"
    with file_lock(lock, exclusive=True, wait=timedelta(), store="the sync of this folder"):
        result = call("plan", "--config", config, "--at", _AT)
    assert result.exit_code == 0, result.output
    assert "Taking what was last read" in result.output
    assert "Call Acme" in result.output


def test_a_run_that_is_killed_is_finished_by_the_next_one(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "crmsync", "run", "--config", str(config), "--at", _AT],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    outbox = tmp_path / "crm" / "tasks.csv"
    deadline = time.monotonic() + 120
    while not outbox.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    call("run", "--config", config, "--at", "2026-03-02T09:30")
    call("run", "--config", config, "--at", "2026-03-02T09:45")
    assert len(outbox.read_text(encoding="utf-8").splitlines()) == 3
    assert len(list((tmp_path / "crm" / "outbox" / "new").iterdir())) == 1
    status = call_json("status", "--config", config, "--at", "2026-03-02T09:45")
    assert status["effects"] == {"done": 3, "dropped": 1}


def test_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _synced(tmp_path)
    crm = tmp_path / "crm"

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        result = call("run", "--config", config, "--at", _AT)
    assert result.exit_code in {0, 1}
    assert "Traceback" not in result.output
    assert not (crm / "tasks.csv").exists()
    later = call_json("run", "--config", config, "--at", "2026-03-02T11:00")
    assert later["delivery"]["done"] == 3
    assert len((crm / "tasks.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_missing_file_is_sought_among_those_that_no_stream_has(tmp_path: Path) -> None:
    """The contacts' file is there, and named much alike; it is in its place."""
    config = make_company(tmp_path)
    (tmp_path / "crm" / "accounts.csv").rename(tmp_path / "crm" / "kunden.csv")
    (problem,) = call_json("check", "--config", config)["problems"]
    assert problem.endswith("there is no file crm/accounts.csv; known here: kunden.csv")
