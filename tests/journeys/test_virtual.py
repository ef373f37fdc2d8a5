"""Enrolments that are remembered and never written are those that a ledger would hold."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.config.settings import Existing
from crmsync.journeys.enrolments import decide_enrolments
from crmsync.ledger.store import Ledger
from crmsync.ledger.virtual import VirtualEnrolments
from journeys.rule_world import COMPANY, Cycle, a_rule, verdict

SUBJECTS = ("crm:1", "crm:2", "crm:3")
# Of each subject: no match, unknown, or a match with a tier (two subjects may share one).
SAID = st.sampled_from([None, "unknown", "", "gold", "tin"])
RUNS = st.lists(
    st.tuples(st.fixed_dictionaries(dict.fromkeys(SUBJECTS, SAID)), st.booleans()),
    min_size=2,
    max_size=6,
)


@settings(max_examples=20, deadline=None)
@given(
    runs=RUNS,
    existing=st.sampled_from(Existing),
    once=st.booleans(),
    must_last=st.sampled_from([None, "2 days"]),
)
def test_both_remember_the_same(
    runs: list[tuple[dict[str, str | None], bool]],
    existing: Existing,
    must_last: str | None,
    *,
    once: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cycle = Cycle(Ledger(Path(folder) / "ledger.sqlite"), existing)
        virtual = VirtualEnrolments()
        for said, there in runs:
            tested = a_rule(
                once_per=("tier",) if once else (), cooldown="2 days", must_last=must_last
            )
            others = [a_rule("other")] if there else []
            matches = {
                s: (v,) if once else () for s, v in said.items() if v not in {None, "unknown"}
            }
            unknown = [s for s, v in said.items() if v == "unknown"]
            verdicts = [verdict(tested, matches, unknown), *(verdict(o, matches) for o in others)]
            transitions = cycle.plan([tested, *others], *verdicts)
            again = decide_enrolments(
                [tested, *others],
                {v.rule: v for v in verdicts},
                virtual.snapshot(),
                now=cycle.now,
                existing=existing,
                company=COMPANY,
            )
            assert again == transitions
            cycle.commit(transitions, delivered=False)
            virtual.commit(transitions)
            assert virtual.snapshot() == cycle.ledger.enrolment_snapshot()
            cycle.now += timedelta(days=1)
        cycle.ledger.close()
