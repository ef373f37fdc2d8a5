"""Files that were written, or generated, to take the loader's time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from crmsync.config import yaml as reading
from crmsync.config.yaml import parse_yaml
from crmsync.errors import InvalidInputError
from rules.rules_world import THEN, rules_from
from support.hostile import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Mapping

_TESTS = Path(__file__).parents[1]
# What is promised, in seconds of processor time: those of the clock depend on who else works.
_MOST_SECONDS = 1.0


def _problems(
    folder: Path, rules: Mapping[str, str], segments: dict[str, str] | None = None
) -> tuple[str, ...]:
    with pytest.raises(InvalidInputError) as raised:
        rules_from(folder, rules, segments)
    return raised.value.problems


def test_no_file_of_100_kb_takes_longer_than_a_second() -> None:
    paths = os.pathsep.join([str(_TESTS), *sys.path])
    result = subprocess.run(
        [sys.executable, str(_TESTS / "rules" / "hostile_process.py"), "90"],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    took = dict(json.loads(line) for line in result.stdout.splitlines())
    unfinished = next((name for name in HOSTILE if name not in took), None)
    assert unfinished is None, f"{unfinished}: {result.stderr[-2000:]}"
    assert {name: seconds for name, seconds in took.items() if seconds > _MOST_SECONDS} == {}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_hostile_file_is_told_fits_on_a_screen(tmp_path: Path, name: str) -> None:
    try:
        rules_from(tmp_path, {"r": HOSTILE[name]})
    except InvalidInputError as error:
        told = error.problems
    else:
        told = ("nothing: it loads",)
    assert len(told) <= 101
    assert max(len(problem) for problem in told) < 600


def test_a_file_full_of_mistakes_does_not_hide_those_of_others(tmp_path: Path) -> None:
    rules = {
        "a": HOSTILE["unknown fields"],
        "b": "rule: b\nsubject: account\nwhen: [{teir: x}]\n" + THEN,
    }
    problems = _problems(tmp_path, rules)
    assert len(problems) == 102
    assert problems[100] == (
        "rules/a.yaml:103:5: what follows here was not looked at; mend the above first"
    )
    assert problems[101].startswith("rules/b.yaml:3:9: an account has no field or fact “teir”")


def test_segments_that_multiply_are_refused_before_they_are_written_out(tmp_path: Path) -> None:
    segments = {"s0": "segment: s0\nsubject: account\nwhen: [{tier: x}]\n"}
    for i in range(1, 20):
        uses = ", ".join([f"{{segment: s{i - 1}}}"] * 9)
        segments[f"s{i}"] = f"segment: s{i}\nsubject: account\nwhen: [{uses}]\n"
    rule = "rule: r\nsubject: account\nwhen: [{segment: s19}]\n" + THEN
    assert _problems(tmp_path, {"r": rule}, segments) == (
        (
            "segments/s3.yaml:3:84: with this there are more than 1,000 conditions, those of "
            "segments included; split it into several rules"
        ),
    )


def test_a_file_of_10_mb_is_told_without_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> str:
        raise AssertionError("the file was read")

    (tmp_path / "rules").mkdir()
    large = tmp_path / "rules" / "export.yaml"
    large.write_text("- id: 1\n" * 1_250_000, encoding="utf-8")
    monkeypatch.setattr(Path, "read_text", never)
    assert _problems(tmp_path, {}) == (
        (
            "rules/export.yaml:1:1: is 10.0 MB large, and a file of rules or settings is a few kB; "
            "does something else lie here, an export perhaps?"
        ),
    )


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "rules" / "folder.yaml").mkdir(parents=True)
    os.mkfifo(tmp_path / "rules" / "pipe.yaml")  # reading it would wait for ever
    assert _problems(tmp_path, {}) == (
        "rules/folder.yaml:1:1: is no file; give a file this name, or none",
        "rules/pipe.yaml:1:1: is no file; give a file this name, or none",
    )


def test_depth_is_bounded_before_the_stack_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for parser in (yaml.CSafeLoader, yaml.SafeLoader):  # with libyaml and without
        monkeypatch.setattr(reading, "_Parser", parser)
        for name in ("lists in lists", "mappings in mappings", "block lists in lists"):
            with pytest.raises(InvalidInputError, match="nests deeper than 100 levels"):
                parse_yaml(HOSTILE[name], "x.yaml")
