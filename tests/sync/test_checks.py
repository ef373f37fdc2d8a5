from __future__ import annotations

from typing import Any

import pytest

from crmsync.config.mapping import StreamSettings
from crmsync.plugins.contract import RemoteField
from crmsync.sync.checks import check_mapping


def _mistakes(settings: dict[str, Any], *columns: str) -> dict[tuple[str | int, ...], str]:
    stream = StreamSettings.model_validate({"table": "account", "key": "Id"} | settings)
    described = [RemoteField(name=name) for name in columns] if columns else None
    return dict(check_mapping(stream, described))


def test_a_sound_mapping_has_no_mistakes() -> None:
    fields = {
        "name": "Name",
        "score": {"column": "Score", "type": "number"},
        "renewal_date": {"column": "Renews", "format": "%d.%m.%Y"},
        "do_not_contact": {"column": "Mute", "values": {"on": True, "*": False}},
    }
    assert _mistakes({"fields": fields}, "Id", "Name", "Score", "Renews", "Mute") == {}


def test_unknown_tables_fields_and_columns_are_told_with_the_nearest() -> None:
    assert _mistakes({"table": "acount", "fields": {}}) == {
        ("table",): "there is no table “acount”; did you mean “account”?"
    }
    fields = {"renewl_date": "Renews", "name": {"column": ["Name", "Nam"]}}
    mistakes = _mistakes({"key": "ID", "fields": fields}, "Id", "Name", "Renews")
    assert mistakes["fields", "renewl_date"] == (
        "account has no field “renewl_date”; did you mean “renewal_date”? "
        "To add a field of your own, give it a “type”"
    )
    assert mistakes["fields", "name", "column", 1].endswith("did you mean “Name”?")
    assert mistakes["key", 0] == "there is no column “ID”; did you mean “Id”?"


@pytest.mark.parametrize(
    ("field", "mapping", "path", "words"),
    [
        ("id", "Id", (), "it is made of the “key”"),
        ("tier", {"column": "T", "type": "number"}, ("type",), "is of type text"),
        ("Name", {"column": "N", "type": "text"}, (), "differs from “name” in case only"),
        ("stream", {"column": "S", "type": "text"}, (), "crmsync keeps for itself"),
        ("_x", {"column": "S", "type": "text"}, (), "crmsync keeps for itself"),
        ("do_not_contact", {"value": "maybe"}, ("value",), "neither yes nor no"),
        ("updated_at", {"column": "U", "time_zone": "Mars"}, ("time_zone",), "not a time zone"),
        ("updated_at", {"column": "U", "format": "%d.%Q"}, ("format", 0), "is not a format"),
        ("renewal_date", {"column": "U", "format": "%F %z"}, ("format", 0), "a date has none"),
        ("renewal_date", {"column": "U", "format": "epoch_ms"}, ("format", 0), "for instants"),
        ("name", {"column": "U", "format": "%d"}, ("format", 0), "for dates and instants"),
    ],
)
def test_what_cannot_work_is_told_at_its_place(
    field: str, mapping: object, path: tuple[str | int, ...], words: str
) -> None:
    mistakes = _mistakes({"fields": {field: mapping}})
    assert words in mistakes["fields", field, *path]


def test_what_a_table_needs() -> None:
    mistakes = _mistakes({"table": "activity", "fields": {"subject": "S", "kind": "K"}})
    assert mistakes == {("fields",): "“at” is not mapped, and activity means nothing without it"}
