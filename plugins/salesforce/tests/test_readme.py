"""What the README says of options and columns is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from crmsync.config.settings import ConnectionSettings
from crmsync.sync.checks import check_mapping
from crmsync_salesforce.options import SalesforceOptions, SalesforceStreamOptions
from crmsync_salesforce.simulator.sample import MAPPING

_TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def _named_in_tables() -> set[str]:
    rows = [line.split("|")[1] for line in _TEXT.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def _connections(text: str) -> list[Any]:
    return list(yaml.safe_load(text)["connections"].values())


def test_every_option_is_explained() -> None:
    known = {*SalesforceOptions.model_fields, *SalesforceStreamOptions.model_fields}
    assert _named_in_tables() == known


def test_every_example_is_a_config() -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", _TEXT, flags=re.DOTALL | re.MULTILINE)
    assert len(examples) == 1
    for text in examples:
        for connection in _connections(text):
            settings = ConnectionSettings.model_validate(connection)
            SalesforceOptions.model_validate(settings.own_options)
            for stream in settings.streams.values():
                SalesforceStreamOptions.model_validate(stream.own_options)
                assert list(check_mapping(stream)) == []


def test_the_mapping_of_the_sample_is_sound() -> None:
    streams = yaml.safe_load("connections:\n  salesforce:\n    connector: x\n" + _indented())
    for connection in streams["connections"].values():
        settings = ConnectionSettings.model_validate(connection)
        assert [list(check_mapping(stream)) for stream in settings.streams.values()] == [[]] * 7


def _indented() -> str:
    return "".join(f"  {line}\n" for line in MAPPING.splitlines())
