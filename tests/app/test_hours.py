"""A mail that falls due at night goes out in the morning, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from support.commands import call, call_json
from support.company import CONFIG, FILES, make_company

if TYPE_CHECKING:
    from pathlib import Path

_HOURS = '\npolicy:\n  hours: {weekdays: "08:00-18:00"}\n'
_USERS = "id,name,email,zone\nU1,Jo Meyer,jo@vendor.example,America/New_York\n"
# Clocks go forward in New York in the night from Saturday the 7th to Sunday the 8th of March.
_FRIDAY_NIGHT, _SUNDAY = "2026-03-07T03:00+00:00", "2026-03-08T15:00+00:00"
_OPENING = "2026-03-09T12:00:00+00:00"
_FATE = ("key", "state", "not_before")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    with_zones = CONFIG.replace(
        "fields: {name: name, email: email}", "fields: {name: name, email: email, time_zone: zone}"
    )
    assert with_zones != CONFIG
    freshness = "\nfreshness: {default: 30 days}\n"
    return make_company(tmp_path, config=with_zones + _HOURS + freshness, users=_USERS)


def _mails(config: Path) -> int:
    new = config.parent / "crm" / "outbox" / "new"
    return len(list(new.iterdir())) if new.exists() else 0


def _run(config: Path, at: str) -> list[dict[str, Any]]:
    """The mails of a run, and that the plan before it said the same."""
    plan = call_json("plan", "--config", config, "--at", at)
    report = call_json("run", "--config", config, "--at", at)
    assert report["plan"]["actions"] == plan["actions"]
    return [a for a in plan["actions"] if a["kind"] == "email" and a["state"] != "dropped"]


def test_a_mail_at_night_goes_out_at_the_next_opening_once(config: Path) -> None:
    (waiting,) = _run(config, _FRIDAY_NIGHT)
    assert (waiting["state"], waiting["not_before"]) == ("deferred", _OPENING)
    assert "it is Friday 2026-03-06 22:00 EST where Ann Smith is" in waiting["reason"]
    tasks = call_json("status", "--config", config, "--at", _FRIDAY_NIGHT)["effects"]
    assert tasks == {"deferred": 1, "done": 2, "dropped": 1}

    # It still waits, is shown again, and nothing is recorded anew.
    for at in (_SUNDAY, "2026-03-09T11:59:59+00:00"):
        (still,) = _run(config, at)
        assert [still[name] for name in _FATE] == [waiting[name] for name in _FATE]
    assert _mails(config) == 0
    with Ledger(config.parent / "state" / "ledger.sqlite") as ledger:
        (effect,) = ledger.effects(states=[State.DEFERRED])
        assert [move.after for move in ledger.history_of(effect.id)] == ["planned", "deferred"]
        assert len(ledger.decisions(run_id=effect.run_id)) == 4
        assert ledger.decisions(run_id=effect.run_id + 1) == ()

    (sent,) = _run(config, _OPENING)
    assert (sent["state"], sent["reason"], sent["key"]) == ("ready", "", waiting["key"])
    assert _mails(config) == 1
    assert _run(config, "2026-03-09T13:00+00:00") == []
    assert _mails(config) == 1


def test_the_plan_tells_until_when_and_why_in_both_zones(config: Path) -> None:
    printed = call("plan", "--config", config, "--at", _FRIDAY_NIGHT).output
    assert "deferred until 2026-03-09 13:00 CET: it is Friday 2026-03-06 22:00" in printed
    assert "the next hours there begin on Monday 2026-03-09 08:00 EDT" in printed
    explained = call("explain", "A1", "--config", config, "--at", _FRIDAY_NIGHT).output
    assert "deferred until 2026-03-09 13:00 CET (it is Friday 2026-03-06 22:00" in explained


def test_other_hours_in_the_config_hold_at_once(config: Path) -> None:
    _run(config, _FRIDAY_NIGHT)
    config.write_text(config.read_text(encoding="utf-8").replace(_HOURS, ""), encoding="utf-8")
    (sent,) = _run(config, _SUNDAY)
    assert sent["state"] == "ready"
    assert _mails(config) == 1


def test_who_has_unsubscribed_meanwhile_is_dropped_before_the_morning(config: Path) -> None:
    _run(config, _FRIDAY_NIGHT)
    contacts = FILES["crm/contacts.csv"].replace("acme.example,no", "acme.example,yes")
    (config.parent / "crm" / "contacts.csv").write_text(contacts, encoding="utf-8")
    assert _run(config, _SUNDAY) == []
    status = call_json("status", "--config", config, "--at", _SUNDAY)
    assert status["effects"] == {"done": 2, "dropped": 2}
    _run(config, _OPENING)
    assert _mails(config) == 0


def test_a_mail_that_waited_for_too_long_is_dropped_with_the_reason(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("  hours:", "  stale_after: 2 days\n  hours:"), encoding="utf-8")
    _run(config, _FRIDAY_NIGHT)
    report = call_json("run", "--config", config, "--at", _OPENING)
    (stale,) = [a for a in report["plan"]["actions"] if a["kind"] == "email"]
    assert stale["state"] == "dropped"
    assert "due since 2026-03-07 03:00 UTC, which is longer than the 2 days" in stale["reason"]
    assert _mails(config) == 0


def test_without_a_zone_the_mail_is_held_until_there_is_one(config: Path) -> None:
    (config.parent / "crm" / "users.csv").write_text(_USERS.replace("America/New_York", ""))
    report = call_json("run", "--config", config, "--at", _OPENING)
    reasons = [held["reason"] for held in report["plan"]["held"] if held["step"]]
    assert len(reasons) == 1
    assert "no time zone is known of Ann Smith, nor of the account or its owner" in reasons[0]
    (config.parent / "crm" / "users.csv").write_text(_USERS)
    (sent,) = _run(config, "2026-03-09T14:00+00:00")
    assert sent["state"] == "ready"


def test_a_rule_can_have_narrower_hours(config: Path) -> None:
    own = 'policy: {hours: {weekdays: "10:00-11:00"}}\n'
    rule = config.parent / "rules" / "renewal-at-risk.yaml"
    rule.write_text(rule.read_text(encoding="utf-8") + own, encoding="utf-8")
    (waiting,) = _run(config, _OPENING)
    assert (waiting["state"], waiting["not_before"]) == ("deferred", "2026-03-09T14:00:00+00:00")
