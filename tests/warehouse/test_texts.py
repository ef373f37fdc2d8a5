"""Compiled queries on disk: found again, never trusted blindly, never in the way."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from crmsync.warehouse.texts import QueryTexts

if TYPE_CHECKING:
    from pathlib import Path


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_one_process_compiled_another_finds(tmp_path: Path) -> None:
    folder = tmp_path / "queries"
    QueryTexts(folder, "1").keep("a key", "SELECT\n1 AS “one”,\r\n'\r'\n")
    assert QueryTexts(folder, "1").get("a key") == "SELECT\n1 AS “one”,\r\n'\r'\n"
    assert QueryTexts(folder, "1").get("another key") is None
    assert QueryTexts(folder, "2").get("a key") is None
    assert QueryTexts().get("a key") is None


def test_without_a_folder_texts_are_known_for_as_long_as_the_process_is() -> None:
    texts = QueryTexts()
    texts.keep("a key", "SELECT 1")
    assert texts.get("a key") == "SELECT 1"


@pytest.mark.parametrize("damaged", ["", "SELECT 1", "0\nSELECT 1", "\udcff"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damaged: str) -> None:
    texts = QueryTexts(tmp_path, "1")
    texts.keep("a key", "SELECT 1")
    (file,) = files(tmp_path)
    file.write_bytes(damaged.encode("utf-8", "surrogateescape"))
    again = QueryTexts(tmp_path, "1")
    assert again.get("a key") is None
    again.keep("a key", "SELECT 2")
    assert QueryTexts(tmp_path, "1").get("a key") == "SELECT 2"


def test_half_of_a_text_is_as_good_as_none(tmp_path: Path) -> None:
    QueryTexts(tmp_path, "1").keep("a key", "SELECT 1 FROM a WHERE b")
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-8])
    assert QueryTexts(tmp_path, "1").get("a key") is None


def test_what_nobody_asks_for_any_more_goes(tmp_path: Path) -> None:
    QueryTexts(tmp_path, "1").keep("a key", "SELECT 1")
    other = QueryTexts(tmp_path, "2")
    other.keep("a key", "SELECT 1")
    other.keep("another key", "SELECT 2")
    assert len(files(tmp_path)) == 2
    assert len(list(tmp_path.iterdir())) == 1
    long_ago = time.time() - 31 * 86400
    os.utime(files(tmp_path)[0], (long_ago, long_ago))
    QueryTexts(tmp_path, "2").keep("a third key", "SELECT 3")
    assert len(files(tmp_path)) == 2


def test_who_cannot_write_there_goes_on(tmp_path: Path) -> None:
    blocked = tmp_path / "queries"
    blocked.write_text("no folder", "utf-8")
    texts = QueryTexts(blocked, "1")
    assert texts.get("a key") is None
    texts.keep("a key", "SELECT 1")
    assert texts.get("a key") == "SELECT 1"
