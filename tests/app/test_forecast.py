"""What will fall due, through the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from support.commands import call, call_json
from support.company import make_company
from support.plugins import lay_out_plugin

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW = "2026-02-16T09:00+01:00"


def _contents(folder: Path) -> dict[str, bytes]:
    """All files, but for compiled queries, and for what SQLite's readers know of each other by."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".sqlite-shm"]
    return {
        str(path): path.read_bytes() for path in files if "queries" not in path.parent.parent.name
    }


def _due(actions: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    return [(a["subject"], a["kind"], a["title"], a["state"]) for a in actions]


def test_a_forecast_tells_what_later_runs_do(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    first = call_json("run", "--config", config, "--at", NOW)
    assert first["plan"]["actions"] == []
    before = _contents(tmp_path)
    report = call_json("forecast", "--config", config, "--at", NOW, "--days", "40")
    assert _contents(tmp_path) == before
    told = {coming["at"]: coming for coming in report["coming"]}
    # Both renew in 30 days from the midnight in Zurich on; A2's contact wants no mail.
    assert list(told) == [
        "2026-02-18T00:00:00+01:00",
        "2026-02-23T00:00:00+01:00",
        "2026-03-21T00:00:00+01:00",
        "2026-03-26T00:00:00+01:00",
    ]
    for at, coming in list(told.items())[:2]:
        run = call_json("run", "--config", config, "--at", at)
        assert _due(run["plan"]["actions"]) == _due(coming["actions"])
        assert run["plan"]["held"] == coming["held"]
    (leaving,) = told["2026-03-21T00:00:00+01:00"]["leaving"]
    assert leaving["subject"] == "crm:A1"
    assert leaving["because"] == [
        "renewal_date: {in_next: 30 days} is 2026-03-20 (1 day ago)",
    ]
    assert report["due_now"] == 0


def test_a_forecast_reads_as_a_calendar(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    call("run", "--config", config, "--at", NOW)
    text = call("forecast", "--config", config, "--at", NOW).output
    assert "Wednesday 18 February 2026\n  renewal-at-risk\n    00:00 Acme\n" in text
    assert "→ task for Jo Meyer: Call Acme: renews " in text
    assert "this is a forecast" in text
    later = ("forecast", "--config", config, "--at", NOW, "--days", "40")
    short = call(*later).output
    assert "  renewal-at-risk\n    1 leaves (--full shows who, and why)\n" in short
    assert "00:00 leaves Acme: renewal_date" not in short
    assert "00:00 leaves Acme: renewal_date" in call(*later, "--full").output
    quiet = call("forecast", "--config", config, "--at", NOW, "--days", "1").output
    assert "Nothing falls due, and nobody leaves a rule." in quiet


def test_days_that_cannot_be_looked_ahead(tmp_path: Path) -> None:
    result = call("forecast", "--config", make_company(tmp_path), "--days", "0")
    assert result.exit_code == 2
    assert "--days: name a number from 1 to 92, not 0" in result.output


# It does not say when its value changes.
SILENT = """\
import ibis

from crmsync.facts.build import declared
from crmsync.model.tables import FieldType
from crmsync.plugins.hookspecs import hookimpl


def build(tables):
    accounts = tables.table("account")
    ripe = tables.now >= ibis.timestamp("2026-03-12 09:30:00", timezone="UTC")
    return accounts.select("id", value=ripe)


@hookimpl
def crmsync_facts():
    return [declared("account", "is_ripe", FieldType.BOOLEAN, "It is time.", build)]
"""


def test_a_fact_that_does_not_say_when_it_changes_is_asked_at_every_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out_plugin(tmp_path / "site", "made_up_silent", {"facts": SILENT})
    monkeypatch.syspath_prepend(tmp_path / "site")
    config = make_company(tmp_path)
    (tmp_path / "rules" / "ripe.yaml").write_text(
        "rule: ripe\nsubject: account\nwhen: [{is_ripe: true}]\nthen: [{note: {text: Ripe.}}]\n",
        encoding="utf-8",
    )
    call_json("run", "--config", config, "--at", NOW)
    report = call_json(
        "forecast", "--config", config, "--at", NOW, "--days", "30", "--rule", "ripe"
    )
    # Three weeks and some hours ahead.
    assert [coming["at"] for coming in report["coming"]] == ["2026-03-12T11:00:00+01:00"]
    explained = call_json("explain", "crm:A1", "--config", config, "--at", NOW, "--rule", "ripe")
    (rule,) = explained["rules"]
    assert rule["turns"] is None
    assert "2026-02-17" < rule["steady_until"] < "2026-02-19"
    sys.modules.pop("made_up_silent.facts")


JOURNEY = """\
rule: renewal-at-risk
subject: account
when:
  - renewal_date: {in_next: 30 days}
  - last_contact: {older_than: 14 days}
until:
  - {last_contact: {after: enrolled}, goal: true}
  - renewal_date: {in_next: 20 days}
then:
  - task: {assign_to: owner, subject: Call}
  - after: 3 business days
    task: {assign_to: owner, subject: Still nobody}
  - if: [{renewal_date: {in_next: 24 days}}]
    note: {text: hurry}
  - wait: 30 days
  - note: {text: never}
"""


def test_a_forecast_follows_enrolments_on_their_way(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    (tmp_path / "rules" / "renewal-at-risk.yaml").write_text(JOURNEY, encoding="utf-8")
    call_json("run", "--config", config, "--at", NOW)
    report = call_json("forecast", "--config", config, "--at", NOW, "--days", "20")
    told = [
        (coming["at"][:16], [a["title"] or a["text"] for a in coming["actions"]])
        for coming in report["coming"]
        if coming["actions"]
    ]
    assert told == [
        ("2026-02-18T00:00", ["Call"]),
        ("2026-02-23T00:00", ["Still nobody", "Call"]),
        ("2026-02-26T00:00", ["Still nobody"]),
    ]
    # Twenty days before they renew: nothing but the clock turns that.
    ends = [
        (coming["at"][:16], one["subject"])
        for coming in report["coming"]
        for one in coming["leaving"]
        if one["reason"] == "its end has come: {renewal_date: {in_next: 20 days}}"
    ]
    assert ends == [("2026-02-28T00:00", "crm:A1"), ("2026-03-05T00:00", "crm:A2")]
    # What waits for its time is told when that comes.
    assert {held["step"] for coming in report["coming"] for held in coming["held"]} == {None}
