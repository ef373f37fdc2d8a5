"""One rule, whose text an author changes between runs, over records that change too."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crmsync.app.deciding import decide
from crmsync.app.premises import Premises
from crmsync.app.results.sync import SyncResult
from crmsync.app.rule_tests.virtual import VirtualConnection, VirtualRecords, global_records
from crmsync.clock import FixedClock
from crmsync.config.settings import Company, Config, ConnectionSettings, Existing
from crmsync.delivery.commit import commit_plan
from crmsync.delivery.deliver import Target, deliver
from crmsync.model.actions import ActionKind
from crmsync.plugins.manager import Plugins
from crmsync.rules.unit_tests.memory_rows import CONNECTION
from crmsync.templating.templates import Templates
from rules.rules_world import CATALOG, FACTS, rules_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from crmsync.app.deciding import Decided
    from crmsync.ledger.store import Ledger
    from crmsync.model.actions import Action
    from crmsync.rules.language import Rule

COMPANY = Company(name="Vendor", email="hello@vendor.example")
TEMPLATE = "---\nsubject: Hello\nclass: commercial\n---\nHello {{ account.name }}\n"


@dataclass
class Changing:
    """A ledger, and runs over it, one after the other.

    Attributes:
        folder: where the files of the rule, its segments and templates lie.
        now: of the next run.
        records: by table; changed between runs.
        landed: what the remote has got, in this order.
    """

    folder: Path
    ledger: Ledger
    records: dict[str, list[dict[str, Any]]]
    now: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)
    rule: Rule = field(init=False)
    landed: list[Action] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "templates").mkdir(exist_ok=True)
        (self.folder / "templates" / "hi.txt").write_text(TEMPLATE, encoding="utf-8")

    def says(self, text: str, segments: Mapping[str, str] | None = None) -> None:
        """The author writes the rule."""
        (self.rule,) = rules_from(self.folder, {"r": text}, segments).rules

    def decide(self, *, unread: Sequence[str] = ()) -> Decided:
        """What a run would do now."""
        given = global_records(CATALOG.tables, self.records)
        records = VirtualRecords(CATALOG.tables, given, now=self.now, unread=unread)
        try:
            return decide(self.premises, records, SyncResult(at=self.now))
        finally:
            records.close()

    @property
    def premises(self) -> Premises:
        """What a run decides from."""
        return Premises(
            config=Config(
                company=COMPANY,
                connections={CONNECTION: ConnectionSettings(connector="files")},
                existing=Existing.ENROL,
            ),
            catalog=CATALOG,
            facts=FACTS,
            rules=(self.rule,),
            templates=Templates(self.folder / "templates", Plugins().filters, COMPANY),
            ledger=self.ledger,
            clock=FixedClock(instant=self.now),
            connections={CONNECTION},
            abilities=lambda _connection: tuple(ActionKind),
            remote_field=lambda _connection, table, name: (table, name),
        )

    def run(self, *, unread: Sequence[str] = (), hours: float = 0) -> list[str]:
        """A run that delivers, and hours before it; answers with the texts that landed."""
        self.now += timedelta(hours=hours)
        decided = self.decide(unread=unread)
        number = self.ledger.start_run("run", at=self.now, started_at=self.now)
        commit_plan(
            self.ledger,
            number,
            decided.transitions,
            decided.effects,
            decided.decisions,
            withheld=decided.withheld,
        )
        before = {effect.key for effect in self.ledger.effects() if effect.remote_id}
        target = Target(writes=VirtualConnection(), spec=VirtualConnection.spec())
        deliver(self.ledger, {CONNECTION: target}, clock=self.premises.clock, run_id=number)
        new = [e for e in self.ledger.effects() if e.remote_id and e.key not in before]
        self.landed += [effect.action for effect in new]
        return [str(getattr(e.action, "text", None) or vars(e.action)["subject"]) for e in new]

    def held(self) -> list[str]:
        """Why somebody is held back now."""
        return [held.reason for held in self.decide().plan.held]
