"""What docs/daemon.md and the unit for systemd promise."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from datetime import timedelta
from pathlib import Path

import pytest

from crmsync.app.workspace import open_workspace
from crmsync.clock import SystemClock
from crmsync.config.daemon import DaemonSettings
from crmsync.daemon.board import Board
from crmsync.daemon.signals import CUT_OFF
from crmsync.model.schedules import parse_schedule
from support.company import CONFIG, make_company

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "daemon.md").read_text(encoding="utf-8")
UNIT = DOCS / "crmsync.service"


def test_every_metric_stands_on_the_page_and_none_beside() -> None:
    families = Board(SystemClock(), timedelta(hours=1)).registry.collect()
    names = {f"{f.name}_total" if f.type == "counter" else f.name for f in families}
    assert set(re.findall(r"^\| `(crmsync_\w+)", PAGE, flags=re.MULTILINE)) == names


def test_the_snippets_are_good(tmp_path: Path) -> None:
    settings, rule = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    config = make_company(tmp_path, config=CONFIG + settings, renewal_at_risk=rule)
    workspace = open_workspace(config, SystemClock())
    defaults = DaemonSettings(listen="127.0.0.1:9464")
    assert workspace.installation.settings.daemon == defaults
    assert str(workspace.rules.rules[0].schedule) == "mondays at 08:00"


def test_the_schedules_on_the_page_are_schedules() -> None:
    table = PAGE[PAGE.index("| Written") : PAGE.index("A time that the clock skips")]
    found = [
        text
        for line in table.strip().splitlines()[2:]
        for text in re.findall(r"`([^`]+)`", line.split("|")[1])
    ]
    assert len(found) == 7
    for text in found:
        zoned = re.fullmatch(r"\{at: (.*), zone: (.*)\}", text)
        parse_schedule(text if zoned is None else {"at": zoned[1], "zone": zoned[2]})


def test_the_exit_code_of_the_cut_off_is_the_one_on_the_page() -> None:
    assert f"| {CUT_OFF} | The grace was over." in PAGE


def test_the_unit_stops_it_later_than_it_stops_itself_and_locks_it_in() -> None:
    unit = ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation has it
    unit.read(UNIT, encoding="utf-8")
    service = unit["Service"]
    seconds = int(service["TimeoutStopSec"].removesuffix("s"))
    assert timedelta(seconds=seconds) > DaemonSettings().shutdown_grace.length
    assert service["RestartPreventExitStatus"] == "1 2"
    assert service["ExecReload"].endswith("-HUP $MAINPID")
    assert " daemon --config " in service["ExecStart"]
    hardening = {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "CapabilityBoundingSet": "",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
        "SystemCallFilter": "@system-service",
    }
    assert {key: service[key] for key in hardening} == hardening


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here to ask")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    # The programs of the unit are not installed here; that is all that may be told.
    unit = UNIT.read_text(encoding="utf-8").replace("/opt/crmsync/bin/crmsync", "/bin/true")
    copy = tmp_path / "crmsync.service"
    copy.write_text(unit, encoding="utf-8")
    told = subprocess.run(
        [str(shutil.which("systemd-analyze")), "verify", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in told.stderr.splitlines() if "crmsync.service" in line]
    assert lines == []
