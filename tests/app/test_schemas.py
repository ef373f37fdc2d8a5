"""The command `schema`: an installation's own names, for editors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from crmsync.config.yaml import load_yaml, parse_yaml
from support.commands import call, call_json
from support.company import CONFIG, RULE, make_company

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "editor.md").read_text(encoding="utf-8")
_SETTINGS = re.compile(r"^<!-- runs: settings -->\n```json\n(.*?)```$", re.DOTALL | re.MULTILINE)
_OWN_FIELDS = CONFIG.replace(
    "tier: tier",
    "tier: {column: tier, values: {gold: premium}}, health: {column: health, type: integer}",
)


def _mistakes(schema: dict[str, Any], data: object) -> list[str]:
    Draft7Validator.check_schema(schema)
    return [
        f"{error.json_path}: {error.message[:200]}"
        for error in Draft7Validator(schema).iter_errors(data)
    ]


def test_a_field_of_ones_own_is_known_with_its_type(tmp_path: Path) -> None:
    config = make_company(tmp_path, config=_OWN_FIELDS)
    schema = call_json("schema", "rule", "--config", config)
    rule = parse_yaml(RULE, "x.yaml").data
    for condition, fits in (
        ({"health": {"under": 3}}, True),
        ({"health": {"contains": "x"}}, False),
        ({"health": "good"}, False),
        ({"helth": 3}, False),
    ):
        assert (_mistakes(schema, {**rule, "when": [condition]}) == []) is fits, condition


def test_names_of_other_files_are_offered_and_not_insisted_on(tmp_path: Path) -> None:
    config = make_company(tmp_path, config=_OWN_FIELDS + "teams: {care: [jo@vendor.example]}\n")
    (tmp_path / "segments" / "big.yaml").write_text(
        "segment: big\nsubject: account\nwhen: [{tier: gold}]\n", encoding="utf-8"
    )
    (tmp_path / "segments" / "broken.yaml").write_text("segment: [", encoding="utf-8")
    schema = call_json("schema", "--config", config)
    definitions = schema["definitions"]
    account = definitions["condition.account"]["properties"]
    assert account["segment"]["anyOf"][0] == {"enum": ["big"]}
    assert account["tier"]["anyOf"][0] == {"enum": ["premium"]}
    assert "team.care" in json.dumps(definitions["assignees.account"])
    assert "renewal/check-in" in json.dumps(definitions["step.account"])
    rule = parse_yaml(RULE, "x.yaml").data
    assert _mistakes(schema, {**rule, "when": [{"segment": "new"}, {"tier": "gold"}]}) == []


def test_the_page_prints_what_the_command_prints(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    printed = call("schema", "--write", "--config", config)
    assert printed.exit_code == 0, printed.output
    (settings,) = re.findall(
        r"^<!-- runs: settings -->\n```json\n(.*?)```$", _PAGE, re.DOTALL | re.MULTILINE
    )
    assert settings in printed.output
    lines = re.findall(r"`(# yaml-language-server: .*?)`", _PAGE)
    assert len(lines) == 4
    assert [line for line in lines if line not in printed.output] == []
    for line, folder in zip(lines, ("rules", "segments", "rules/tests", "."), strict=True):
        schema = (tmp_path / folder / line.partition("$schema=")[2]).resolve()
        assert schema.is_file(), line
    written = json.loads((tmp_path / ".crmsync" / "config.schema.json").read_text("utf-8"))
    assert _mistakes(written, load_yaml(config).data) == []


def test_the_example_config_fits_and_its_mistakes_do_not(tmp_path: Path) -> None:
    # A config that cannot be read does not keep its author from the schema.
    schema = call_json("schema", "config", "--config", tmp_path / "none.yaml")
    text = (_ROOT / "config.example.yaml").read_text(encoding="utf-8")
    assert _mistakes(schema, parse_yaml(text, "x.yaml").data) == []
    for good, bad in (
        ("time_zone: Europe/Zurich", "time_zon: Europe/Zurich"),
        ("connector: files", "connector: filez"),
        ("    path: crm\n", "    pth: crm\n"),
        ("complete: true", "complet: true"),
        ("format: csv", "format: xlsx"),
        ("default: 24 hours", "default: 24 moons"),
        ("existing: preview", "existing: perhaps"),
        ("most_actions_per_run: 200", "most_actions_per_run: many"),
        ("type: integer, tracked", "tracked"),
        ("currency: EUR", "currency: Euro"),
        ("table: account\n", "table: acount\n"),
    ):
        assert good in text
        data = parse_yaml(text.replace(good, bad, 1), "x.yaml").data
        assert _mistakes(schema, data), bad


def test_an_unknown_kind_is_wrong_use(tmp_path: Path) -> None:
    assert call("schema", "rules", "--config", make_company(tmp_path)).exit_code == 2
