from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from sync.sync_world import map_rows


def _read(field: str, mapping: dict[str, Any], *texts: object, zone: str = "UTC") -> list[object]:
    """Each text's value, or the sentence where it cannot be read."""
    rows = [{"Id": str(number), "X": text} for number, text in enumerate(texts)]
    mapped = map_rows({"fields": {field: {"column": "X"} | mapping}}, rows, zone=zone)
    return [row["_problem"] or row[field] for row in mapped]


def _bad(row: int, text: str, what: str) -> str:
    return f"accounts.csv, row {row}: “{text}” in X is not {what}"


def test_numbers() -> None:
    texts = ["1234.5", "1,234,567.891", " -1'000 ", "1 000", "1.2e3", "", None]
    assert _read("recurring_revenue", {}, *texts) == [
        Decimal("1234.5"), Decimal("1234567.891"), -1000, 1000, 1200, None, None,
    ]  # fmt: skip
    bad = ["1,5", "1_000", "$5", "12,34,567", "NaN", "99999999999999999"]
    assert _read("recurring_revenue", {}, *bad) == [
        _bad(number, text, "a number") for number, text in enumerate(bad, start=1)
    ]


def test_numbers_with_a_decimal_comma() -> None:
    read = _read("recurring_revenue", {"decimal": ","}, "1.234,5", "1234,5", "1.234", "1.5")
    assert read == [Decimal("1234.5"), Decimal("1234.5"), 1234, _bad(4, "1.5", "a number")]


def test_booleans() -> None:
    assert _read("do_not_contact", {}, "TRUE", "y", "1", "No", "f", "0", "") == [
        True, True, True, False, False, False, None,
    ]  # fmt: skip
    (sentence,) = _read("do_not_contact", {}, "maybe")
    assert sentence == (
        "accounts.csv, row 1: “maybe” in X is neither yes nor no; "
        "translate it under “values” in the mapping"
    )


def test_dates_are_never_shifted() -> None:
    texts = ["2026-01-31", "2026-01-31T23:59:59-11:00", "2026-01-31 00:00:00+14:00"]
    read = _read("renewal_date", {}, *texts, zone="Pacific/Auckland")
    assert read == [date(2026, 1, 31)] * 3
    bad = ["31.02.2026", "2026-02-31", "2026/01/31", "0000-01-01", "infinity", "2026-01-31T99:00"]
    hint = "a date; declare its format in the mapping"
    assert _read("renewal_date", {}, *bad) == [
        _bad(number, text, hint) for number, text in enumerate(bad, start=1)
    ]


def test_declared_formats_are_tried_in_order() -> None:
    formats = {"format": ["%d.%m.%Y", "%m/%d/%Y"]}
    assert _read("renewal_date", formats, "03.04.2026", "03/04/2026") == [
        date(2026, 4, 3),
        date(2026, 3, 4),
    ]
    assert _read("renewal_date", formats, "2026-04-03") == [
        _bad(1, "2026-04-03", "a date in the declared format “%d.%m.%Y” or “%m/%d/%Y”")
    ]


def test_instants_with_and_without_an_offset() -> None:
    texts = ["2026-01-01T10:00:00Z", "2026-07-01t10:00:00.25z", "2026-01-01 10:00:00+0200"]
    texts += ["2026-01-01T10:00", "2026-07-01T10:00:00", "2026-07-01"]
    assert _read("updated_at", {}, *texts, zone="Europe/Zurich") == [
        datetime(2026, 1, 1, 10, tzinfo=UTC),
        datetime(2026, 7, 1, 10, 0, 0, 250_000, tzinfo=UTC),
        datetime(2026, 1, 1, 8, tzinfo=UTC),
        datetime(2026, 1, 1, 9, tzinfo=UTC),
        datetime(2026, 7, 1, 8, tzinfo=UTC),
        datetime(2026, 6, 30, 22, tzinfo=UTC),
    ]


def test_instants_where_the_clocks_change() -> None:
    read = _read(
        "updated_at", {"time_zone": "Europe/Zurich"}, "2026-03-29T02:30", "2026-10-25T02:30"
    )
    assert read == [
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),  # skipped: 03:30 in summer time
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),  # twice: the later, in standard time
    ]


def test_instants_in_declared_formats() -> None:
    zurich = {"time_zone": "Europe/Zurich"}
    nine = datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert _read("updated_at", zurich | {"format": "%d.%m.%Y %H:%M"}, "31.01.2026 10:00") == [nine]
    assert _read(
        "updated_at", zurich | {"format": "%d.%m.%Y %H:%M %z"}, "31.01.2026 08:00 -0100"
    ) == [nine]
    millis = str(int(nine.timestamp() * 1000) + 7)
    assert _read("updated_at", {"format": "epoch_ms"}, millis) == [nine.replace(microsecond=7000)]
    assert _read("updated_at", {"format": "epoch_s"}, str(int(nine.timestamp()))) == [nine]


def test_a_time_out_of_reach_goes_to_quarantine() -> None:
    for text in ("infinity", "epoch", "now", "2026-13-01T00:00:00Z"):
        assert "is not a time" in str(_read("updated_at", {}, text)[0])


def test_text_is_trimmed_and_empty_is_nothing() -> None:
    assert _read("name", {}, "  a b\t", "\u00a0x\ufeff", "   ", "日本 ") == [
        "a b",
        "x",
        None,
        "日本",
    ]


def test_values_are_translated() -> None:
    values = {"values": {"A": "gold", "": "none", "*": "other"}}
    assert _read("tier", values, "A", "B", "", " A ") == ["gold", "other", "none", "gold"]
    assert _read("tier", {"values": {"A": None}}, "A", "B") == [None, "B"]
    assert _read("do_not_contact", {"values": {"opted out": True}}, "opted out", "no") == [
        True,
        False,
    ]
    assert _read("tier", {"values": {"*": "some"}}, "x", "") == ["some", None]


def test_a_word_that_nobody_knows_is_no_contact_that_never_was() -> None:
    """An untranslated kind would make every customer look as if nobody had called."""
    rows = [{"Id": str(n), "X": text} for n, text in enumerate(["Call", "E-Mail", "", "MEETING"])]
    settings = {"table": "activity", "fields": {"kind": {"column": "X"}}}
    mapped = map_rows(settings, rows)
    assert [row["kind"] for row in mapped] == ["call", None, None, "meeting"]
    assert [row["_problem"] for row in mapped] == [
        None,
        (
            "accounts.csv, row 2: “E-Mail” in X is none of: call, email, meeting, note, task, "
            "chat; translate it under “values” in the mapping"
        ),
        None,
        None,
    ]


def test_several_columns() -> None:
    row = {"Id": "1", "A": " ", "B": "b", "C": "c", "N": 5.0}
    fields = {
        "name": {"join": ["A", "B", "C"], "separator": "/"},
        "tier": {"column": ["A", "C", "B"]},
        "status": {"value": "active"},
        "industry": {"join": ["A"]},
        "owner": "N",
    }
    (mapped,) = map_rows({"fields": fields}, [row])
    assert (mapped["name"], mapped["tier"], mapped["status"]) == ("b/c", "c", "active")
    assert (mapped["industry"], mapped["owner"]) == (None, "crm:5")


def test_keys_of_several_columns() -> None:
    rows = [{"A": "1", "B": "x"}, {"A": "1", "B": ""}]
    first, second = map_rows({"key": ["A", "B"], "fields": {}}, rows)
    assert (first["id"], second["id"]) == ("crm:1-x", None)
    assert second["_problem"] == (
        "accounts.csv, row 2: there is nothing in “A” or “B”, which is the key of the record"
    )


def test_deletions_and_merges_in_columns() -> None:
    settings = {"fields": {}, "deleted": {"column": "Gone"}, "merged_into": "Into"}
    rows = [
        {"Id": "1", "Gone": "false", "Into": ""},
        {"Id": "2", "Gone": "true", "Into": None},
        {"Id": "3", "Gone": "", "Into": " 1 "},
    ]
    mapped = map_rows(settings, rows)
    assert [row["_deleted"] for row in mapped] == [False, True, True]
    assert [row["_merged_into"] for row in mapped] == [None, None, "crm:1"]


def test_columns_of_the_remotes_own_types() -> None:
    moment = datetime(2026, 7, 1, 22, 30)  # noqa: DTZ001  a naive column
    records = pa.table(
        {
            "Id": pa.array([7.0]),
            "Rev": pa.array([1.5]),
            "Day": pa.array([moment], pa.timestamp("ns")),
            "At": pa.array([moment], pa.timestamp("ms")),
            "Flag": pa.array([True]),
            "Tier": pa.array(["gold"]).dictionary_encode(),
            "Void": pa.nulls(1),
        }
    )
    fields = {
        "recurring_revenue": "Rev", "renewal_date": "Day", "updated_at": "At",
        "do_not_contact": "Flag", "tier": "Tier", "name": "Void",
    }  # fmt: skip
    (row,) = map_rows({"fields": fields}, records, zone="Europe/Zurich")
    assert (row["id"], row["recurring_revenue"]) == ("crm:7", Decimal("1.5"))
    assert row["renewal_date"] == date(2026, 7, 1)
    assert row["updated_at"] == datetime(2026, 7, 1, 20, 30, tzinfo=UTC)
    assert (row["do_not_contact"], row["tier"], row["name"]) == (True, "gold", None)


@pytest.mark.parametrize("text", ["'); DROP TABLE page; --", "{{ 7 * 7 }}", '"x"', "a\0b", "%s"])
def test_hostile_text_stays_text(text: str) -> None:
    assert _read("name", {}, text) == [text]
    sentence = str(_read("renewal_date", {}, text)[0])
    assert f"“{text}” in X is not a date" in sentence


def test_a_long_value_is_shortened_in_its_sentence() -> None:
    sentence = str(_read("renewal_date", {}, "line\nbreak " * 50)[0])
    assert "\n" not in sentence
    assert len(sentence) < 160


def test_a_mail_of_ours_that_comes_back_is_automated_whatever_the_remote_says() -> None:
    digest = "0123456789abcdef" * 2 + "01234567"
    fields = {"message_id": "Message", "kind": "Kind", "automated": "Machine"}
    rows = [
        {"Id": "1", "Kind": "email", "Message": f"<crmsync.{digest}@us.example>", "Machine": "no"},
        {"Id": "2", "Kind": "email", "Message": f"CRMSYNC.{digest}@Us.Example", "Machine": None},
        {"Id": "3", "Kind": "email", "Message": f"<{digest}@us.example>", "Machine": "no"},
        {"Id": "4", "Kind": "email", "Message": f"re-crmsync.{digest}@us.example", "Machine": None},
        {"Id": "5", "Kind": "email", "Message": None, "Machine": "yes"},
        {"Id": "6", "Kind": "email", "Message": f"log-at-risk-{digest}", "Machine": None},
        {"Id": "7", "Kind": "task", "Message": f"at-risk-{digest}", "Machine": None},
    ]
    mapped = map_rows({"table": "activity", "fields": fields}, rows)
    assert [row["automated"] for row in mapped] == [True, True, False, None, True, True, None]
    assert mapped[0]["message_id"] == f"crmsync.{digest}@us.example"
    del fields["automated"]
    mapped = map_rows({"table": "activity", "fields": fields}, rows)
    assert [row["automated"] for row in mapped] == [True, True, None, None, None, True, None]


def test_addresses_arrive_in_one_spelling() -> None:
    rows = [
        {"Id": "1", "Mail": "ann@xn--bcher-kva.example"},
        {"Id": "2", "Mail": "Ann Lee <ann@acme.example>"},
        {"Id": "3", "Mail": "Ben@Acme.example"},
        {"Id": "4", "Mail": None},
        {"Id": "5", "Mail": "a@acme.example; b@acme.example"},
    ]
    mapped = map_rows({"table": "contact", "fields": {"email": "Mail"}}, rows)
    assert [row["email"] for row in mapped] == [
        "ann@bücher.example",
        "ann@acme.example",
        "Ben@Acme.example",
        None,
        "a@acme.example; b@acme.example",
    ]
    rows = [{"Id": "1", "Mail": "Ann Lee <ann@acme.example>"}]
    mapped = map_rows({"table": "contact", "fields": {"last_name": "Mail"}}, rows)
    assert mapped[0]["last_name"] == "Ann Lee <ann@acme.example>"
