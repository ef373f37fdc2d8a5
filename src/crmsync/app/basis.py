"""What verdicts depend on beside the records and the time, in one digest for each rule."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import crmsync

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmsync.app.premises import Premises
    from crmsync.rules.language import Rule

_DECIDING = ("rules", "facts", "model", "warehouse")
# Other distributions that answer in their place: holidays are added, and mistakes mended.
_ANSWERING = ("duckdb", "holidays", "ibis-framework")


def basis_of(premises: Premises, rules: Iterable[Rule]) -> dict[str, str]:
    """By the rule's name; the same only where the rule would say the same of the same records."""
    company = premises.config.company
    facts = [(fact.spec, fact.build.__module__, _stamp(fact.build)) for fact in premises.facts]
    common = (
        _code(),
        [version(name) for name in _ANSWERING],
        company.time_zone,
        company.country,
        sorted((name, premises.config.freshness.bound(name)) for name in premises.catalog.tables),
        sorted(premises.catalog.tables.items()),
        sorted(map(repr, facts)),
        sorted(premises.connections),
    )
    shared = hashlib.sha256(repr(common).encode()).hexdigest()
    return {rule.name: f"{rule.version} {shared}" for rule in rules}


@cache
def _code() -> str:
    """Of the code that decides: someone may install another without another version's number."""
    folder = Path(crmsync.__file__).parent
    files = sorted(path for name in _DECIDING for path in (folder / name).rglob("*.py"))
    return _stamps(files)


def _stamp(function: object) -> str:
    """Of the file in which a plugin's function stands."""
    code = getattr(function, "__code__", None)
    file = Path(getattr(code, "co_filename", ""))
    return _stamps([file]) if file.is_file() else ""


def _stamps(files: Iterable[Path]) -> str:
    told = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()
