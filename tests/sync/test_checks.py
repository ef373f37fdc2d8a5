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


def test_unknown_columns_are_told_with_the_nearest() -> None:
    fields = {"name": {"column": ["Name", "Nam"]}}
    mistakes = _mistakes({"key": "ID", "fields": fields}, "Id", "Name", "Renews")
    assert set(mistakes) == {("key", 0), ("fields", "name", "column", 1)}
    assert mistakes["fields", "name", "column", 1].endswith("did you mean “Name”?")
    assert mistakes["key", 0] == "there is no column “ID”; did you mean “Id”?"


@pytest.mark.parametrize(
    ("field", "mapping", "path", "words"),
    [
        ("id", "Id", (), "it is made of the “key”"),
        ("health", {"value": "soon", "type": "integer"}, ("value",), "not a whole number"),
        (
            "plan",
            {"column": "P", "type": "reference", "references": "acount"},
            ("references",),
            "did you mean “account”?",
        ),
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
