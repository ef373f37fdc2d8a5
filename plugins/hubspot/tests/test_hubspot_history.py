"""Earlier values of properties become the history that rules ask for changes."""

from __future__ import annotations

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


def _config(folder: Path, tested: TestedPortal) -> Path:
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
        history: [lifecyclestage]
        key: id
        fields: {{name: name, status: lifecyclestage, updated_at: updatedAt}}
""")
    return path


def _changes(folder: Path) -> list[tuple[str, str | None, str | None]]:
    with duckdb.connect(str(folder / "state" / "warehouse.duckdb"), read_only=True) as database:
        return database.execute(
            "SELECT id, old, new FROM books.history WHERE field = 'status' ORDER BY id, \"at\""
        ).fetchall()


def test_what_was_before_the_first_sync_is_history(tested: TestedPortal) -> None:
    stages = ("lead", "opportunity", "customer")
    one = int(tested.make("companies", name="A", lifecyclestage=stages[0]))
    two = int(tested.make("companies", name="B", lifecyclestage="customer"))
    for stage in stages[1:]:
        tested.clock.pass_time(timedelta(hours=1))
        tested.portal.update("companies", one, {"lifecyclestage": stage})
    config = _config(tested.folder, tested)
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
    config = _config(tested.folder, tested)
    (tested.folder / "rules" / "won.yaml").write_text(RULE)
    tested.clock.pass_time(timedelta(hours=1))
    told = call_json("run", "--config", config, "--at", tested.clock.now().isoformat())
    assert told["delivery"]["problems"] == [], told["delivery"]
    (note,) = tested.rows("notes")
    assert tested.portal.links.of("notes", int(note["id"]), "companies") == [lately]
