"""What was remembered of earlier runs is of no use once other code computes the facts."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from crmsync.app import basis
from crmsync.app.basis import basis_of
from crmsync.app.workspace import open_workspace
from crmsync.clock import SystemClock
from support.company import make_company
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


def test_the_same_installation_has_the_same_basis(installed: Path, tmp_path: Path) -> None:
    config = make_company(tmp_path)
    assert installed.is_dir()
    assert _basis(config) == _basis(config)


def test_a_fact_whose_helper_was_changed_has_another_basis(installed: Path, tmp_path: Path) -> None:
    config = make_company(tmp_path)
    before = _basis(config)
    helper = installed / "made_up_weather" / "windows.py"
    helper.write_text(WINDOWS.replace("30", "400"), encoding="utf-8")
    after = _basis(config)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())


def test_a_plugin_of_another_version_has_another_basis(installed: Path, tmp_path: Path) -> None:
    config = make_company(tmp_path)
    before = _basis(config)
    told = installed / "made_up_weather-1.0.dist-info" / "METADATA"
    told.write_text(METADATA.format(name="made_up_weather", version="1.1"), encoding="utf-8")
    after = _basis(config)
    assert not set(after.values()) & set(before.values())
