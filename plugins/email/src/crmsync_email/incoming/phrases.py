"""What mail systems and people say, read from ``phrases.yaml`` when it is first needed."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import cast

import yaml


@cache
def _told() -> dict[str, object]:
    text = files(__package__).joinpath("phrases.yaml").read_text(encoding="utf-8")
    told: dict[str, object] = yaml.safe_load(text)
    return told


def _any_of(words: object) -> str:
    return "|".join(str(words).strip().splitlines())


def any_of(group: str) -> str:
    """A group's phrases as one expression, to be part of a greater one."""
    return _any_of(_told()[group])


@cache
def said(group: str) -> re.Pattern[str]:
    """What finds any of a group's phrases; ``^`` stands for the beginning of a line."""
    return re.compile(any_of(group), re.IGNORECASE | re.MULTILINE)


@cache
def reasons() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Why mail is not taken, and what is said then, in the order in which it is to be asked."""
    told = cast("list[dict[str, str]]", _told()["reasons"])
    return tuple((one["because"], re.compile(_any_of(one["words"]), re.IGNORECASE)) for one in told)
