from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

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


def test_what_is_logged_quietly_is_heard_whoever_has_set_up_logging(tmp_path: Path) -> None:
    (mutant,) = (one for one in MUTANTS if one.name == "LogsItsTokenAsAField")
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        test_the_law_kills_the_mutant(mutant, tmp_path)
    finally:
        structlog.configure(wrapper_class=before)


@pytest.mark.parametrize("law", LAWS)
def test_every_law_kills_a_mutant(law: str) -> None:
    assert [mutant.name for mutant in MUTANTS if mutant.law == law]


def test_every_mutant_is_for_a_law() -> None:
    assert {mutant.law for mutant in MUTANTS} <= set(LAWS)


def test_mutants_come_from_each_of_their_files() -> None:
    for module in (faulty_failures, faulty_logs, faulty_reads, faulty_withdrawals, faulty_writes):
        assert {mutant.name for mutant in MUTANTS} & vars(module).keys()
