"""What accounts were before crmsync knew them, from the org's own history of fields."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from support.commands import call_json

if TYPE_CHECKING:
    from pathlib import Path

    from org_under_test import TestedOrg

FIELDS = {"tier": "Rating", "owner": "OwnerId", "name": "Name", "updated_at": "SystemModstamp"}
RULE = """\
rule: downgraded
subject: account
when:
  - tier: {changed: {to: Cold, in_last: 30 days}}
then:
  - task: {assign_to: owner, subject: "Call {{ account.name }}", due: 1 day}
"""


def write_config(folder: Path, org: TestedOrg, **stream: Any) -> Path:
    settings = {"table": "account", "object": "Account", "key": "Id", "fields": FIELDS} | stream
    told = ", ".join(f"{k}: {str(v).replace(chr(39), '')}" for k, v in settings.items())
    for name in ("rules", "segments", "templates"):
        (folder / name).mkdir()
    (folder / "rules" / "downgraded.yaml").write_text(RULE)
    path = folder / "config.yaml"
    path.write_text(f"""\
company: {{name: Vendor, email: hello@vendor.example, time_zone: UTC}}
connections:
  sf:
    connector: salesforce
    url: {org.server.address}
    client_id: {org.settings.client_id}
    client_secret: file:{folder / "secret"}
    ca_file: {org.server.certificate}
    streams:
      accounts: {{{told}}}
      users: {{table: user, object: User, key: Id, fields: {{name: Name, email: Email}}}}
""")
    return path


def history(folder: Path) -> list[tuple[str, str | None, str | None, str]]:
    with duckdb.connect(str(folder / "state" / "warehouse.duckdb"), read_only=True) as database:
        rows = database.execute(
            "SELECT field, old, new, strftime(\"at\", '%m-%d') FROM books.history "
            "WHERE table_name = 'account' ORDER BY \"at\", field"
        ).fetchall()
    return [(field, old, new, at) for field, old, new, at in rows]


def known_since(folder: Path) -> dict[str, str]:
    with duckdb.connect(str(folder / "state" / "warehouse.duckdb"), read_only=True) as database:
        rows = database.execute(
            "SELECT name, strftime(known_since, '%m-%d') FROM records.account"
        ).fetchall()
    return dict(rows)


@pytest.fixture
def lived(org: TestedOrg) -> TestedOrg:
    """An org in which an account had three ratings and two owners, and another none but its own."""
    other = org.org.create("User", {"Username": "o", "LastName": "O", "Email": "o@x.example"})
    org.org.tracked = {"Account": {"Rating", "OwnerId"}}
    org.org.create("Account", {"Name": "Quiet", "Rating": "Hot"})
    account = org.org.create("Account", {"Name": "Acme", "Rating": "Hot"})
    for values in ({"Rating": "Warm"}, {"OwnerId": other}, {"Rating": "Cold"}, {"Phone": "1"}):
        org.clock.pass_time(timedelta(days=5))
        org.org.update("Account", account, values)
    return org


@pytest.mark.parametrize("bulk_from", [1, 10_000])
def test_nobody_has_a_past_before_they_were_made(
    lived: TestedOrg, tmp_path: Path, bulk_from: int
) -> None:
    start = lived.clock.now() - timedelta(days=20)
    for name in ("Young", "Younger"):
        young = lived.org.create("Account", {"Name": name, "Rating": "Hot"})
        lived.clock.pass_time(timedelta(days=5))
    lived.org.update("Account", young, {"Rating": "Cold"})
    config = write_config(tmp_path, lived, bulk_from=bulk_from)
    call_json("sync", "--config", config, "--at", lived.clock.now().isoformat())
    days = [f"{start + timedelta(days=n):%m-%d}" for n in (5, 20, 25)]
    assert known_since(tmp_path) == dict(
        zip(("Acme", "Quiet", "Young", "Younger"), (days[0], *days), strict=True)
    )


@pytest.mark.parametrize("bulk_from", [1, 10_000])
def test_the_past_is_known_from_the_first_day(
    lived: TestedOrg, tmp_path: Path, bulk_from: int
) -> None:
    start = lived.clock.now() - timedelta(days=20)
    days = [f"{start + timedelta(days=5 * n):%m-%d}" for n in range(1, 4)]
    admin, other = (f"sf:{row['Id']}" for row in lived.org.rows("User"))
    config = write_config(tmp_path, lived, bulk_from=bulk_from)
    plan = call_json("plan", "--config", config, "--at", lived.clock.now().isoformat())
    told = [
        ("tier", "Hot", "Warm", days[0]),
        ("owner", admin, other, days[1]),
        ("tier", "Warm", "Cold", days[2]),
    ]
    assert history(tmp_path) == told
    assert known_since(tmp_path) == {"Acme": days[0], "Quiet": days[0]}
    # The rule sees the change, and its match is one of those that a person is asked about.
    assert "Acme" in str(plan)
    assert "Quiet" not in str(plan)
    # Once it is known, nothing of it is asked or told again.
    lived.service.calls.clear()
    lived.clock.pass_time(timedelta(days=1))
    lived.org.update("Account", lived.org.rows("Account")[1]["Id"], {"Rating": "Hot"})
    call_json("sync", "--config", config, "--at", lived.clock.now().isoformat())
    assert history(tmp_path)[:3] == told
    assert [row[:3] for row in history(tmp_path)[3:]] == [("tier", "Cold", "Hot")]
    asked = " ".join(str(request.query.get("q")) for request in lived.service.requests[-8:])
    assert "History" not in asked


def test_a_past_that_the_org_keeps_in_part_is_not_told(lived: TestedOrg, tmp_path: Path) -> None:
    lived.org.tracked["Account"].discard("OwnerId")
    config = write_config(tmp_path, lived)
    call_json("sync", "--config", config, "--at", lived.clock.now().isoformat())
    assert history(tmp_path) == []


def test_a_past_that_the_user_may_not_see_is_not_told(lived: TestedOrg, tmp_path: Path) -> None:
    del lived.org.objects["AccountHistory"]
    config = write_config(tmp_path, lived)
    synced = call_json("sync", "--config", config, "--at", lived.clock.now().isoformat())
    assert history(tmp_path) == []
    assert [one["error"] for one in synced["streams"]] == [None, None]


def test_a_past_of_long_texts_is_not_told(lived: TestedOrg, tmp_path: Path) -> None:
    # The org keeps that they were changed, and neither of the values.
    lived.org.tracked["Account"].add("Description")
    fields = FIELDS | {"tier": "Description"}
    config = write_config(tmp_path, lived, fields=fields)
    call_json("sync", "--config", config, "--at", lived.clock.now().isoformat())
    assert history(tmp_path) == []
