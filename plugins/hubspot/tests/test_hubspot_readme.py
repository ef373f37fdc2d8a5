"""What the README says of options and columns is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from crmsync.config.settings import ConnectionSettings
from crmsync.sync.checks import check_mapping
from crmsync_hubspot.objects import STANDARD, WITHOUT_CHANGES
from crmsync_hubspot.options import HubSpotOptions, HubSpotStreamOptions
from crmsync_hubspot.simulator.sample import MAPPING

_TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def _rows() -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in _TEXT.splitlines()
        if line.startswith("| `")
    ]


def _connections(text: str) -> list[Any]:
    return list(yaml.safe_load(text)["connections"].values())


def test_every_option_is_explained() -> None:
    named = {name for row in _rows() for name in re.findall(r"`(\w+)`", row[0])}
    assert named == {*HubSpotOptions.model_fields, *HubSpotStreamOptions.model_fields}


def test_defaults_are_as_they_are_told() -> None:
    fields = HubSpotOptions.model_fields | HubSpotStreamOptions.model_fields
    for name, _, default in _rows():
        if default:
            told = fields[name.strip("`")].default
            assert str(told) == default.strip("`"), name


def test_every_object_is_named() -> None:
    (row,) = [row for row in _rows() if row[0] == "`object`"]
    assert {*STANDARD, *WITHOUT_CHANGES} <= set(re.findall(r"`(\w+)`", row[1]))


def test_every_example_is_a_config() -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", _TEXT, flags=re.DOTALL | re.MULTILINE)
    assert len(examples) == 2
    for text in examples:
        for connection in _connections(text):
            settings = ConnectionSettings.model_validate(connection)
            HubSpotOptions.model_validate(settings.own_options)
            for stream in settings.streams.values():
                HubSpotStreamOptions.model_validate(stream.own_options)
                assert list(check_mapping(stream)) == []


def test_the_mapping_of_the_sample_is_sound() -> None:
    indented = "".join(f"  {line}\n" for line in MAPPING.splitlines())
    told = yaml.safe_load("connections:\n  hubspot:\n    connector: x\n" + indented)
    for connection in told["connections"].values():
        settings = ConnectionSettings.model_validate(connection)
        for stream in settings.streams.values():
            HubSpotStreamOptions.model_validate(stream.own_options)
            assert list(check_mapping(stream)) == []
