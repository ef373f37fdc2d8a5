from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.testing.laws import ConnectorLaws
from testing import faulty_failures, faulty_logs, faulty_reads, faulty_withdrawals, faulty_writes
from testing.mutants import MUTANTS, Mutant

if TYPE_CHECKING:
    from pathlib import Path

LAWS = sorted(name for name in dir(ConnectorLaws) if name.startswith("test_"))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.name}-{mutant.law}")
def test_the_law_kills_the_mutant(mutant: Mutant, tmp_path: Path) -> None:
    law = getattr(ConnectorLaws(), mutant.law)
    with pytest.raises(AssertionError, match=mutant.words):
        law(mutant.make(tmp_path))


@pytest.mark.parametrize("law", LAWS)
def test_every_law_kills_a_mutant(law: str) -> None:
    assert [mutant.name for mutant in MUTANTS if mutant.law == law]


def test_every_mutant_is_for_a_law() -> None:
    assert {mutant.law for mutant in MUTANTS} <= set(LAWS)


def test_mutants_come_from_each_of_their_files() -> None:
    for module in (faulty_failures, faulty_logs, faulty_reads, faulty_withdrawals, faulty_writes):
        assert {mutant.name for mutant in MUTANTS} & vars(module).keys()
