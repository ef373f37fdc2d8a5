"""The same customer in two CRMs is one account."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.workspace import open_workspace
from crmsync.clock import FixedClock, parse_instant
from crmsync.sync import identity
from support.commands import call, call_json
from support.two_systems import DEALS, FILES, two_systems

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.warehouse.reader import Records

AT = "2026-03-02T09:00"


def put(config: Path, name: str, old: str, new: str) -> None:
    path = config.parent / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def synced(config: Path, at: str = AT) -> dict[str, Any]:
    return call_json("sync", "--config", config, "--at", at)


def run(config: Path, at: str = AT, *more: str) -> dict[str, Any]:
    plan: dict[str, Any] = call_json("run", "--config", config, "--at", at, *more)["plan"]
    assert plan["audit"] is None, plan["audit"]
    return plan


def acted(plan: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {a["subject"]: (a["connection"], a["title"]) for a in plan["actions"]}


def tasks(config: Path, system: str) -> list[dict[str, str]]:
    path = config.parent / system / "tasks.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return [*csv.DictReader(lines)]


def pairs(config: Path) -> dict[str, dict[str, str]]:
    workspace = open_workspace(config, FixedClock(instant=parse_instant(AT)))
    with workspace.warehouse.reading() as records:
        return {table: dict(found) for table, found in records.twins().items()}


def test_one_account_each_and_each_task_goes_to_where_its_subject_came_from(tmp_path: Path) -> None:
    config = two_systems(tmp_path)
    assert acted(run(config)) == {
        "sales:A1": ("sales", "Call Acme"),
        "sales:A2": ("sales", "Call Blue"),
        "sales:A3": ("sales", "Call Cafe"),
        "service:902": ("service", "Call Delta"),
    }
    assert pairs(config) == {
        "account": {"service:900": "sales:A1", "service:901": "sales:A2"},
        "contact": {"service:50": "sales:C1"},
        "user": {"service:7": "sales:U1"},
    }
    assert [task["assignee"] for task in tasks(config, "sales")] == ["U1", "U1", "U2"]
    assert [task["assignee"] for task in tasks(config, "service")] == ["7"]
    assert run(config)["actions"] == []


def test_contact_in_either_system_counts(tmp_path: Path) -> None:
    recent = "1,900,,call,2026-02-25 10:00\n2,,51,call,2026-02-26 10:00\n"
    config = two_systems(
        tmp_path, service_activities=FILES["service/activities.csv"] + recent.replace("1,", "3,", 1)
    )
    # Acme by its account there, Blue by a contact that only service has.
    assert set(acted(run(config))) == {"sales:A3", "service:902"}


def test_what_only_the_other_system_has_is_done_there_in_its_own_ids(tmp_path: Path) -> None:
    config = two_systems(tmp_path)
    (config.parent / "rules" / "deals.yaml").write_text(DEALS, encoding="utf-8")
    done = acted(run(config))
    assert done["service:77"] == ("service", "Support of Acme")
    assert done["sales:D1"] == ("sales", "Seats of Acme")
    (task,) = [task for task in tasks(config, "service") if task["subject"] == "Support of Acme"]
    assert task["assignee"] == "7"
    assert (task["about_table"], task["about_id"]) == ("deal", "77")
    assert task["also_about"] == "account 900"


def test_nobody_is_given_a_task_in_a_system_that_does_not_know_them(tmp_path: Path) -> None:
    config = two_systems(
        tmp_path,
        service_users="id,name,email\n8,Lee,lee@vendor.example\n",
        service_deals="id,name,account,owner\n77,Support,900,\n",
    )
    (config.parent / "rules" / "deals.yaml").write_text(DEALS, encoding="utf-8")
    plan = run(config)
    held = {one["subject"]: one["reason"] for one in plan["held"] if one["step"]}
    assert held["service:77"] == "Jo is no user of “service”, where the task would stand"


STEPS = [
    ("nothing", "service/users.csv", "Jo Meyer", "Jo Meyer"),
    ("a call there", "service/activities.csv", "id,", "id,"),
    ("taken apart", "service/accounts.csv", "ACME Inc,acme.example", "ACME Inc,other.example"),
    ("joined by an id", "service/accounts.csv", "2026-03-20,,\n901", "2026-03-20,A1,\n901"),
    ("another one", "service/accounts.csv", "2026-03-20,A1,\n901", "2026-03-20,A3,\n901"),
    (
        "marked",
        "service/accounts.csv",
        "901,Blue AG,blue.example,7,,,",
        "901,Blue AG,blue.example,7,,,yes",
    ),
    ("gone here", "sales/accounts.csv", "A2,Blue", "A4,Blue"),
    ("apart again", "service/accounts.csv", "2026-03-20,A3,\n901", "2026-03-20,,\n901"),
]


def test_whatever_joins_or_parts_them_few_are_evaluated_and_rightly(tmp_path: Path) -> None:
    """Each time everybody is evaluated too, and the two ways are held against each other."""
    config = two_systems(tmp_path)
    (config.parent / "rules" / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    run(config)
    seen = [pairs(config).get("account", {})]
    for number, (_, name, old, new) in enumerate(STEPS, start=1):
        put(config, name, old, new)
        if name.endswith("activities.csv"):
            path = config.parent / name
            text = path.read_text(encoding="utf-8") + "5,900,,call,2026-02-27 10:00\n"
            path.write_text(text, encoding="utf-8")
        run(config, f"2026-03-02T09:{number:02}", "--full-evaluation")
        seen.append(pairs(config).get("account", {}))
    both = {"service:900": "sales:A1", "service:901": "sales:A2"}
    assert seen[:3] == [both] * 3
    assert seen[3:] == [
        {"service:901": "sales:A2"},
        both,
        {"service:900": "sales:A3", "service:901": "sales:A2"},
        {"service:900": "sales:A3", "service:901": "sales:A2"},
        {"service:900": "sales:A3", "service:901": "sales:A4"},
        {"service:901": "sales:A4"},
    ]


PEOPLE = """\
rule: people
description: Somebody at an account that was called.
subject: contact
when:
  - account.last_contact: {in_last: 30 days}
  - account.do_not_contact: {is_not: true}
then:
  - note: {text: "{{ contact.first_name }} of {{ account.name }}"}
"""


def test_who_was_contacted_as_one_is_not_contacted_as_the_other(tmp_path: Path) -> None:
    sales = FILES["sales/accounts.csv"].replace("acme.example,U1,2026-03-20", ",U1,2026-03-20")
    config = two_systems(
        tmp_path, sales_accounts=sales.replace("A1,Acme,,U1,2026-03-20", "A1,Acme,,U1,")
    )
    assert "service:900" in acted(run(config))
    put(config, "sales/accounts.csv", "A1,Acme,,U1,,", "A1,Acme,acme.example,U1,2026-03-20,")
    later = run(config, "2026-03-02T10:00")
    assert pairs(config)["account"]["service:900"] == "sales:A1"
    assert later["actions"] == []


def test_a_mark_in_either_system_counts(tmp_path: Path) -> None:
    config = two_systems(
        tmp_path,
        service_contacts=FILES["service/contacts.csv"].replace("example,\n51", "example,yes\n51"),
        service_accounts=FILES["service/accounts.csv"].replace("7,,,", "7,,,yes"),
    )
    synced(config)
    workspace = open_workspace(config, FixedClock(instant=parse_instant(AT)))
    with workspace.warehouse.reading() as records:
        assert records.rows("contact", ["sales:C1"])["sales:C1"]["unsubscribed"] is True
        assert records.rows("account", ["sales:A2"])["sales:A2"]["do_not_contact"] is True
        assert records.rows("account", ["sales:A1"])["sales:A1"]["do_not_contact"] is None
        # Asked in queries they are the same as by their ids, and none of the others is there.
        for table in ("account", "contact", "user", "activity", "deal"):
            rows = records.query(records.table(table)).to_pylist()
            assert records.rows(table, [row["id"] for row in rows]) == {
                row["id"]: row for row in sorted(rows, key=lambda row: str(row["id"]))
            }
            assert records.count(table) == len(rows)
        assert references(records) == {"sales:A1", "sales:A2", "service:902"}
        assert records.rows("account", ["service:900"]) == {}


def test_a_query_that_was_compiled_in_an_earlier_opening_finds_what_it_names(
    tmp_path: Path,
) -> None:
    config = two_systems(tmp_path)
    synced(config)
    workspace = open_workspace(config, FixedClock(instant=parse_instant(AT)))
    for _ in range(2):
        with workspace.warehouse.reading() as records:
            query = records.compiled("accounts", lambda: records.table("account").select("id"))
            found = records.query(query)["id"].to_pylist()
            assert sorted(found) == ["sales:A1", "sales:A2", "sales:A3", "service:902"]


def test_where_nothing_has_changed_nobody_is_held_against_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = two_systems(tmp_path)
    looked: list[int] = []
    real = identity.find_pairs

    def found(*arguments: Any) -> Any:
        looked.append(1)
        return real(*arguments)

    monkeypatch.setattr(identity, "find_pairs", found)
    for _ in range(3):
        synced(config)
    assert len(looked) == 1
    put(config, "service/accounts.csv", "delta.example", "blue.example")
    synced(config, "2026-03-02T10:00")
    assert len(looked) == 2
    assert pairs(config)["account"] == {"service:900": "sales:A1"}


def references(records: Records) -> set[str]:
    named: set[str] = set()
    for table in ("contact", "activity", "deal"):
        accounts = records.query(records.table(table).select("account"))["account"].to_pylist()
        named |= {account for account in accounts if account is not None}
    return named


@pytest.mark.parametrize(
    ("changes", "joined", "doubted"),
    [
        pytest.param(
            {
                "service_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "900,North,acme.example,7,,,\n901,South,acme.example,7,,,\n"
            },
            {},
            "by the domain acme.example",
            id="two of one domain",
        ),
        pytest.param(
            {
                "service_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "900,North,acme.example,7,,A1,\n901,South,acme.example,7,,,\n"
            },
            {"service:900": "sales:A1"},
            "by the domain acme.example",
            id="an id says which",
        ),
        pytest.param(
            {
                "service_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "900,North,,7,,A1,\n901,South,,7,,A1,\n"
            },
            {},
            "by the id “A1”",
            id="two with one id",
        ),
        pytest.param(
            {
                "service_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "900,North,acme.example,7,,X2,\n",
                "sales_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "A1,Acme,acme.example,U1,2026-03-20,X1,\n",
            },
            {},
            None,
            id="ids say that they are two",
        ),
        pytest.param(
            {
                "service_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "900,North,north.example,7,,ERP-1,\n",
                "sales_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "A1,Acme,acme.example,U1,2026-03-20,ERP-1,\n",
            },
            {"service:900": "sales:A1"},
            None,
            id="an id that both have from elsewhere",
        ),
        pytest.param(
            {
                "service_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "900,North,gmail.com,7,,,\n",
                "sales_accounts": "id,name,domain,owner,renewal,external,stop\n"
                "A1,Acme,gmail.com,U1,2026-03-20,,\n",
            },
            {},
            None,
            id="a domain that everybody has",
        ),
    ],
)
def test_what_is_joined_is_never_a_guess(
    tmp_path: Path, changes: dict[str, str], joined: dict[str, str], doubted: str | None
) -> None:
    config = two_systems(tmp_path, **changes)
    told = [doubt for doubt in synced(config)["doubts"] if "external_id" in doubt]
    assert pairs(config).get("account", {}) == joined
    assert [doubted in doubt for doubt in told if doubted] == ([] if doubted is None else [True])
    status = call("status", "--config", config, "--at", AT).stdout
    assert (doubted is not None) == ("it cannot be told which accounts are the same" in status)


def test_while_one_system_cannot_be_read_nobody_in_both_is_called_quiet(tmp_path: Path) -> None:
    config = two_systems(tmp_path)
    synced(config)
    activities = config.parent / "service" / "activities.csv"
    activities.unlink()
    at = "2026-03-04T09:00"
    plan = run(config, at)
    assert acted(plan) == {}
    held = {one["subject"]: one["reason"] for one in plan["held"]}
    assert (
        "the activity stream “activities” of service" in held["sales:A1"]
        or "service" in held["sales:A1"]
    )


def test_one_system_alone_costs_nothing(tmp_path: Path) -> None:
    config = two_systems(tmp_path)
    text = config.read_text(encoding="utf-8")
    config.write_text(text[: text.index("  service:")], encoding="utf-8")
    synced(config)
    workspace = open_workspace(config, FixedClock(instant=parse_instant(AT)))
    with workspace.warehouse.reading() as records:
        assert records.twin_state().number is None
        assert not any(records.history.twins.touches(table) for table in workspace.warehouse.tables)
