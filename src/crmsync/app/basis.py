"""What verdicts and compiled queries depend on beside the records and the time, as digests."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import crmsync

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmsync.app.premises import Premises
    from crmsync.config.load import Installation
    from crmsync.plugins.manager import Plugins
    from crmsync.rules.language import Rule

_DECIDING = ("rules", "facts", "model", "warehouse")
# Other distributions that answer in their place: holidays are added, and mistakes mended.
_ANSWERING = ("duckdb", "holidays", "ibis-framework")
_COMPILING = ("duckdb", "ibis-framework", "sqlglot")


def basis_of(premises: Premises, rules: Iterable[Rule]) -> dict[str, str]:
    """By the rule's name; the same only where the rule would say the same of the same records."""
    company = premises.config.company
    facts = [(fact.spec, fact.build.__module__) for fact in premises.facts]
    computing = {str(fact.build.__module__).partition(".")[0] for fact in premises.facts}
    bringing = [plugin for plugin in premises.plugins if plugin.facts]
    packages = computing | {plugin.package for plugin in bringing}
    common = (
        _code(),
        [version(name) for name in _ANSWERING],
        company.time_zone,
        company.country,
        sorted((name, premises.config.freshness.bound(name)) for name in premises.catalog.tables),
        sorted(premises.catalog.tables.items()),
        sorted(map(repr, facts)),
        sorted((plugin.distribution, plugin.version) for plugin in bringing),
        [_package(name) for name in sorted(packages - {crmsync.__name__})],
        sorted(premises.connections),
    )
    shared = hashlib.sha256(repr(common).encode()).hexdigest()
    return {rule.name: f"{rule.version} {shared}" for rule in rules}


def basis_of_queries(installation: Installation, plugins: Plugins) -> str:
    """The same only where the same question to the same tables is compiled to the same text."""
    packages = {str(fact.build.__module__).partition(".")[0] for fact in plugins.facts}
    packages |= {report.package for report in plugins.reports if report.facts}
    told = (
        [version(name) for name in _COMPILING],
        installation.document.text,
        [(name, _package(name)) for name in sorted(packages | {crmsync.__name__})],
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()


@cache
def _code() -> str:
    """Of the code that decides: someone may install another without another version's number."""
    folder = Path(crmsync.__file__).parent
    files = sorted(path for name in _DECIDING for path in (folder / name).rglob("*.py"))
    return _stamps(files)


@cache
def _package(name: str) -> str:
    """Of a plugin's code, which can be edited where it stands and keep its version's number."""
    module = sys.modules.get(name)
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    file = getattr(module, "__file__", None)
    files = {Path(file)} if file is not None and Path(file).is_file() else set()
    return _stamps(sorted(files.union(*(folder.rglob("*.py") for folder in folders))))


def _stamps(files: Iterable[Path]) -> str:
    told = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()
