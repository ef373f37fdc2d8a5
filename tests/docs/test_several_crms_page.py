"""What docs/several-crms.md shows can be written."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from crmsync.config.mapping import StreamSettings
from crmsync.sync.checks import check_mapping
from crmsync.warehouse.twins import TWINNED
from support.commands import call

PAGE = (Path(__file__).parents[2] / "docs" / "several-crms.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
HEAD = "company: {name: Acme, email: hello@acme.example, time_zone: UTC}\n"


def test_its_two_connections_are_a_config(tmp_path: Path) -> None:
    for folder in ("rules", "segments", "templates"):
        (tmp_path / folder).mkdir()
    config = tmp_path / "config.yaml"
    config.write_text(HEAD + BLOCKS[0], encoding="utf-8")
    told = call("check", "--offline", "--config", config)
    assert told.exit_code == 0, told.stdout + told.stderr


def test_its_mapping_is_one_for_each_table_that_it_names() -> None:
    (_, block) = BLOCKS
    for table in ("account", "contact"):
        assert table in TWINNED
        stream = StreamSettings.model_validate(
            {"table": table, "key": "id", **yaml.safe_load(block)}
        )
        assert [*check_mapping(stream)] == []
        assert stream.remote_field("external_id") == "HubSpot Company ID"
