"""What the README says is so."""

from __future__ import annotations

import re
from itertools import dropwhile, takewhile
from pathlib import Path
from textwrap import indent

import pytest

from crmsync.config.load import load_config
from crmsync_files.formats import delimited, json_lines
from crmsync_files.options import SUFFIXES, FilesOptions, FilesStreamOptions
from crmsync_files.storing import _LOCK, _LOCK_WAIT
from crmsync_files.written_tables import COLUMNS
from support.commands import call, call_json
from support.company import CONFIG, make_company

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def _table(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, row by row."""
    lines = README.split(f"{heading}\n", 1)[1].splitlines()
    table = dropwhile(lambda line: not line.startswith("|"), lines)
    rows = list(takewhile(lambda line: line.startswith("|"), table))
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def test_the_smallest_connection_is_a_config(tmp_path: Path) -> None:
    snippet = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert snippet
    config = tmp_path / "config.yaml"
    company = "company: {name: We, email: we@example.com}\n"
    config.write_text(company + snippet[1], encoding="utf-8")
    connection = load_config(config).settings.connections["crm"]
    assert connection.connector == "files"
    FilesOptions.model_validate(connection.own_options)
    FilesStreamOptions.model_validate(connection.streams["accounts"].own_options)


def test_the_stream_of_tasks_is_sound_before_there_is_one(tmp_path: Path) -> None:
    snippet = re.search(r"```yaml\nstreams:\n(.*?)```", README, re.DOTALL)
    assert snippet
    config = make_company(tmp_path, config=CONFIG + indent(snippet[1], "    "))
    told = call("check", "--config", config)
    assert (told.exit_code, told.stderr) == (0, ""), told.stdout
    read = call_json("sync", "--config", config)
    assert [one["error"] for one in read["streams"] if one["stream"] == "tasks"] == [None]


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("### Keys of the connection", FilesOptions),
        ("### Keys of a stream", FilesStreamOptions),
    ],
)
def test_every_key_is_there(heading: str, model: type[FilesOptions | FilesStreamOptions]) -> None:
    named = [row[0].strip("`") for row in _table(heading)]
    assert named == list(model.model_fields)


def test_every_suffix_is_there() -> None:
    (row,) = [row for row in _table("### Keys of a stream") if row[0] == "`format`"]
    assert re.findall(r"`(\.\w+)`", row[2]) == list(SUFFIXES)


def test_the_columns_of_what_is_written() -> None:
    written = {
        row[0].strip("`"): tuple(re.findall(r"`(\w+)`", row[1])) for row in _table("## Writing")
    }
    assert written == COLUMNS


def test_the_limits() -> None:
    assert f"A CSV record has at most {delimited._BLOCK_BYTES >> 20} MiB" in README  # noqa: SLF001  its own limit
    assert f"a line of JSON {json_lines._MOST_BYTES >> 20} MiB" in README  # noqa: SLF001  its own limit
    assert f"`{_LOCK}`" in README
    assert f"within {_LOCK_WAIT:.0f} seconds" in README
