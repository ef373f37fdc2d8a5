"""Whatever the csv module writes is read as it was, in any encoding, and from any page on."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmsync.clock import FixedClock
from crmsync.plugins.contract import ConnectionContext, StreamRequest
from crmsync.testing.samples import START
from crmsync_files import reading
from crmsync_files.connector import FilesConnector
from crmsync_files.formats import delimited
from crmsync_files.options import FilesOptions, FilesStreamOptions
from crmsync_files.written_tables import neutral

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.one_of(texts, st.text("\",;\n\r\t 'a", max_size=8))


def connector(folder: Path, encoding: str, delimiter: str) -> FilesConnector:
    request = StreamRequest(
        name="s",
        options=FilesStreamOptions(file="a.csv", encoding=encoding, delimiter=delimiter),
        columns=("id", "text"),
        key=("id",),
    )
    return FilesConnector(
        ConnectionContext(
            name="crm",
            options=FilesOptions(path="."),
            streams={"s": request},
            folder=folder,
            clock=FixedClock(instant=START),
        )
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(values, max_size=30),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    final_newline=st.booleans(),
)
def test_what_the_csv_module_writes_is_read(
    rows: list[str], encoding: str, delimiter: str, *, final_newline: bool
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(["text", "unread", "id"])
    writer.writerows([value, "x", str(number)] for number, value in enumerate(rows))
    content = text.getvalue() if final_newline else text.getvalue().removesuffix("\r\n")
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK_BYTES", 512)
        patch.setattr(reading, "_PAGE_ROWS", 7)
        (Path(name) / "a.csv").write_bytes(content.encode(encoding))
        files = connector(Path(name), encoding, delimiter)
        pages = list(files.read("s", None))
        found = [pair for page in pages for pair in _pairs(page.records)]
        assert found == [(str(number), value) for number, value in enumerate(rows)]
        middle = len(pages) // 2
        rest = list(files.read("s", pages[middle].cursor))
        assert [_pairs(page.records) for page in rest] == [
            _pairs(page.records) for page in pages[middle + 1 :]
        ]


def _pairs(records: object) -> list[tuple[str, str]]:
    return [(row["id"], row["text"]) for row in records.to_pylist()]  # type: ignore[attr-defined]  # pyarrow has no types


@given(value=values)
def test_no_text_for_people_begins_a_formula(value: str) -> None:
    assert neutral(value)[:1] not in set("=+-@\t\r")
    assert neutral(value) in {value, f"'{value}"}
    if value.startswith("'"):
        assert neutral(value) == value or neutral(value.lstrip("'")) != value.lstrip("'")
