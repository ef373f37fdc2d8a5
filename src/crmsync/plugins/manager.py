"""Finds plugins by entry point. A broken one is reported, never fatal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from crmsync.errors import PluginError
from crmsync.model.actions import ActionKind
from crmsync.plugins.hookspecs import PROJECT, Hooks

if TYPE_CHECKING:
    from crmsync.plugins.contract import ConnectorSpec, Fact, SimulatorSpec, TemplateFilter


# What the language itself says in a step.
_TAKEN = frozenset({"task", "email", "note", "update", "wait", "choose", "otherwise"}) | {
    *("id", "if", "after", "clock", "then", "until")
}
_KEYS_TAKEN = frozenset({"by", "approval", "requires"})
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class PluginReport:
    """A plugin that was found: whether it works, and what it brings.

    Attributes:
        package: the outermost package of its code, or the module where it is in none.
    """

    name: str
    distribution: str
    version: str
    package: str
    error: str | None = None
    connectors: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()


class Plugins:
    """The plugins of this installation."""

    def __init__(self, found: tuple[EntryPoint, ...] | None = None) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Hooks)
        self.reports: list[PluginReport] = []
        self.connectors: dict[str, ConnectorSpec] = {}
        self.facts: tuple[Fact, ...] = ()
        self.filters: dict[str, TemplateFilter] = {}
        self._simulating: list[object] = []
        if found is None:
            found = tuple(entry_points(group=PROJECT))
        for entry in sorted(found, key=lambda entry: entry.name):
            self.reports.append(self._load(entry))

    def _load(self, entry: EntryPoint) -> PluginReport:
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else "unknown"
        package = entry.module.partition(".")[0]
        try:
            plugin = entry.load()
            self._manager.register(plugin, entry.name)
            connectors = self._brought(plugin, "crmsync_connectors")
            facts = self._brought(plugin, "crmsync_facts")
            filters = dict(getattr(plugin, "crmsync_template_filters", dict)())
            for spec in connectors:
                _require_good_kinds(spec)
                if spec.name in self.connectors:
                    raise PluginError(f"a connector named “{spec.name}” is already installed")
        except Exception as error:  # noqa: BLE001  whatever a stranger's plugin raises, we go on
            if self._manager.has_plugin(entry.name):
                self._manager.unregister(name=entry.name)
            return PluginReport(
                name=entry.name,
                distribution=distribution,
                version=version,
                package=package,
                error=f"{type(error).__name__}: {error}",
            )
        self.connectors |= {spec.name: spec for spec in connectors}
        self.facts += tuple(facts)
        self.filters |= filters
        if hasattr(plugin, "crmsync_simulators"):
            self._simulating.append(plugin)
        return PluginReport(
            name=entry.name,
            distribution=distribution,
            version=version,
            package=package,
            connectors=tuple(spec.name for spec in connectors),
            facts=tuple(f"{fact.spec.table}.{fact.spec.name}" for fact in facts),
            filters=tuple(filters),
        )

    @staticmethod
    def _brought(plugin: object, hook: str) -> tuple[Any, ...]:
        return tuple(getattr(plugin, hook, tuple)())

    def connector(self, name: str) -> ConnectorSpec:
        """The connector of that name.

        Raises:
            PluginError: none is installed under that name, or its plugin is broken.
        """
        if name in self.connectors:
            return self.connectors[name]
        broken = next((r for r in self.reports if r.name == name and r.error), None)
        if broken is not None:
            raise PluginError(f"the connector “{name}” is installed but broken: {broken.error}")
        installed = ", ".join(sorted(self.connectors)) or "none"
        raise PluginError(f"no connector named “{name}” is installed; installed: {installed}")

    def simulators(self) -> dict[str, SimulatorSpec]:
        """The simulated remotes that can be started here, by name.

        Raises:
            PluginError: two have one name.
        """
        found: dict[str, SimulatorSpec] = {}
        for plugin in self._simulating:
            for spec in self._brought(plugin, "crmsync_simulators"):
                if spec.name in found:
                    raise PluginError(f"two plugins bring a simulator named “{spec.name}”")
                found[spec.name] = spec
        return found


def _require_good_kinds(spec: ConnectorSpec) -> None:
    """Whether rules can say what a connector adds to their language.

    Raises:
        PluginError: they cannot.
    """
    if spec.custom and ActionKind.CUSTOM not in spec.actions:
        raise PluginError(f"{spec.name} adds kinds of action, and “actions” has no CUSTOM")
    for kind in spec.custom:
        wrong = [name for name in kind.takes if not _NAME.fullmatch(name) or name in _KEYS_TAKEN]
        if not _NAME.fullmatch(kind.name) or kind.name in _TAKEN:
            wrong.append(kind.name)
        wrong += [name for name in kind.needed if name not in kind.takes]
        if wrong or not kind.takes:
            told = ", ".join(f"“{name}”" for name in wrong) or "nothing"
            raise PluginError(f"the kind of action “{kind.name}” of {spec.name} cannot say {told}")
