from __future__ import annotations

import csv
import hashlib
import io
import json
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from crmsync.app.sample import sample_config, write_sample
from crmsync.config.load import load_config
from crmsync.config.mapping import StreamSettings

if TYPE_CHECKING:
    from pathlib import Path

INSTANTS = (
    datetime(2026, 11, 22, 9, 0, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 30, tzinfo=UTC),
    datetime(2027, 1, 1, 0, 15, tzinfo=UTC),
)

Table = dict[str, dict[str, str]]


def read(folder: Path, name: str) -> Table:
    if name == "usage":
        lines = (folder / "crm" / "usage.jsonl").read_text(encoding="utf-8").splitlines()
        return {row["id"]: row for row in map(json.loads, lines)}
    shop = name == "orders"
    text = (folder / "crm" / f"{name}.csv").read_text(encoding="cp1252" if shop else "utf-8")
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if shop else ",")
    return {row["id"]: row for row in rows}


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "crm").iterdir())
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, INSTANTS[0])
    return folder


def test_the_same_instant_gives_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    elsewhere = INSTANTS[0].astimezone(timezone(timedelta(hours=9)))
    write_sample(tmp_path, elsewhere)
    assert digests(tmp_path) == digests(sample)
    write_sample(tmp_path / "later", INSTANTS[0] + timedelta(days=1))
    assert digests(tmp_path / "later") != digests(sample)


def test_every_machine_gives_the_same_bytes(sample: Path) -> None:
    # When the sample is changed on purpose, the new digest belongs here. It was the same under
    # Python 3.11, 3.12 and 3.13.
    together = hashlib.sha256()
    for path in sorted((sample / "crm").iterdir()):
        together.update(path.name.encode() + b"\0" + path.read_bytes())
    assert together.hexdigest() == (
        "39d0e3a78cebc03f46d7d0e6b549126a7d9c0ff4f91eb95feeebfc23371bc168"
    )


def test_an_instant_without_a_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="aware"):
        write_sample(tmp_path, datetime(2026, 1, 1))  # noqa: DTZ001  that is the point


def test_there_are_500_accounts_beside_the_merged_ones(sample: Path) -> None:
    accounts = read(sample, "accounts")
    live = [row for row in accounts.values() if not row["merged_into"]]
    merged = [row for row in accounts.values() if row["merged_into"]]
    assert len(live) == 500
    assert len(merged) == 6
    for row in merged:
        assert not accounts[row["merged_into"]]["merged_into"]


def test_every_reference_leads_somewhere(sample: Path) -> None:
    tables = {path.stem: read(sample, path.stem) for path in (sample / "crm").iterdir()}
    ways = {
        "account_id": "accounts",
        "contact_id": "contacts",
        "owner_id": "users",
        "agent_id": "users",
        "manager_id": "users",
        "primary_contact_id": "contacts",
        "merged_into": "accounts",
    }
    for name, table in tables.items():
        for row in table.values():
            for column, target in ways.items():
                if row.get(column):
                    assert row[column] in tables[target], (name, row["id"], column)


@pytest.mark.parametrize("now", INSTANTS)
def test_only_what_is_planned_lies_ahead(tmp_path: Path, now: datetime) -> None:
    write_sample(tmp_path, now)
    for row in read(tmp_path, "activities").values():
        at = datetime.fromisoformat(row["start"])
        assert (at > now) == (row["status"] == "planned"), row
        assert datetime.fromisoformat(row["updated_at"]) <= now
    for name, column in (("tickets", "opened"), ("tickets", "closed"), ("feedback", "answered_at")):
        for row in read(tmp_path, name).values():
            assert not row[column] or datetime.fromisoformat(row[column]) <= now
    for row in read(tmp_path, "usage").values():
        assert date.fromisoformat(row["day"]) < now.date()
    assert any(
        date.fromisoformat(row["customer_since"]).replace(day=28).month == 2
        and row["customer_since"].endswith("-02-29")
        for row in read(tmp_path, "accounts").values()
    )


def test_the_awkward_is_there(sample: Path) -> None:
    accounts = read(sample, "accounts").values()
    contacts = read(sample, "contacts").values()
    users = read(sample, "users")
    inactive = {row["id"] for row in users.values() if row["active"] == "no"}
    assert sum(not row["owner_id"] for row in accounts) >= 3
    assert sum(row["owner_id"] in inactive for row in accounts) >= 3
    assert sum(row["do_not_contact"] == "yes" for row in accounts) >= 3
    assert sum(row["opted_out"] == "yes" for row in contacts) >= 8
    assert sum(row["bounced"] == "yes" for row in contacts) >= 6
    assert sum(not row["email"] for row in contacts) >= 3
    assert sum(not row["first_name"] for row in contacts) >= 3
    zones: dict[str, set[str]] = {}
    for row in contacts:
        zones.setdefault(row["account_id"], set()).add(row["time_zone"] or "")
    assert sum(len(found - {""}) > 1 for found in zones.values()) >= 20
    scripts = {
        unicodedata.name(row["first_name"][0]).split()[0] for row in contacts if row["first_name"]
    }
    assert {"LATIN", "CJK", "HANGUL", "HEBREW", "GREEK"} <= scripts
    assert len({row["currency"] for row in accounts}) >= 10
    websites = [row["website"] for row in accounts if not row["merged_into"]]
    assert len(websites) > len(set(websites))


def test_one_order_cannot_be_read_and_only_one(sample: Path) -> None:
    unreadable = []
    for row in read(sample, "orders").values():
        try:
            datetime.strptime(row["ordered"], "%d.%m.%Y %H:%M").replace(tzinfo=UTC)
        except ValueError:
            unreadable.append(row["id"])
    assert unreadable == ["ORD-99999"]


@pytest.mark.parametrize("now", INSTANTS)
def test_the_config_fits_the_files(sample: Path, tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(sample_config(now), encoding="utf-8")
    installation = load_config(path)
    streams = installation.settings.connections["crm"].streams
    for stream in streams.values():
        assert isinstance(stream, StreamSettings)
        table = read(sample, str(stream.own_options["file"]).split(".")[0])
        header = set(next(iter(table.values())))
        assert set(stream.columns) <= header
    files = {str(stream.own_options["file"]) for stream in streams.values()}
    assert files == {path.name for path in (sample / "crm").iterdir()}
    assert set(installation.settings.teams) == {"success", "support"}
    mailboxes = {row["email"] for row in read(sample, "users").values()}
    for members in installation.settings.teams.values():
        assert set(members) <= mailboxes
