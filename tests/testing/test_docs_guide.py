"""Runs docs/writing-a-connector.md as its reader would: files as they stand, then pytest."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from crmsync.clock import FixedClock
from crmsync.plugins.contract import ConnectionContext, Reads, SimulatorRequest
from crmsync.plugins.manager import Plugins
from crmsync.testing.laws import ConnectorLaws
from crmsync.testing.samples import START

_GUIDE = Path(__file__).parents[2] / "docs" / "writing-a-connector.md"
_TEXT = _GUIDE.read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LAWS = {name for name in dir(ConnectorLaws) if name.startswith("test_")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in _BLOCK.findall(_TEXT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_every_code_block_is_a_file_that_is_run() -> None:
    fences = re.findall(r"^```(\w+)$", _TEXT, flags=re.MULTILINE)
    assert fences.count("python") + fences.count("toml") == len(_BLOCK.findall(_TEXT)) == 6


def test_the_example_keeps_the_laws(project: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", "-rs"]
    done = subprocess.run(
        [*command, "--color=no", "tests"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(project / "src"), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = re.findall(r"declared absent, (\w+):", done.stdout)
    assert sorted(skipped) == ["compares", "merges", "unreadable"]
    assert done.stdout.count("the spec names no withdrawals") == 1
    assert f"{len(_LAWS) - 10} passed, 10 skipped" in done.stdout


def test_the_entry_point_of_the_example_brings_its_connector(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(project / "src"))
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    ((name, value),) = declared["project"]["entry-points"]["crmsync"].items()
    try:
        plugins = Plugins((EntryPoint(name=name, value=value, group="crmsync"),))
        assert [report.error for report in plugins.reports] == [None]
        assert plugins.connector("desk").name == "desk"
    finally:
        for module in [module for module in sys.modules if module.startswith("crmsync_desk")]:
            del sys.modules[module]
        importlib.invalidate_caches()


def test_the_simulator_of_the_example_is_a_remote_for_its_connector(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(project / "src"))
    entries = [
        EntryPoint(name=name, value=value, group="crmsync")
        for name, value in (("d", "crmsync_desk"), ("s", "crmsync_desk.simulator"))
    ]
    try:
        plugins = Plugins(tuple(entries))
        request = SimulatorRequest(
            folder=project,
            port=0,
            sample={"accounts": [{"id": "a1", "name": "Acme"}]},
            clock=FixedClock(instant=START),
        )
        simulator = plugins.simulators()["desk"].start(request)
        config = yaml.safe_load(simulator.config)["desk"]
        spec = plugins.connector(config.pop("connector"))
        context = ConnectionContext(
            name="desk",
            options=spec.options.model_validate(config),
            streams={},
            folder=project,
            clock=request.clock,
        )
        connector = spec.open(context)
        assert connector.check() == []
        assert isinstance(connector, Reads)
        (page,) = connector.read("customers", None)
        assert page.records["name"].to_pylist() == ["Acme"]
        simulator.close()
    finally:
        for module in [module for module in sys.modules if module.startswith("crmsync_desk")]:
            del sys.modules[module]
        importlib.invalidate_caches()


def test_the_guide_lists_every_law_once() -> None:
    rows = re.findall(r"^\| `(test_\w+)` \|", _TEXT, flags=re.MULTILINE)
    assert sorted(rows) == sorted(_LAWS)


def test_the_guide_links_to_what_exists() -> None:
    for target in re.findall(r"\]\((\.\.?/[^)#]+)\)", _TEXT):
        assert (_GUIDE.parent / target).exists(), target
