from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from crmsync.app.shipped import EXAMPLE_CONFIG, shipped
from crmsync.clock import SystemClock
from crmsync.config import daemon, hours, mapping, policy, public, settings
from crmsync.config.load import load_config
from crmsync.config.settings import Config
from crmsync.config.yaml import load_yaml
from crmsync.facts.builtin import crmsync_facts
from crmsync.model.catalog import Catalog
from crmsync.model.tables import CANONICAL_TABLES
from crmsync.plugins.contract import ConnectionContext
from crmsync.plugins.manager import Plugins
from crmsync.rules.reading.load import load_rules

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

EXAMPLE = shipped(EXAMPLE_CONFIG)


def switched_on() -> str:
    """With the blocks that would not work before somebody has filled them in."""
    text = EXAMPLE.read_text(encoding="utf-8")
    return re.sub(r"^#(?=public:|unsubscribe:|  \w)", "", text, flags=re.MULTILINE)


FILES = Plugins().connector("files")


def test_it_is_valid() -> None:
    installation = load_config(EXAMPLE)
    crm = installation.settings.connections["crm"]
    options = FILES.options.model_validate(crm.own_options)
    for stream in crm.streams.values():
        FILES.stream_options.model_validate(stream.own_options)
    context = ConnectionContext(
        name="crm", options=options, streams={}, folder=EXAMPLE.parent, clock=SystemClock()
    )
    FILES.open(context).close()


def test_it_is_valid_with_what_is_switched_off(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(switched_on(), encoding="utf-8")
    settings = load_config(config).settings
    assert settings.public == public.PublicSettings(url="https://crm.example.com")
    assert settings.unsubscribe is not None
    assert settings.unsubscribe.mailto == "unsubscribe@example.com"


@pytest.mark.parametrize(
    "model",
    [
        settings.Config,
        settings.Company,
        settings.Freshness,
        daemon.DaemonSettings,
        public.PublicSettings,
        public.UnsubscribeSettings,
        policy.Policy,
        policy.Approvals,
        policy.Holdout,
        policy.Cap,
        hours.Hours,
        settings.ConnectionSettings,
        mapping.StreamSettings,
        mapping.FieldMapping,
        FILES.options,
        FILES.stream_options,
    ],
)
def test_every_option_stands_in_it(model: type[BaseModel]) -> None:
    text = switched_on()
    code = "\n".join(line.partition(" #")[0] for line in text.splitlines() if line[:1] != "#")
    for name, field in model.model_fields.items():
        assert re.search(rf"\b{field.alias or name}: ?", code), f"{name} is not explained"


def test_every_table_is_named() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for table in CANONICAL_TABLES:
        assert re.search(rf"\b{table}\b", text), table


def test_the_stated_defaults_are_the_defaults() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    defaults = policy.Policy()
    for name in ("most_actions_per_run", "most_share_of_accounts", "share_counts_from"):
        before = text[: text.index(f"  {name}:")].rstrip().splitlines()[-1]
        assert before.endswith(f"Default: {getattr(defaults, name)}."), name
    document = load_yaml(EXAMPLE)
    for name in ("state", "rules", "segments", "templates"):
        assert document.data[name] == Config.model_fields[name].default
    ledger = load_config(EXAMPLE).settings.ledger
    assert ledger == Config.model_fields["ledger"].default


def test_the_shipped_rules_work_with_it() -> None:
    installation = load_config(EXAMPLE)
    facts = tuple(fact.spec for fact in crmsync_facts())
    rules = load_rules(
        shipped("rules"),
        shipped("segments"),
        Catalog(tables=installation.tables(), facts=facts),
        installation.settings.teams,
        shown_relative_to=EXAMPLE.parent,
    )
    assert len(rules.rules) >= 10
