"""The hooks. Each says when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.plugins.contract import ConnectorSpec, Fact, SimulatorSpec, TemplateFilter

PROJECT = "crmsync"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """What a plugin can implement; all are optional."""

    @hookspec
    def crmsync_connectors(self) -> Sequence[ConnectorSpec]:
        """Called once at start: the connectors that this plugin brings."""
        raise NotImplementedError

    @hookspec
    def crmsync_facts(self) -> Sequence[Fact]:
        """Called once at start: the derived columns that this plugin brings."""
        raise NotImplementedError

    @hookspec
    def crmsync_template_filters(self) -> Mapping[str, TemplateFilter]:
        """Called once at start: filters by the name that templates use."""
        raise NotImplementedError

    @hookspec
    def crmsync_simulators(self) -> Sequence[SimulatorSpec]:
        """Called when one is asked for: the simulated remotes that this plugin brings."""
        raise NotImplementedError
