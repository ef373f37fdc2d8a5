from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from crmsync.errors import PluginError
from crmsync.model.actions import ActionKind, CustomKind, KeyHandling
from crmsync.plugins.contract import ConnectorSpec
from crmsync.plugins.hookspecs import hookimpl
from crmsync.plugins.manager import Plugins


def _never(_context: object) -> object:
    raise AssertionError("a plugin is listed without being opened")


def _module(name: str, *connectors: str, **more: Any) -> EntryPoint:
    module = ModuleType(name)

    @hookimpl
    def crmsync_connectors() -> list[ConnectorSpec]:
        return [
            ConnectorSpec(
                name=connector,
                description="A test.",
                options=BaseModel,
                stream_options=BaseModel,
                open=_never,  # type: ignore[arg-type]  # it is never called
                **more,
            )
            for connector in connectors
        ]

    module.crmsync_connectors = crmsync_connectors  # type: ignore[attr-defined]  # a plugin is a module
    sys.modules[name] = module
    return EntryPoint(name=name, value=name, group="crmsync")


def test_a_broken_plugin_is_reported_and_the_others_go_on() -> None:
    plugins = Plugins(
        (
            EntryPoint(name="broken", value="crmsync_not_there", group="crmsync"),
            _module("crmsync_test_good", "good"),
        )
    )
    assert plugins.connector("good").name == "good"
    broken = next(report for report in plugins.reports if report.name == "broken")
    assert broken.error == "ModuleNotFoundError: No module named 'crmsync_not_there'"
    with pytest.raises(PluginError, match="installed but broken"):
        plugins.connector("broken")


def test_two_connectors_of_one_name_are_not_mixed_up() -> None:
    plugins = Plugins((_module("crmsync_test_a", "same"), _module("crmsync_test_b", "same", "b")))
    assert set(plugins.connectors) == {"same"}
    report = next(report for report in plugins.reports if report.name == "crmsync_test_b")
    assert report.error == "PluginError: a connector named “same” is already installed"


def test_a_hook_with_a_wrong_signature_is_reported() -> None:
    module = ModuleType("crmsync_test_wrong")

    @hookimpl
    def crmsync_connectors(surprise: int) -> list[ConnectorSpec]:  # noqa: ARG001  that is the mistake
        return []

    module.crmsync_connectors = crmsync_connectors  # type: ignore[attr-defined]  # a plugin is a module
    sys.modules["crmsync_test_wrong"] = module
    entry = EntryPoint(name="wrong", value="crmsync_test_wrong", group="crmsync")
    (report,) = Plugins((entry,)).reports
    assert report.error is not None
    assert "surprise" in report.error


def test_an_unknown_connector_names_the_installed_ones() -> None:
    plugins = Plugins((_module("crmsync_test_c", "c"),))
    with pytest.raises(PluginError, match="no connector named “d” is installed; installed: c"):
        plugins.connector("d")


def test_the_files_connector_comes_in_by_entry_point() -> None:
    assert [report.error for report in Plugins().reports if report.error] == []


_CUSTOM = {ActionKind.CUSTOM: KeyHandling.UNSAFE}


@pytest.mark.parametrize(
    ("kind", "actions", "sentence"),
    [
        ({"name": "task"}, _CUSTOM, "the kind of action “task” of c cannot say “task”"),
        ({"name": "Send SMS"}, _CUSTOM, "cannot say “Send SMS”"),
        ({"takes": {"by": "Whom."}}, _CUSTOM, "the kind of action “say” of c cannot say “by”"),
        ({"takes": {}, "needed": ()}, _CUSTOM, "cannot say nothing"),
        ({"needed": ("words",)}, _CUSTOM, "cannot say “words”"),
        ({}, {}, "c adds kinds of action, and “actions” has no CUSTOM"),
    ],
)
def test_a_kind_that_no_rule_could_say_is_reported(
    kind: dict[str, Any], actions: dict[ActionKind, KeyHandling], sentence: str
) -> None:
    given = {"name": "say", "description": "Says.", "takes": {"text": "What."}, "needed": ("text",)}
    own = CustomKind(**(given | kind))
    (report,) = Plugins((_module("crmsync_test_k", "c", custom=(own,), actions=actions),)).reports
    assert report.error is not None
    assert sentence in report.error
