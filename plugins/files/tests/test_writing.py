"""What is written to the tables, and how it reads."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import RejectedError
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    Receipt,
    RecordRef,
    UpdateFields,
)
from crmsync_files.connector import FilesConnector

if TYPE_CHECKING:
    from pathlib import Path

Connect = Callable[..., FilesConnector]

ACCOUNT = RecordRef(table="account", id="A1")
HOSTILE = [
    "two\nlines\r\nand\rmore",
    "quotes \" and '",
    "東京 Łódź 🙂 \u2028 שלום",
    "nul \x00 here",
    '=HYPERLINK("http://example.com")',
    "+41 44 000 00 00",
    "-1",
    "@SUM(1)",
    "'=already",
    "''@twice",
    "'quoted'",
    "\ttab",
    "\rreturn",
    " space ",
    ",;|",
    "",
]


def task(key: str = "k1", **changes: Any) -> CreateTask:
    return CreateTask(**({"key": key, "subject": "Call Acme", "about": (ACCOUNT,)} | changes))


def note(key: str, text: str) -> AddNote:
    return AddNote(key=key, text=text, about=(ACCOUNT,))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def test_a_task_is_a_row(folder: Path, connect: Connect) -> None:
    about = (ACCOUNT, RecordRef(table="contact", id="C7"), RecordRef(table="deal", id="D 9"))
    action = task(body="Renews soon", due=date(2026, 3, 2), assignee="U1", about=about)
    assert connect().apply([action]) == [Receipt(key="k1", remote_id="k1")]
    assert table(folder / "tasks.csv") == [
        {
            "key": "k1",
            "subject": "Call Acme",
            "body": "Renews soon",
            "due": "2026-03-02",
            "assignee": "U1",
            "about_table": "account",
            "about_id": "A1",
            "also_about": "contact C7; deal D 9",
            "status": "open",
            "created_at": "2026-03-01T09:30:00+00:00",
        }
    ]


def test_a_task_about_nothing(folder: Path, connect: Connect) -> None:
    connect().apply([task(about=())])
    (row,) = table(folder / "tasks.csv")
    assert (row["about_table"], row["about_id"], row["due"], row["assignee"]) == ("", "", "", "")


def test_an_update_is_a_row_for_each_field(folder: Path, connect: Connect) -> None:
    update = UpdateFields(
        key="u1",
        record=ACCOUNT,
        stream="accounts",
        changes={"Status": "at risk", "Score": 0.5, "Open": False, "Owner": None},
        expected={"Status": "active", "Open": True},
    )
    (receipt,) = connect().apply([update])
    assert receipt == Receipt(key="u1", remote_id="u1")
    rows = table(folder / "updates.csv")
    assert [(row["field"], row["expected"], row["new"]) for row in rows] == [
        ("Status", "active", "at risk"),
        ("Score", "", "0.5"),
        ("Open", "true", "false"),
        ("Owner", "", ""),
    ]
    assert {(r["key"], r["stream"], r["table"], r["id"], r["at"]) for r in rows} == {
        ("u1", "accounts", "account", "A1", "2026-03-01T09:30:00+00:00")
    }


@pytest.mark.parametrize(
    ("file", "written", "words"),
    [
        ("accounts.csv", "id,Open\nA1,No\nA2,Yes\n", "Yes/No"),
        ("accounts.csv", "id,Open\nA1,\nA2,oui\nA3,n\n", "y/n"),
        ("accounts.csv", "id,Open\nA1,FALSE\n", "TRUE/FALSE"),
        ("accounts.csv", "id,Open\nA1,0\n", "1/0"),
        ("accounts.csv", "id,Open\nA1,\n", "true/false"),
        ("accounts.csv", "id,Closed\nA1,No\n", "true/false"),
        ("accounts.csv", "", "true/false"),
        ("accounts.jsonl", '{"id": "A1", "Open": false}\n', "true/false"),
        ("accounts.jsonl", '{"id": "A1", "Open": "no"}\n', "yes/no"),
    ],
)
def test_a_truth_is_written_in_the_words_of_the_export(
    folder: Path, connect: Connect, file: str, written: str, words: str
) -> None:
    (folder / file).write_text(written, encoding="utf-8")
    update = UpdateFields(
        key="u1",
        record=ACCOUNT,
        stream="accounts",
        changes={"Open": True},
        expected={"Open": False},
    )
    assert connect(file=file).apply([update]) == [Receipt(key="u1", remote_id="u1")]
    (row,) = table(folder / "updates.csv")
    assert f"{row['new']}/{row['expected']}" == words


def test_a_key_is_applied_once_ever(folder: Path, connect: Connect) -> None:
    connect().apply([task(), note("n1", "a")])
    before = {path: path.read_bytes() for path in folder.glob("*.csv")}
    identity = (folder / "tasks.csv").stat()
    again = connect().apply([task(subject="Another"), note("n1", "b")])
    assert again == [
        Receipt(key="k1", remote_id="k1", already=True),
        Receipt(key="n1", remote_id="n1", already=True),
    ]
    assert {path: path.read_bytes() for path in folder.glob("*.csv")} == before
    assert (folder / "tasks.csv").stat().st_mtime_ns == identity.st_mtime_ns


def test_answers_stand_in_the_order_of_the_actions(folder: Path, connect: Connect) -> None:
    broken = note("n2", "half \ud800")
    answers = connect().apply([note("n1", "a"), task("t1"), broken, task("t2"), task("t1")])
    assert [getattr(answer, "key", None) for answer in answers] == ["n1", "t1", None, "t2", "t1"]
    assert isinstance(answers[2], RejectedError)
    assert "n2" in str(answers[2])
    assert answers[4] == Receipt(key="t1", remote_id="t1", already=True)
    assert [row["key"] for row in table(folder / "tasks.csv")] == ["t1", "t2"]
    assert [row["key"] for row in table(folder / "notes.csv")] == ["n1"]


def test_a_batch_is_one_rewrite(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[str] = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        replaced.append(target.name)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    connect().apply([task(f"t{number}") for number in range(50)])
    assert replaced == ["tasks.csv"]
    assert len(table(folder / "tasks.csv")) == 50


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_back_through_the_connector(connect: Connect, text: str) -> None:
    connect().apply([task(subject=text, body=text), note("n1", text)])
    connector = connect(file="tasks.csv", columns=("subject", "body"), key=("key",))
    (page,) = connector.read("accounts", None)
    assert page.records.select(["key", "subject", "body"]).to_pylist() == [
        {"key": "k1", "subject": text, "body": text}
    ]
    (page,) = connect(file="notes.csv", columns=("text",), key=("key",)).read("accounts", None)
    assert page.records["text"].to_pylist() == [text]


@pytest.mark.parametrize("text", [text for text in HOSTILE if text[:1] in set("=+-@\t\r")])
def test_no_cell_for_people_begins_a_formula(folder: Path, connect: Connect, text: str) -> None:
    connect().apply([task(subject=text, body=text), note("n1", text)])
    (row,) = table(folder / "tasks.csv")
    assert (row["subject"], row["body"]) == (f"'{text}", f"'{text}")
    assert table(folder / "notes.csv")[0]["text"] == f"'{text}"


def test_values_of_updates_stay_as_they_are(folder: Path, connect: Connect) -> None:
    update = UpdateFields(
        key="u1", record=ACCOUNT, stream="accounts", changes={"Phone": "+41 44 000 00 00"}
    )
    connect().apply([update])
    assert table(folder / "updates.csv")[0]["new"] == "+41 44 000 00 00"


def test_a_text_longer_than_the_csv_module_s_limit(folder: Path, connect: Connect) -> None:
    connect().apply([task(body="x" * 300_000)])
    assert connect().apply([task("k2")]) == [Receipt(key="k2", remote_id="k2")]
    assert connect().apply([task("k1")]) == [Receipt(key="k1", remote_id="k1", already=True)]
    assert len(table(folder / "tasks.csv")[0]["body"]) == 300_000


def test_a_person_may_add_columns_and_change_rows(folder: Path, connect: Connect) -> None:
    connect().apply([task("k1")])
    rows = table(folder / "tasks.csv")
    names = ["done by", *reversed(rows[0])]
    with (folder / "tasks.csv").open("w", encoding="utf-8-sig", newline="") as target:
        writer = csv.DictWriter(target, names, lineterminator="\n")
        writer.writeheader()
        writer.writerow(rows[0] | {"status": "done", "done by": "Łucja"})
    (folder / "tasks.csv").write_bytes((folder / "tasks.csv").read_bytes().rstrip(b"\n"))
    before = (folder / "tasks.csv").read_bytes()
    connect().apply([task("k1"), task("k2")])
    after = (folder / "tasks.csv").read_bytes()
    assert after.startswith(before)
    with (folder / "tasks.csv").open(encoding="utf-8-sig", newline="") as source:
        first, second = csv.DictReader(source)
    assert (first["status"], first["done by"]) == ("done", "Łucja")
    assert (second["key"], second["status"], second["done by"]) == ("k2", "open", "")


def test_the_rights_of_a_file_stay(folder: Path, connect: Connect) -> None:
    connect().apply([task("k1")])
    (folder / "tasks.csv").chmod(0o640)
    connect().apply([task("k2")])
    assert (folder / "tasks.csv").stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(folder: Path, connect: Connect, tmp_path: Path) -> None:
    (folder / "tasks.csv").symlink_to(tmp_path / "elsewhere.csv")
    connect().apply([task("k1")])
    assert (folder / "tasks.csv").is_symlink()
    assert table(tmp_path / "elsewhere.csv")[0]["key"] == "k1"


def test_find_knows_what_was_written(connect: Connect) -> None:
    assert connect().find(["k1"]) == {}
    connect().apply([task("k1"), note("n1", "a")])
    assert connect().find(["k1", "n1", "other"]) == {
        "k1": Receipt(key="k1", remote_id="k1", already=True),
        "n1": Receipt(key="n1", remote_id="n1", already=True),
    }
