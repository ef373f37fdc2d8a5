from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.config.load import load_config
from crmsync.errors import InvalidInputError, UsageError
from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    from pathlib import Path

_GOOD = """\
company: {name: Acme, email: cs@acme.example, time_zone: Europe/Zurich, country: ch}
connections:
  crm:
    connector: files
    path: crm
    streams:
      accounts:
        file: accounts.csv
        table: account
        key: id
        fields:
          name: Name
          seats: {column: Seats, type: integer, tracked: true}
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _problems(folder: Path, text: str) -> list[str]:
    path = _write(folder, text)
    with pytest.raises(InvalidInputError) as caught:
        load_config(path)
    return [problem.removeprefix(str(path)) for problem in caught.value.problems]


def test_a_good_config_gives_settings_and_tables_with_custom_fields(tmp_path: Path) -> None:
    installation = load_config(_write(tmp_path, _GOOD))
    assert installation.settings.company.country == "CH"
    assert installation.path("state") == tmp_path / "state"
    connection = installation.settings.connections["crm"]
    assert connection.own_options == {"path": "crm"}
    stream = connection.streams["accounts"]
    assert stream.own_options == {"file": "accounts.csv"}
    assert stream.columns == ("id", "Name", "Seats")
    seats = installation.tables()["account"].field("seats")
    assert seats is not None
    assert (seats.type, seats.tracked) == (FieldType.INTEGER, True)


def test_a_mapping_can_keep_the_changes_of_any_field(tmp_path: Path) -> None:
    text = _GOOD.replace("name: Name", "industry: {column: Branch, tracked: true}")
    account = load_config(_write(tmp_path, text)).tables()["account"]
    kept = [field.name for field in account.fields if field.tracked]
    assert {"tier", "industry", "seats"} <= set(kept)
    assert "name" not in kept


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="crmsync init"):
        load_config(tmp_path / "none.yaml")


def test_every_mistake_is_named_at_its_place(tmp_path: Path) -> None:
    text = _GOOD.replace("Europe/Zurich", "Europe/Zurch").replace(
        "company: {name: Acme, ", "company: {"
    )
    assert _problems(tmp_path, text + "freshnes: {}\n") == [
        ":1:10: “name” is missing here",
        ":1:46: “time_zone”: “Europe/Zurch” is not a time zone; write for example Europe/Zurich",
        ":14:1: unknown key “freshnes”; did you mean “freshness”?",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("email: hello", "“email”: “hello” is no e-mail address"),
        ("locale: klingon", "“locale”: “klingon” is no locale; write for example en_US or de_CH"),
        ("currency: Bucks", "“currency”: “Bucks” is no currency; write three letters, "),
        ("name: 7", "“name” must be text; put it in quotes"),
    ],
)
def test_mistakes_about_the_company(tmp_path: Path, line: str, expected: str) -> None:
    key = line.partition(":")[0]
    company = {"name": "Acme", "email": "cs@acme.example"}
    lines = [f"  {k}: {v}" for k, v in company.items() if k != key] + [f"  {line}"]
    text = _GOOD.splitlines(keepends=True)
    (problem,) = _problems(tmp_path, "\n".join(["company:", *lines, *[""]]) + "".join(text[1:]))
    assert problem.startswith(f":{1 + len(lines)}:")
    assert expected in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("policy: {most_actions_per_run: true}", "“most_actions_per_run” must be a whole number"),
        ("freshness: {tables: {acount: 2 days}}", "no table “acount”; did you mean “account”?"),
        ("teams: [ann]", "“teams” must be a mapping of keys to values"),
    ],
)
def test_mistakes_of_shape(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = _problems(tmp_path, _GOOD + text + "\n")
    assert problem.startswith(":14:")
    assert expected in problem


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "table: account",
            "table: acount",
            ":9:16: unknown table “acount”; did you mean “account”?",
        ),
        (
            "name: Name",
            "nmae: Name",
            (
                ":12:11: account has no field “nmae”; did you mean “name”? "
                "(a custom field needs a type)"
            ),
        ),
        (
            "name: Name",
            "created_at: {column: Made, tracked: true}",
            ":12:11: no history can be kept of account.created_at; take away “tracked”",
        ),
        (
            "name: Name",
            "name: {column: Name, type: date}",
            ":12:11: account.name is a text; that cannot be changed",
        ),
        (
            "name: Name",
            "name: {column: Name, value: x}",
            ":12:17: “name”: give exactly one of column, join and value",
        ),
        (
            "name: Name",
            "name: {colum: Name}",
            ":12:18: unknown key “colum”; did you mean “column”?",
        ),
        (
            "type: integer",
            "type: reference",
            ":13:18: “seats”: “type: reference” and “references: TABLE” go together",
        ),
        (
            "  crm:",
            "  'c:rm':",
            ":3:3: “c:rm” cannot name a connection: a name is not empty and has no “:”",
        ),
    ],
)
def test_mistakes_in_a_mapping(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in _problems(tmp_path, _GOOD.replace(old, new))


def test_a_custom_field_has_one_type_in_all_streams(tmp_path: Path) -> None:
    other = """\
      partners:
        file: partners.csv
        table: account
        key: id
        fields:
          seats: {column: Seats, type: text}
"""
    assert _problems(tmp_path, _GOOD + other) == [
        ":19:11: account.seats has another type in another stream"
    ]


def test_words_and_numbers_that_cannot_be_are_told_with_those_that_can(tmp_path: Path) -> None:
    policy = """\
policy:
  caps: [{per: team, at_most: 0, within: 7 days}]
  holdout: {percent: 101}
existing: all
"""
    assert _problems(tmp_path, _GOOD + policy) == [
        ":17:11: “existing” must be preview, enrol or ignore",
        ":15:16: “per” must be contact, account or owner",
        ":15:31: “at_most” must be greater than or equal to 1",
        ":16:22: “percent” must be less than or equal to 100",
    ]
