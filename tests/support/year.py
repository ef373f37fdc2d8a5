"""Months of the sample company in virtual time: its customers live, a daemon does its work.

The daemon is the real one, with a clock that is put forward to whatever it waits for. Each night
the CRM is exported anew, with what has happened since; all of it follows from a seed. What then
left the house is judged by what lies in the CRM's folder, by rules that are written here anew.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import holidays

from crmsync.app.cycle import plan_cycle
from crmsync.app.reloading import fingerprint, put_in_force
from crmsync.daemon.board import Board
from crmsync.daemon.loop import Daemon
from crmsync.daemon.work import InstalledWork
from crmsync.ledger.coming import WAKE_NOTE
from crmsync.ledger.states import WAITING, State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.actions import ActionKind
from crmsync.observe import configure_logs
from support.commands import call

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crmsync.app.workspace import Workspace
    from crmsync.ledger.values.effects import Effect

ZONES = ("Europe/Zurich", "America/New_York", "Australia/Sydney")
OPENS, CLOSES = 8, 18
_SATURDAY = 5
WEEK = timedelta(days=7)
PER_CONTACT, PER_ACCOUNT = 2, 3
_EXPORTED_AT = 5  # o'clock, UTC
_POLICY = f"""
policy:
  hours: {{weekdays: "{OPENS:02}:00-{CLOSES}:00"}}
  caps:
    - {{per: contact, at_most: {PER_CONTACT}, within: 7 days}}
    - {{per: account, at_most: {PER_ACCOUNT}, within: 7 days}}
    - {{per: owner, at_most: 12, within: 1 day, of: task}}
  stale_after: 10 days
daemon: {{schedule: daily at 07:05}}
"""
_JOURNEY = """\
rule: quiet-key-account
description: Nobody has spoken with a large customer for three weeks.
subject: account
when:
  - status: active
  - recurring_revenue: {over: 20000}
  - last_contact: {older_than: 21 days}
cooldown: 30 days
until:
  - {last_contact: {after: enrolled}, goal: true}
then:
  - id: call
    task: {assign_to: owner, subject: "Call {{ account.name }}", due: 2 business days}
  - wait: {until: [{last_reply: {after: enrolled}}], at_most: 3 business days, clock: account}
  - if: [{steps.call: not_done}]
    email: {to: primary_contact, from: company, template: relationship/quiet-champion}
  - after: 1 day
    note: {text: "Nobody has called."}
"""

Row = dict[str, str]


@dataclass(kw_only=True)
class Table:
    """An export of the CRM."""

    path: Path
    rows: list[Row]

    @classmethod
    def read(cls, folder: Path, name: str) -> Table:
        path = folder / f"{name}.csv"
        if not path.exists():  # nothing of the kind was written yet
            return cls(path=path, rows=[])
        with path.open(encoding="utf-8", newline="") as source:
            return cls(path=path, rows=list(csv.DictReader(source)))

    def write(self) -> None:
        new = self.path.with_suffix(".new")
        with new.open("w", encoding="utf-8", newline="") as target:
            writer = csv.DictWriter(target, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        new.replace(self.path)


@dataclass(kw_only=True)
class Crm:
    """What happens at the customers', and what colleagues do; each day's follows from the seed."""

    folder: Path
    seed: int
    accounts: Table = field(init=False)
    contacts: Table = field(init=False)
    activities: Table = field(init=False)
    tickets: Table = field(init=False)

    def __post_init__(self) -> None:
        for name in ("accounts", "contacts", "activities", "tickets"):
            setattr(self, name, Table.read(self.folder, name))

    def live(self, day: date) -> None:
        """A day passes, and the CRM is exported."""
        dice = Random(f"{self.seed} {day}")
        now = datetime(day.year, day.month, day.day, _EXPORTED_AT, tzinfo=UTC)
        living = [row for row in self.accounts.rows if row["status"] != "Churned"]
        for account in living:
            if dice.random() < 0.04:
                self._speak(account, now, dice)
            if dice.random() < 0.02:
                self._ask(account, now, dice)
            if account["renewal_date"] and account["renewal_date"] < day.isoformat():
                renewed = date.fromisoformat(account["renewal_date"]) + timedelta(days=365)
                account.update(renewal_date=renewed.isoformat(), updated_at=_stamp(now))
        for ticket in self.tickets.rows:
            if ticket["status"] != "closed" and dice.random() < 0.1:
                ticket.update(closed=_stamp(now), updated_at=_stamp(now), status="closed")
        if dice.random() < 0.1:
            dice.choice(self.contacts.rows).update(opted_out="yes", updated_at=_stamp(now))
        for table in (self.accounts, self.contacts, self.activities, self.tickets):
            table.write()
        self._work(dice)

    def _speak(self, account: Row, now: datetime, dice: Random) -> None:
        people = [row for row in self.contacts.rows if row["account_id"] == account["id"]]
        kind, direction = dice.choice(
            [("Call", ""), ("Meeting", ""), ("Email", "inbound"), ("Email", "outbound")]
        )
        self.activities.rows.append(
            dict.fromkeys(self.activities.rows[0], "")
            | {
                "id": f"ACT-{len(self.activities.rows) + 1:05}",
                "account_id": account["id"],
                "contact_id": dice.choice(people)["id"] if people else "",
                "owner_id": account["owner_id"],
                "type": kind,
                "direction": direction,
                "start": _stamp(now - timedelta(minutes=1)),
                "automated": "no",
                "status": "completed",
                "updated_at": _stamp(now),
            }
        )

    def _ask(self, account: Row, now: datetime, dice: Random) -> None:
        self.tickets.rows.append(
            dice.choice(self.tickets.rows)
            | {
                "id": f"TIC-{len(self.tickets.rows) + 1:05}",
                "account_id": account["id"],
                "contact_id": account["primary_contact_id"],
                "status": "open",
                "priority": dice.choice(["normal", "high"]),
                "opened": _stamp(now - timedelta(hours=dice.randrange(1, 20))),
                "closed": "",
                "updated_at": _stamp(now),
            }
        )

    def _work(self, dice: Random) -> None:
        """Colleagues do some of the tasks."""
        tasks = Table.read(self.folder, "tasks")
        for task in tasks.rows:
            if task["status"] == "open" and dice.random() < 0.2:
                task["status"] = "done"
        if tasks.rows:
            tasks.write()


def _stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def make_sample(folder: Path, start: datetime, *, each: int) -> Path:
    """The sample company with so many accounts of each zone; answers with the config."""
    assert call("demo", "--prepare", "--dir", folder, "--at", start.isoformat()).exit_code == 0
    crm = folder / "crm"
    accounts = Table.read(crm, "accounts")
    found: Counter[str] = Counter()
    kept = set()
    for row in accounts.rows:
        zone = row["time_zone"]
        if zone in ZONES and not row["merged_into"] and found[zone] < each:
            found[zone] += 1
            kept.add(row["id"])
    for path in sorted(crm.glob("*.csv")):
        if path.stem not in {"users", "orders"}:
            table = Table.read(crm, path.stem)
            own = "id" if path.stem == "accounts" else "account_id"
            table.rows = [row for row in table.rows if row[own] in kept] or table.rows[:1]
            table.write()
    config = folder / "config.yaml"
    text = config.read_text(encoding="utf-8").replace("default: 24 hours", "default: 36 hours")
    config.write_text(text + _POLICY, encoding="utf-8")
    (folder / "rules" / "quiet-key-account.yaml").write_text(_JOURNEY, encoding="utf-8")
    return config


@dataclass(kw_only=True)
class Year:
    """A company whose daemon runs over spans of virtual time."""

    config: Path
    seed: int
    instant: datetime
    ends: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    cycles: int = 0
    crm: Crm = field(init=False)
    slept: date = field(init=False)
    workspace: Workspace = field(init=False)

    def __post_init__(self) -> None:
        configure_logs(level="critical")
        self.crm = Crm(folder=self.config.parent / "crm", seed=self.seed)
        self.slept = self.instant.date()

    def now(self) -> datetime:
        return self.instant

    def over(self) -> bool:
        return self.instant >= self.ends

    def run(self, ends: datetime) -> None:
        """Have the daemon work until then. It is started anew each time, as after an update."""
        self.ends = ends
        seen, in_force = fingerprint(self.config, None), put_in_force(self.config, self)
        self.workspace = in_force.workspace
        board = Board(self, timedelta(hours=1))
        work = InstalledWork(
            self.config,
            in_force,
            seen,
            ledger=self.workspace.ledger,
            clock=self,
            board=board,
            stop=self.over,
        )

        def sleep(length: timedelta) -> None:
            self.cycles += 1
            self._pass_to(max(work.recall()[WAKE_NOTE].at, self.instant + length))

        Daemon(work=work, clock=self, sleep=sleep, stop=self.over, board=board).run()
        assert board.unready() == ()
        self.assert_nobody_is_stuck()
        work.close()

    def _pass_to(self, instant: datetime) -> None:
        while self.slept < (instant - timedelta(hours=_EXPORTED_AT)).date():
            self.slept += timedelta(days=1)
            self.crm.live(self.slept)
        self.instant = instant

    def skip_to(self, instant: datetime) -> None:
        """Nobody runs anything until then; the customers live on."""
        self._pass_to(instant)

    # What came of it.

    @property
    def effects(self) -> tuple[Effect, ...]:
        return self.workspace.ledger.effects()

    def outcome(self) -> list[tuple[str, str, str]]:
        """Everything that was decided, as one value that can be compared."""
        found = [(one.key, str(one.state), one.updated_at.isoformat()) for one in self.effects]
        for name in ("tasks", "sent", "notes"):
            rows = Table.read(self.crm.folder, name).rows
            found += [(name, row["key"], row.get("at", row.get("created_at", ""))) for row in rows]
        return sorted(found)

    def assert_nobody_is_stuck(self) -> None:
        """Whatever waits has a time to come, or a reason that a person is told."""
        now, plan = self.instant, plan_cycle(self.workspace, advance=_nobody, sync_first=False)
        told = {(one.rule, one.subject) for one in plan.held}
        told |= {(one.rule, one.subject) for one in plan.actions}
        problems = []
        for effect in self.effects:
            ref = effect.enrolment
            late = effect.not_before is not None and effect.not_before < now - timedelta(hours=1)
            if effect.state in {State.SENDING, State.UNCERTAIN, State.REJECTED}:
                problems.append(f"{effect.key} is {effect.state}: {effect.error}")
            elif effect.state in WAITING and (late or (ref.rule, ref.subject) not in told):
                problems.append(f"{effect.key} is {effect.state} until {effect.not_before}")
        ledger = self.workspace.ledger
        states, outcomes = ledger.step_states(), ledger.step_outcomes()
        for enrolment in ledger.enrolments(statuses=[EnrolmentStatus.ACTIVE]):
            ref = enrolment.ref
            over = states.get(ref, {}).keys() | outcomes.get(ref, {}).keys()
            is_over = set(enrolment.steps) <= over
            if not is_over and (ref.rule, ref.subject) not in told:
                problems.append(f"{ref} stands before {set(enrolment.steps) - over}")
            due = enrolment.next_due_at
            if (
                due is not None
                and due < now - timedelta(hours=1)
                and ((ref.rule, ref.subject) not in told)
            ):
                problems.append(f"{ref} was due at {due}")
        assert problems == []


def _nobody(_label: str, _done: int) -> None:
    """Nobody is told."""


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail that lies in the outbox of the CRM's folder."""

    key: str
    at: datetime
    contact: Row
    account: Row

    @property
    def local(self) -> datetime:
        """When it left, by the customer's clock."""
        name = self.contact["time_zone"] or self.account["time_zone"]
        return self.at.astimezone(ZoneInfo(name))

    @property
    def country(self) -> str:
        return self.contact["country"] or self.account["country"] or "CH"


def mails_to_customers(year: Year) -> list[Mail]:
    """What left the house, as the CRM's folder tells it."""
    accounts = {row["id"]: row for row in year.crm.accounts.rows}
    contacts = {row["email"].lower(): row for row in year.crm.contacts.rows}
    found = []
    for row in Table.read(year.crm.folder, "sent").rows:
        address = row["recipient"].rpartition("<")[2].rstrip(">").lower()
        contact = contacts.get(address)
        if contact is not None:
            account = accounts[contact["account_id"]]
            at = datetime.fromisoformat(row["at"])
            found.append(Mail(key=row["key"], at=at, contact=contact, account=account))
    return found


def out_of_hours(mails: Sequence[Mail]) -> list[str]:
    """Those that left at night, at a weekend or on a public holiday, where they were read."""
    found = []
    for mail in mails:
        local = mail.local
        free = holidays.country_holidays(mail.country, years=local.year)
        is_day = local.weekday() < _SATURDAY and OPENS <= local.hour < CLOSES
        if not is_day or local.date() in free:
            found.append(f"{mail.key} to {mail.contact['email']} at {local:%a %Y-%m-%d %H:%M %Z}")
    return found


def over_a_cap(year: Year, mails: Sequence[Mail]) -> list[str]:
    """Those by which somebody had more than a cap allows, counting what people had sent."""
    by_contact: dict[str, list[tuple[datetime, bool]]] = {}
    by_account: dict[str, list[tuple[datetime, bool]]] = {}
    for mail in mails:
        by_contact.setdefault(mail.contact["id"], []).append((mail.at, True))
        by_account.setdefault(mail.account["id"], []).append((mail.at, True))
    for contact, account, at in _mails_of_people(year):
        by_contact.setdefault(contact, []).append((at, False))
        by_account.setdefault(account, []).append((at, False))
    return [
        f"{who} had {len(within)} mails in the week before {at}"
        for most, times in ((PER_CONTACT, by_contact), (PER_ACCOUNT, by_account))
        for who, mails_of in times.items()
        for at, is_ours in mails_of
        if is_ours and len(within := [t for t, _ in mails_of if at - WEEK < t <= at]) > most
    ]


def _mails_of_people(year: Year) -> Iterator[tuple[str, str, datetime]]:
    for row in year.crm.activities.rows:
        by_hand = row["automated"] != "yes" and row["status"] not in {"planned", "cancelled"}
        if by_hand and (row["type"], row["direction"]) == ("Email", "outbound"):
            yield row["contact_id"], row["account_id"], datetime.fromisoformat(row["start"])


def counts(year: Year) -> dict[str, int]:
    """What happened, in figures."""
    effects = year.effects
    zones = Counter(mail.local.tzname() for mail in mails_to_customers(year))
    statuses = Counter(str(one.status) for one in year.workspace.ledger.enrolments())
    return {
        "wake-ups": year.cycles,
        **{f"enrolments {name}": number for name, number in sorted(statuses.items())},
        **{
            f"{kind} {state}": sum(
                one.action.kind is kind and one.state is state for one in effects
            )
            for kind in ActionKind
            for state in (State.DONE, State.DROPPED, State.DEFERRED)
        },
        **{f"mails in {zone}": number for zone, number in sorted(zones.items())},
    }


def told(year: Year) -> str:
    """The same, to be printed."""
    return json.dumps({name: number for name, number in counts(year).items() if number})
