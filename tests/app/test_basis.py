"""What was kept of earlier runs is of no use once other code computes the facts."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from crmsync.app import basis
from crmsync.app.basis import basis_of, basis_of_queries
from crmsync.app.workspace import open_workspace
from crmsync.clock import SystemClock
from crmsync.warehouse.texts import QueryTexts
from support.commands import call, call_json
from support.company import RULE, make_company
from support.plugins import METADATA, lay_out_plugin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLUGIN = """\
from crmsync.facts.build import declared
from crmsync.model.tables import FieldType
from crmsync.plugins.hookspecs import hookimpl
from made_up_weather.windows import DAYS


def build(tables):
    return tables.table("account").select("id", value=DAYS)


@hookimpl
def crmsync_facts():
    return [declared("account", "sunny_days", FieldType.INTEGER, "Days with sun.", build)]
"""
WINDOWS = "DAYS = 30\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an installed plugin that brings a fact, whose work another module does."""
    site = tmp_path / "site"
    lay_out_plugin(site, "made_up_weather", {"facts": PLUGIN, "windows": WINDOWS})
    monkeypatch.syspath_prepend(site)
    yield site
    for name in [name for name in sys.modules if name.startswith("made_up_weather")]:
        del sys.modules[name]


def _basis(config: Path) -> dict[str, str]:
    importlib.invalidate_caches()
    basis._package.cache_clear()  # noqa: SLF001  as in another process
    premises = open_workspace(config, SystemClock()).premises
    assert any(fact.spec.name == "sunny_days" for fact in premises.facts)
    return basis_of(premises, premises.rules)


def _basis_of_queries(config: Path) -> str:
    importlib.invalidate_caches()
    basis._package.cache_clear()  # noqa: SLF001  as in another process
    workspace = open_workspace(config, SystemClock())
    return basis_of_queries(workspace.installation, workspace.plugins)


def test_the_same_installation_has_the_same_basis(installed: Path, tmp_path: Path) -> None:
    config = make_company(tmp_path)
    assert installed.is_dir()
    assert _basis(config) == _basis(config)
    assert _basis_of_queries(config) == _basis_of_queries(config)


def test_queries_are_compiled_anew_for_another_config(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    before = _basis_of_queries(config)
    config.write_text(config.read_text("utf-8") + "# Said otherwise.\n", "utf-8")
    assert _basis_of_queries(config) != before


@pytest.mark.usefixtures("compiled_alone")
def test_what_was_compiled_once_is_not_compiled_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_company(tmp_path)
    compiled: list[str] = []
    keep = QueryTexts.keep

    def noted(texts: QueryTexts, key: str, text: str) -> None:
        compiled.append(key)
        keep(texts, key, text)

    monkeypatch.setattr(QueryTexts, "keep", noted)
    at = ("--config", config, "--at", "2026-03-02T09:00")
    first = call_json("plan", *at)["rules"]
    assert compiled
    compiled.clear()
    assert call_json("plan", *at)["rules"] == first
    assert not compiled
    assert call("explain", "A1", *at).stdout
    compiled.clear()
    assert call("explain", "A1", *at).stdout
    assert not compiled
    (tmp_path / "rules" / "renewal-at-risk.yaml").write_text(RULE.replace("14 days", "15 days"))
    assert call("plan", *at).stdout
    assert compiled


def test_a_fact_whose_helper_was_changed_has_another_basis(installed: Path, tmp_path: Path) -> None:
    config = make_company(tmp_path)
    before, of_queries = _basis(config), _basis_of_queries(config)
    helper = installed / "made_up_weather" / "windows.py"
    helper.write_text(WINDOWS.replace("30", "400"), encoding="utf-8")
    after = _basis(config)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert _basis_of_queries(config) != of_queries


def test_a_plugin_of_another_version_has_another_basis(installed: Path, tmp_path: Path) -> None:
    config = make_company(tmp_path)
    before = _basis(config)
    told = installed / "made_up_weather-1.0.dist-info" / "METADATA"
    told.write_text(METADATA.format(name="made_up_weather", version="1.1"), encoding="utf-8")
    after = _basis(config)
    assert not set(after.values()) & set(before.values())
