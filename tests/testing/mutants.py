"""Connectors with one fault each, and the laws that find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from crmsync.model.actions import KeyHandling
from crmsync.testing.memory import MemoryConnector
from crmsync.testing.reference import MemoryUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crmsync.testing.remote import RemoteUnderTest

Faulty = TypeVar("Faulty", bound="type[MemoryConnector | RemoteUnderTest]")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    name: str
    law: str
    words: str  # what the law says of it, as a regular expression
    make: Callable[[Path], RemoteUnderTest]


MUTANTS: list[Mutant] = []


def killed_by(
    law: str, words: str, *, keys: KeyHandling = KeyHandling.NATIVE, lists: bool = False
) -> Callable[[Faulty], Faulty]:
    def register(faulty: Faulty) -> Faulty:
        def make(folder: Path) -> RemoteUnderTest:
            if issubclass(faulty, MemoryConnector):
                return MemoryUnderTest(folder, keys=keys, lists=lists, connector=faulty)
            assert issubclass(faulty, MemoryUnderTest)
            return faulty(folder, keys=keys, lists=lists)

        MUTANTS.append(Mutant(name=faulty.__name__, law=f"test_{law}", words=words, make=make))
        return faulty

    return register
