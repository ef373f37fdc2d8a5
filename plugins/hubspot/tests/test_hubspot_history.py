"""Earlier values of properties become the history that rules ask for changes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb

from support.commands import call_json

if TYPE_CHECKING:
    from pathlib import Path

    from portal_under_test import TestedPortal

RULE = """\
rule: won
description: Whoever has become a customer within a day is welcomed.
subject: account
when:
  - status: {changed: {to: customer, in_last: 1 day}}
then:
  - note:
      text: "Welcome."
"""


def _config(tested: TestedPortal, *more: str) -> Path:
    folder = tested.folder
    for name in ("rules", "segments", "templates"):
        (folder / name).mkdir()
    path = folder / "config.yaml"
    path.write_text(f"""\
company: {{name: Vendor, email: hello@vendor.example, time_zone: UTC}}
existing: enrol
policy: {{most_share_of_accounts: 1.0}}
connections:
  hub:
    connector: hubspot
    url: {tested.server.address}
    access_token: file:{folder / "token"}
    daily_share: 1.0
    streams:
      companies:
        table: account
        object: companies
        key: id
        fields: {{name: name, tier: industry, status: lifecyclestage, updated_at: updatedAt}}
{"".join(f"        {line}" for line in more)}
""")
    return path


def _asked_for_history(tested: TestedPortal) -> int:
    return sum(
        bool(json.loads(request.body).get("propertiesWithHistory"))
        for request in tested.service.requests
        if request.target.endswith("/batch/read")
    )


def _changes(folder: Path, field: str = "status") -> list[tuple[str, str | None, str | None]]:
    with duckdb.connect(str(folder / "state" / "warehouse.duckdb"), read_only=True) as database:
        return database.execute(
            'SELECT id, old, new FROM books.history WHERE field = ? ORDER BY id, "at"',
            [field],
        ).fetchall()


def test_what_was_before_the_first_sync_is_history(tested: TestedPortal) -> None:
    stages = ("lead", "opportunity", "customer")
    one = int(tested.make("companies", name="A", lifecyclestage=stages[0]))
    two = int(tested.make("companies", name="B", lifecyclestage="customer"))
    for stage in stages[1:]:
        tested.clock.pass_time(timedelta(hours=1))
        tested.portal.update("companies", one, {"lifecyclestage": stage})
    config = _config(tested, "history: [lifecyclestage]")
    tested.clock.pass_time(timedelta(hours=1))
    call_json("sync", "--config", config, "--at", tested.clock.now().isoformat())
    assert _changes(tested.folder) == [
        (f"hub:{one}", "lead", "opportunity"),
        (f"hub:{one}", "opportunity", "customer"),
    ]
    # Between two syncs it changes twice: both are known, each once.
    for stage in ("evangelist", "other"):
        tested.clock.pass_time(timedelta(hours=1))
        tested.portal.update("companies", two, {"lifecyclestage": stage})
    for _ in range(2):
        tested.clock.pass_time(timedelta(hours=1))
        call_json("sync", "--config", config, "--at", tested.clock.now().isoformat())
    assert _changes(tested.folder)[2:] == [
        (f"hub:{two}", "customer", "evangelist"),
        (f"hub:{two}", "evangelist", "other"),
    ]


def test_a_rule_about_a_change_knows_one_from_before_the_first_sync(tested: TestedPortal) -> None:
    lately = int(tested.make("companies", name="A", lifecyclestage="lead"))
    tested.make("companies", name="B", lifecyclestage="customer")
    tested.clock.pass_time(timedelta(hours=3))
    tested.portal.update("companies", lately, {"lifecyclestage": "customer"})
    config = _config(tested)
    (tested.folder / "rules" / "won.yaml").write_text(RULE)
    tested.clock.pass_time(timedelta(hours=1))
    told = call_json("run", "--config", config, "--at", tested.clock.now().isoformat())
    assert told["delivery"]["problems"] == [], told["delivery"]
    (note,) = tested.rows("notes")
    assert tested.portal.links.of("notes", int(note["id"]), "companies") == [lately]
    assert _asked_for_history(tested) == 1


def test_where_no_rule_asks_for_the_past_it_costs_no_call(tested: TestedPortal) -> None:
    one = int(tested.make("companies", name="A", lifecyclestage="lead"))
    tested.clock.pass_time(timedelta(hours=1))
    tested.portal.update("companies", one, {"lifecyclestage": "customer"})
    config = _config(tested)
    for stage in ("evangelist", "other"):
        tested.clock.pass_time(timedelta(hours=1))
        call_json("sync", "--config", config, "--at", tested.clock.now().isoformat())
        tested.portal.update("companies", one, {"lifecyclestage": stage})
    assert _asked_for_history(tested) == 0
    assert _changes(tested.folder) == [(f"hub:{one}", "customer", "evangelist")]


def test_a_rule_that_comes_later_knows_all_changes_from_then_on(tested: TestedPortal) -> None:
    one = int(tested.make("companies", name="A", lifecyclestage="lead"))
    config = _config(tested)
    tested.clock.pass_time(timedelta(hours=1))
    call_json("sync", "--config", config, "--at", tested.clock.now().isoformat())
    (tested.folder / "rules" / "won.yaml").write_text(RULE)
    for stage in ("opportunity", "customer", "other"):
        tested.clock.pass_time(timedelta(hours=1))
        tested.portal.update("companies", one, {"lifecyclestage": stage})
    tested.clock.pass_time(timedelta(hours=1))
    call_json("sync", "--config", config, "--at", tested.clock.now().isoformat())
    assert [new for _, _, new in _changes(tested.folder)] == ["opportunity", "customer", "other"]


def test_a_rule_that_comes_later_learns_what_was_before_the_first_sync(
    tested: TestedPortal,
) -> None:
    one = int(tested.make("companies", name="A", lifecyclestage="lead"))
    gone = int(tested.make("companies", name="B", lifecyclestage="lead"))
    for stage in ("opportunity", "customer"):
        tested.clock.pass_time(timedelta(hours=1))
        tested.portal.update("companies", one, {"lifecyclestage": stage})
    config = _config(tested)

    def sync() -> int:
        tested.clock.pass_time(timedelta(hours=1))
        before = len(tested.service.calls)
        call_json("sync", "--config", config, "--at", tested.clock.now().isoformat())
        return len(tested.service.calls) - before

    sync()
    tested.portal.update("companies", one, {"lifecyclestage": "evangelist"})
    sync()
    assert _changes(tested.folder) == [(f"hub:{one}", "customer", "evangelist")]
    (tested.folder / "rules" / "won.yaml").write_text(RULE)
    tested.portal.update("companies", one, {"lifecyclestage": "other"})
    for _ in range(2):
        sync()
        assert _asked_for_history(tested) == 1, "once for all"
        assert _changes(tested.folder) == [
            (f"hub:{one}", "lead", "opportunity"),
            (f"hub:{one}", "opportunity", "customer"),
            (f"hub:{one}", "customer", "evangelist"),
            (f"hub:{one}", "evangelist", "other"),
        ]
    assert sync() == 1
    # It was no listing of what is there: that comes when it is due.
    tested.portal.archive("companies", gone)
    tested.portal.purge("companies", gone)
    tested.clock.pass_time(timedelta(days=7) - timedelta(hours=5))
    sync()
    with duckdb.connect(str(tested.folder / "state" / "warehouse.duckdb"), read_only=True) as file:
        rows = file.table("records.account").filter("deleted_at IS NULL").project("id").fetchall()
    assert rows == [(f"hub:{one}",)]


def test_of_a_former_version_all_is_told_whose_changes_are_kept(tested: TestedPortal) -> None:
    one = int(tested.make("companies", name="A", lifecyclestage="lead", industry="ACCOUNTING"))
    for values in ({"industry": "BANKING"}, {"lifecyclestage": "customer"}):
        tested.clock.pass_time(timedelta(hours=1))
        tested.portal.update("companies", one, values)
    config = _config(tested)
    (tested.folder / "rules" / "won.yaml").write_text(RULE)
    tested.clock.pass_time(timedelta(hours=1))
    call_json("sync", "--config", config, "--at", tested.clock.now().isoformat())
    assert _changes(tested.folder, "tier") == [(f"hub:{one}", "ACCOUNTING", "BANKING")]
