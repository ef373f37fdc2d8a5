"""What docs/several-crms.md shows can be written."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from crmsync.config.mapping import StreamSettings
from crmsync.sync.checks import check_mapping
from crmsync.warehouse.twins import TWINNED

PAGE = (Path(__file__).parents[2] / "docs" / "several-crms.md").read_text(encoding="utf-8")


def test_its_mapping_is_one_for_each_table_that_it_names() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    for table in ("account", "contact"):
        assert table in TWINNED
        stream = StreamSettings.model_validate(
            {"table": table, "key": "id", **yaml.safe_load(block)}
        )
        assert [*check_mapping(stream)] == []
        assert stream.remote_field("external_id") == "HubSpot Company ID"
