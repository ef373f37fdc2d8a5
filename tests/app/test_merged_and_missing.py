"""Records that were merged, or are missing for a while, are not contacted again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.commands import call_json
from support.company import CONFIG, FILES, RULE, make_company

if TYPE_CHECKING:
    from pathlib import Path

_ACCOUNTS = FILES["crm/accounts.csv"]
# Only one key of a mapping names another record when the two are one.
_MERGING = CONFIG.replace(
    "renewal_date: renewal}", "renewal_date: renewal}\n        merged_into: master"
)
_ONCE = "once_per: [account, renewal_date]\n"
_COOLDOWN = "cooldown: 60 days\n"


def _run(config: Path, day: int) -> list[str]:
    """A run in March; answers with whom it did something for, and that the plan said the same."""
    at = f"2026-03-{day:02}T09:00"
    plan = call_json("plan", "--config", config, "--at", at)
    report = call_json("run", "--config", config, "--at", at)
    assert report["plan"]["actions"] == plan["actions"]
    assert report["delivery"]["problems"] == []
    return sorted(f"{a['kind']} {a['subject_name']}" for a in plan["actions"] if _is_out(a))


def _is_out(action: dict[str, Any]) -> bool:
    return bool(action["state"] == "ready")


def _held(config: Path, day: int) -> dict[str, str]:
    plan = call_json("plan", "--config", config, "--at", f"2026-03-{day:02}T09:00")
    return {held["subject"]: held["reason"] for held in plan["held"]}


def _accounts(config: Path, *rows: str) -> None:
    text = "\n".join(["id,name,owner,tier,renewal,master", *rows, ""])
    (config.parent / "crm" / "accounts.csv").write_text(text, encoding="utf-8")


_ACME = "A1,Acme,U1,gold,2026-03-20,"
_BLUE = "A2,Blue,U1,silver,2026-03-25,"
_CAFE = "A3,Café,U1,gold,2026-11-30,"
_CAFE_NEAR = "A3,Café,U1,gold,2026-03-20,"
_INTO_CAFE = "A1,Acme,U1,gold,2026-03-20,A3"


def _merging(folder: Path, options: str = "") -> Path:
    config = make_company(folder, config=_MERGING, renewal_at_risk=RULE + options)
    _accounts(config, _ACME, _BLUE, _CAFE)
    return config


@pytest.mark.parametrize("options", ["", _ONCE, _COOLDOWN], ids=["plain", "once_per", "cooldown"])
def test_who_was_contacted_before_a_merge_is_not_contacted_after_it(
    tmp_path: Path, options: str
) -> None:
    config = _merging(tmp_path, options)
    assert _run(config, 2) == ["email Acme", "task Acme", "task Blue"]
    _accounts(config, _BLUE, _CAFE_NEAR, _INTO_CAFE)
    assert _run(config, 3) == []
    assert _run(config, 4) == []
    explained = call_json("explain", "A3", "--config", config, "--at", "2026-03-04T09:00")
    (rule,) = explained["rules"]
    assert [note.split()[0] for note in rule["notes"]] == ["in", "task", "email"]


@pytest.mark.parametrize("options", [_ONCE, _COOLDOWN], ids=["once_per", "cooldown"])
def test_what_was_used_before_a_merge_stays_used_when_the_conditions_come_again(
    tmp_path: Path, options: str
) -> None:
    config = _merging(tmp_path, options)
    _run(config, 2)
    _accounts(config, _ACME.replace("03-20", "11-30"), _BLUE, _CAFE)
    assert _run(config, 3) == []
    _accounts(config, _BLUE, _CAFE_NEAR, _INTO_CAFE)
    assert _run(config, 4) == []
    assert "crm:A3" in _held(config, 5)


def test_a_step_that_was_held_before_a_merge_is_taken_once_after_it(tmp_path: Path) -> None:
    config = _merging(tmp_path)
    contacts = config.parent / "crm" / "contacts.csv"
    contacts.write_text(FILES["crm/contacts.csv"].replace(",Ann,", ",,"), encoding="utf-8")
    assert _run(config, 2) == ["task Acme", "task Blue"]
    _accounts(config, _BLUE, _CAFE_NEAR, _INTO_CAFE)
    contacts.write_text(FILES["crm/contacts.csv"], encoding="utf-8")
    assert _run(config, 3) == ["email Café"]
    assert _run(config, 4) == []


@pytest.mark.parametrize("contact_of", ["A1", "A3"])
def test_where_both_were_inside_what_one_has_had_the_other_does_not_get(
    tmp_path: Path, contact_of: str
) -> None:
    config = _merging(tmp_path)
    contacts = config.parent / "crm" / "contacts.csv"
    text = FILES["crm/contacts.csv"].replace("C1,A1", f"C1,{contact_of}")
    contacts.write_text(text, encoding="utf-8")
    _accounts(config, _ACME, _BLUE, _CAFE_NEAR)
    first = _run(config, 2)
    assert len([action for action in first if action.startswith("email")]) == 1
    _accounts(config, _BLUE, _CAFE_NEAR, _INTO_CAFE)
    assert _run(config, 3) == []
    _accounts(config, _ACME, _BLUE, _CAFE_NEAR)
    contacts.write_text(text.replace(f"C1,{contact_of}", "C1,A2"), encoding="utf-8")
    assert _run(config, 4) == []


def test_an_account_that_one_export_lacks_is_not_new_when_it_is_back(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    accounts = config.parent / "crm" / "accounts.csv"
    assert _run(config, 2) == ["email Acme", "task Acme", "task Blue"]
    accounts.write_text(_ACCOUNTS.replace("A1,Acme,U1,gold,2026-03-20\n", ""), encoding="utf-8")
    assert _run(config, 3) == []
    assert "its record is missing" in _held(config, 3)["crm:A1"]
    accounts.write_text(_ACCOUNTS, encoding="utf-8")
    assert _run(config, 4) == []
    accounts.write_text(_ACCOUNTS.replace("2026-03-20", "2026-11-30"), encoding="utf-8")
    assert _run(config, 5) == []
    accounts.write_text(_ACCOUNTS, encoding="utf-8")
    assert _run(config, 6) == ["email Acme", "task Acme"]


def test_what_a_missing_record_has_waiting_is_taken_up_when_it_is_back(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    accounts = config.parent / "crm" / "accounts.csv"
    contacts = config.parent / "crm" / "contacts.csv"
    contacts.write_text(FILES["crm/contacts.csv"].replace(",Ann,", ",,"), encoding="utf-8")
    assert _run(config, 2) == ["task Acme", "task Blue"]
    contacts.write_text(FILES["crm/contacts.csv"], encoding="utf-8")
    accounts.write_text(_ACCOUNTS.replace("A1,Acme,U1,gold,2026-03-20\n", ""), encoding="utf-8")
    assert _run(config, 3) == []
    accounts.write_text(_ACCOUNTS, encoding="utf-8")
    assert _run(config, 4) == ["email Acme"]


def test_a_connection_that_left_the_config_ends_nothing(tmp_path: Path) -> None:
    rule = RULE.replace("{older_than: 14 days}", "{present: true}")
    config = make_company(tmp_path, renewal_at_risk=rule)
    assert _run(config, 2) == ["email Acme", "task Acme", "task Blue"]
    other = CONFIG.replace(
        "  crm:\n    connector: files\n    path: crm",
        "  other:\n    connector: files\n    path: new",
    )
    (tmp_path / "new").mkdir()
    for name in ("accounts", "contacts", "users", "activities"):
        header = FILES[f"crm/{name}.csv"].splitlines()[0]
        (tmp_path / "new" / f"{name}.csv").write_text(header + "\n", encoding="utf-8")
    config.write_text(other, encoding="utf-8")
    assert _run(config, 3) == []
    config.write_text(CONFIG, encoding="utf-8")
    assert _run(config, 4) == []
