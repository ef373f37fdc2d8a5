"""Runs tests of rules: the very path of ``plan`` and ``run``, on a company in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.app.deciding import decide, world_of
from crmsync.app.premises import Premises
from crmsync.app.results.sync import SyncResult
from crmsync.app.rule_tests.compare import Seen, mismatches
from crmsync.app.rule_tests.results import RuleTested
from crmsync.app.rule_tests.virtual import (
    VirtualConnection,
    VirtualRecords,
    global_records,
    ledgers,
    local_id,
)
from crmsync.clock import FixedClock, SystemClock
from crmsync.config.policy import Policy
from crmsync.delivery.commit import commit_plan
from crmsync.delivery.deliver import Target, deliver
from crmsync.ledger.values.enrolments import EnrolmentStatus, Transitions
from crmsync.model.actions import ActionKind, CreateTask, UpdateFields
from crmsync.model.tables import split_global_id
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.explaining.explain import explain_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crmsync.app.rule_tests.results import Mismatch
    from crmsync.app.rule_tests.virtual import Ledgers
    from crmsync.config.settings import Config
    from crmsync.ledger.store import Ledger
    from crmsync.model.catalog import Catalog
    from crmsync.plugins.contract import Fact
    from crmsync.rules.explaining.explain import ClauseReport
    from crmsync.rules.language import Rule
    from crmsync.rules.unit_tests.load import RuleTest, Stage
    from crmsync.rules.unit_tests.virtual_records import RecordsByTable
    from crmsync.templating.templates import Templates


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What tests take from the installation whose rules they test.

    Its policy is not among it: hours, holdout and the circuit breaker are about a whole run, and a
    test says the same in every installation. Marks such as do-not-contact always count.
    """

    config: Config
    catalog: Catalog
    facts: Sequence[Fact]
    templates: Templates


def run_rule_tests(tests: Iterable[RuleTest], setting: Setting) -> Iterator[RuleTested]:
    """What came of each test."""
    clock = SystemClock()
    with ledgers() as made:
        for test in tests:
            begun = clock.now()
            found = tuple(_Run(test, setting, made).mismatches())
            yield RuleTested(
                rule=test.rule.name,
                test=test.name,
                place=str(test.place),
                failures=found,
                seconds=(clock.now() - begun).total_seconds(),
            )


class _Run:
    def __init__(self, test: RuleTest, setting: Setting, made: Ledgers) -> None:
        self._test = test
        self._setting = setting
        self._made = made

    def mismatches(self) -> Iterator[Mismatch]:
        with self._made.empty() as ledger:
            self._prepare(ledger)
            for stage in self._test.stages:
                yield from self._stage(stage, ledger)

    def _prepare(self, ledger: Ledger) -> None:
        """Unless the test says that the rule is new, it has run before and nobody matched."""
        if self._test.new_rule:
            return
        at = self._test.stages[0].at
        run = ledger.start_run("run", at=at, started_at=at)
        commit_plan(
            ledger, run, Transitions(at=at, new_rules={self._test.rule.name: self._test.rule.asks})
        )

    def _stage(self, stage: Stage, ledger: Ledger) -> Iterator[Mismatch]:
        given = global_records(self._setting.catalog.tables, _with_done(stage, ledger))
        records = VirtualRecords(
            self._setting.catalog.tables, given, now=stage.at, unread=stage.unread
        )
        try:
            ids = {str(row["id"]) for rows in given.values() for row in rows}
            premises = self._premises(stage, ledger, {split_global_id(i)[0] for i in ids})
            seen = _run(premises, records, self._test.rule)
            yield from mismatches(self._test.rule, stage, seen)
        finally:
            records.close()

    def _premises(self, stage: Stage, ledger: Ledger, connections: set[str]) -> Premises:
        setting = self._setting
        return Premises(
            config=setting.config.model_copy(update={"policy": Policy()}),
            catalog=setting.catalog,
            facts=setting.facts,
            rules=(self._test.rule,),
            templates=setting.templates,
            ledger=ledger,
            clock=FixedClock(instant=stage.at),
            connections=connections,
            abilities=lambda _connection: tuple(ActionKind),
            remote_field=lambda _connection, table, field: (table, field),
            unsubscribe_url=None if setting.config.unsubscribe is None else lambda _: _NO_LINK,
        )


# What stands in the mails of rule tests, which need no secret.
_NO_LINK = "https://unsubscribe.invalid/link"


def _with_done(stage: Stage, ledger: Ledger) -> RecordsByTable:
    """The records of a stage, and the tasks that were made by then, done by people or not."""
    made: dict[str, dict[str, object]] = {}
    for effect in ledger.effects():
        action, done = effect.action, (local_id(effect.enrolment.subject), effect.step)
        if not effect.remote_id:
            continue
        if isinstance(action, CreateTask):
            due = None if action.due is None else f"{action.due}T12:00"
            made[effect.remote_id] = {
                "kind": "task",
                "subject": action.subject,
                "text": action.body,
                "owner": action.assignee,
                "at": due,
                "automated": True,
                "status": "planned",
            }
        elif isinstance(action, UpdateFields) and action.record.id in made:
            made[action.record.id] |= action.changes
            if "at" in action.changes:
                made[action.record.id]["at"] = f"{action.changes['at']}T12:00"
        record = action.record.id if isinstance(action, UpdateFields) else effect.remote_id
        if done in stage.done and record in made:
            made[record]["status"] = "completed"
    if not made:
        return stage.records
    tasks = [{"id": record, **task} for record, task in made.items()]
    return {**stage.records, "activity": [*stage.records.get("activity", ()), *tasks]}


def _run(premises: Premises, records: VirtualRecords, rule: Rule) -> Seen:
    """A whole run: decided, recorded, delivered."""
    now, ledger = premises.clock.now(), premises.ledger
    number = ledger.start_run("run", at=now, started_at=now)
    decided = decide(premises, records, SyncResult(at=now))
    # Recorded also where the circuit breaker would stop it: that is about whole companies.
    commit_plan(
        ledger,
        number,
        decided.transitions,
        decided.effects,
        decided.decisions,
        withheld=decided.withheld,
    )
    target = Target(writes=VirtualConnection(), spec=VirtualConnection.spec())
    # Mail goes by a connection of the config, whichever the records come from.
    targets = dict.fromkeys({*premises.connections, *premises.config.connections}, target)
    deliver(ledger, targets, clock=premises.clock, run_id=number)
    inside = ledger.enrolments(statuses=[EnrolmentStatus.ACTIVE])

    def explain(subject: str) -> ClauseReport | None:
        evaluation = Evaluation([rule], world_of(premises, records), ids=[subject])
        return explain_all(evaluation, {rule.name: [subject]}).get(rule.name, {}).get(subject)

    return Seen(
        decided=decided,
        inside=frozenset(enrolment.ref.subject for enrolment in inside),
        explain=explain,
    )
