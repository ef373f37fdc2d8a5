"""What the daemon has to say in a cycle, and when it would come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.app.cycle import Pace, run_cycle
from crmsync.app.waking import next_due
from crmsync.app.workspace import open_workspace
from crmsync.clock import FixedClock
from crmsync.errors import StoppedError
from crmsync.ledger.states import State
from support.company import CONFIG, FILES, RULE, make_company

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.app.results.cycle import RunResult
    from crmsync.app.workspace import Workspace

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
LATER = AT + timedelta(days=2)
NAME = "renewal-at-risk"


def opened(config: Path, at: datetime = AT) -> Workspace:
    return open_workspace(config, FixedClock(instant=at))


def run(workspace: Workspace, pace: Pace | None = None) -> RunResult:
    return run_cycle(workspace, advance=lambda _label, _done: None, pace=pace or Pace())


def test_nobody_enters_a_rule_that_rests_and_who_is_inside_is_looked_after(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    resting = run(opened(config), Pace(resting={NAME: LATER}))
    assert (resting.plan.actions, resting.delivery.done) == ((), 0)
    assert {(held.subject_name, held.until) for held in resting.plan.held} == {
        ("Acme", LATER),
        ("Blue", LATER),
    }
    assert all("schedule of the rule" in held.reason for held in resting.plan.held)
    entered = run(opened(config, AT + timedelta(hours=1)))
    assert entered.delivery.done == 3
    # Acme has answered, and leaves though the rule rests.
    activities = tmp_path / "crm" / "activities.csv"
    text = activities.read_text(encoding="utf-8")
    activities.write_text(text + "T4,A1,email,2026-03-02 16:00\n", encoding="utf-8")
    workspace = opened(config, AT + timedelta(days=1))
    assert run(workspace, Pace(resting={NAME: LATER})).plan.actions == ()
    statuses = {e.ref.subject: str(e.status) for e in workspace.ledger.enrolments()}
    assert statuses == {"crm:A1": "ended", "crm:A2": "active"}


def test_a_step_that_was_deferred_goes_out_though_the_rule_rests(tmp_path: Path) -> None:
    hours = 'policy: {hours: {weekdays: "10:00-18:00", unknown_zone: company}}\n'
    config = make_company(tmp_path, config=CONFIG + hours)
    workspace = opened(config)
    first = run(workspace)
    opens = datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert first.delivery.done == 2
    assert next_due(workspace, first, LATER) == opens
    assert next_due(workspace, first, opens - timedelta(seconds=1)) is None
    second = run(opened(config, opens), Pace(resting={NAME: LATER}))
    assert second.delivery.done == 1


def test_it_would_wake_when_a_clause_turns(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    workspace = opened(config)
    result = run(workspace)
    # Café was last spoken with long ago, and its renewal is far; the first to turn is the
    # freshness of what was read, or a midnight.
    found = next_due(workspace, result, AT + timedelta(days=60))
    assert found is not None
    assert AT < found <= AT + timedelta(days=1, minutes=1)


def test_what_comes_behind_a_step_that_was_done_is_not_slept_over(tmp_path: Path) -> None:
    way = "then:\n  - note: {text: one}\n  - wait: 5 hours\n  - note: {text: two}\n"
    config = make_company(tmp_path, renewal_at_risk=RULE.partition("then:")[0] + way)
    workspace = opened(config)
    day = AT + timedelta(days=1)
    first = next_due(workspace, run(workspace), day)
    assert first is not None
    assert first <= AT + timedelta(minutes=1)
    again = opened(config, AT + timedelta(minutes=1))
    # It begins when the note was handed over, and not when a run saw that.
    assert next_due(again, run(again), day) == AT + timedelta(hours=5)


def test_asked_to_stop_before_it_has_decided_it_does_nothing(tmp_path: Path) -> None:
    workspace = opened(make_company(tmp_path))
    with pytest.raises(StoppedError, match="before it had decided anything"):
        run(workspace, Pace(stop=lambda: True))
    assert workspace.ledger.effect_counts() == {}
    (noted,) = workspace.ledger.last_runs()
    assert "asked to stop" in str(noted.error)


def test_asked_to_stop_while_it_delivers_the_rest_waits_and_the_next_run_has_it(
    tmp_path: Path,
) -> None:
    config = make_company(tmp_path)
    workspace = opened(config)
    asked = iter([False])
    stopped = run(workspace, Pace(stop=lambda: next(asked, True)))
    assert stopped.delivery.done == 0
    assert workspace.ledger.effect_counts()[State.READY] == 3
    assert run(opened(config, AT + timedelta(minutes=5))).delivery.done == 3


def test_a_schedule_stands_in_a_rule_and_does_not_make_it_another(tmp_path: Path) -> None:
    plain = opened(make_company(tmp_path / "a")).rules.rules[0]
    text = RULE + "schedule: mondays at 08:00\n"
    timed = opened(make_company(tmp_path / "b", renewal_at_risk=text)).rules.rules[0]
    assert plain.schedule is None
    assert str(timed.schedule) == "mondays at 08:00"
    assert timed.version == plain.version
    assert FILES["rules/renewal-at-risk.yaml"] == RULE


def test_it_would_wake_for_those_who_go_by_an_earlier_text(tmp_path: Path) -> None:
    head, then = RULE[: RULE.index("when:")], RULE[RULE.index("then:") :]
    by_date = f"{head}when: [{{renewal_date: {{in_next: 30 days}}}}]\n{then}"
    config = make_company(tmp_path, renewal_at_risk=by_date)
    run(opened(config))
    timeless = f"{head}when: [{{tier: gold}}]\n{then}"
    (tmp_path / "rules" / "renewal-at-risk.yaml").write_text(timeless, encoding="utf-8")
    later = AT + timedelta(hours=1)
    workspace = opened(config, later)
    # Acme renews on 20 March: on the day after, what it entered by holds no longer.
    found = next_due(workspace, run(workspace), AT + timedelta(days=60))
    assert found == datetime(2026, 3, 20, 23, tzinfo=UTC)
