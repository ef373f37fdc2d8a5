"""A company whose crmsync is killed again and again, and what the remote has received."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import IO, TYPE_CHECKING, Any

from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from crmsync.model.actions import ActionKind, KeyHandling
from support.company import TEMPLATE
from support.lives import BUSY
from support.stand_in import StandIn, standing_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

KILLED = -9
# How often crmsync is killed at random instants on either engine; 0 for the short form.
KILLS = int(os.environ.get("CRMSYNC_CHAOS", "0"))
LONG = KILLS > 0
_BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
_LANDS_WITHIN = 0.5  # seconds; a little more than the connectors declare
_LEDGER = "CRMSYNC_CHAOS_LEDGER"
_METADATA = "Metadata-Version: 2.1\nName: stand-in\nVersion: 1\n"

_CONFIG = """\
company: {{name: Vendor, email: hello@vendor.example, time_zone: Europe/Zurich, country: CH}}
existing: enrol
ledger: {ledger}
policy: {{most_actions_per_run: 100000, most_share_of_accounts: 1.0}}
freshness: {{default: 3650 days}}
connections:
  crm:
    connector: stand-in-{handling}
    http: {http}
    smtp_port: {smtp_port}
    streams:
      users: {{table: user, key: id, fields: {{name: name, email: email}}}}
      accounts:
        table: account
        key: id
        fields: {{name: name, owner: owner, renewal_date: renewal}}
      contacts:
        table: contact
        key: id
        fields: {{account: account, first_name: first, email: email}}
      activities:
        table: activity
        key: id
        fields:
          account: account
          kind: kind
          direction: direction
          at: at
          message_id: message
          status: status
"""

_RULE = """\
rule: renewal-at-risk
description: A renewal is near and nobody has spoken with the customer.
subject: account
when:
  - renewal_date: {in_next: 300 days}
  - last_contact: {older_than: 14 days}
then:
  - task:
      assign_to: owner
      subject: "Call {{ account.name }}"
  - email:
      to: primary_contact
      template: renewal/check-in
"""


@dataclass(kw_only=True)
class Chaos:
    """One company, its remote, and the process that gives birth to its crmsyncs."""

    mother: Mother
    folder: Path
    remote: StandIn
    ledger_at: Path | str
    random: Random
    mutant: str | None = None
    accounts: int = 0
    cycles: int = 0
    lives: Counter[str] = field(default_factory=Counter)
    whole_lives: list[float] = field(default_factory=list)

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def grow(self, count: int) -> None:
        """New customers, each of whom wants one task and one mail."""
        for _ in range(count):
            self.accounts += 1
            one = f"A{self.accounts}"
            account = {"id": one, "name": f"Acme {one}", "owner": "U1", "renewal": "2026-09-01"}
            self.remote.add("accounts", account)
            contact = {"id": f"C{one}", "account": one, "first": "Ann"}
            self.remote.add("contacts", contact | {"email": f"ann@{one.lower()}.example"})
            call = {"id": f"T{one}", "account": one, "kind": "call", "direction": "outbound"}
            call |= {"at": "2026-01-10T10:00:00Z", "message": "", "status": "completed"}
            self.remote.add("activities", call)

    def live(self, *jobs: dict[str, Any], minutes: int = 10) -> list[int]:
        """Lives at once; answers with how each ended."""
        self.cycles += 1
        at = _BEGAN + timedelta(minutes=minutes * self.cycles)
        common = {
            "config": str(self.folder / "config.yaml"),
            "log": str(self.folder / "log"),
            "modules": str(self.folder / "modules"),
            "environment": {_LEDGER: str(self.ledger_at)},
            "at": at.isoformat(),
            "mutant": self.mutant,
            "role": "run",
        }
        ends, seconds = self.mother.bear([common | job for job in jobs])
        assert set(ends) <= {0, KILLED, BUSY}, self.log
        if KILLED not in ends:
            self.whole_lives.append(seconds)
        self.lives.update("killed" if end == KILLED else f"ended with {end}" for end in ends)
        return ends

    def die_at(self, name: str) -> None:
        """A life that ends at a named instant; that it was reached is asserted."""
        self.grow(2)
        before: tuple[str, ...] = ()
        if name in {"delivery.uncertain_claimed", "delivery.looked_up", "delivery.found_out"}:
            # Somebody dies, somebody sees it, and what was broken off has had its time to land.
            before = ("delivery.applied", "delivery.begun")
        for instant in (*before, name):
            assert self.live({"die_at": instant}) == [KILLED], f"{instant} was not reached"
            if instant == "delivery.begun":
                time.sleep(_LANDS_WITHIN)

    def die_at_random(self, roles: Sequence[str] = ("run",)) -> None:
        """Lives that end at any instant, mostly before they are through."""
        self.grow(self.random.randint(1, 4))
        longest = sorted(self.whole_lives)[len(self.whole_lives) // 2]
        self.live(
            *({"role": role, "kill_after": self.random.uniform(0.02, longest)} for role in roles)
        )
        if State.SENDING in self.counts():
            self.lives["killed while sending"] += 1

    def settle(self) -> None:
        """Undisturbed lives, until nothing is left to be done or found out."""
        self.remote.faults = 0
        before: dict[State, int] | None = None
        for _ in range(12):
            time.sleep(_LANDS_WITHIN)
            (end,) = self.live({}, minutes=120)
            assert end == 0, self.log
            counts = self.counts()
            # What became uncertain in this life is asked for in the next one.
            going_on = {State.READY, State.SENDING, State.PLANNED} & counts.keys()
            if not going_on and counts in ({State.DONE: counts.get(State.DONE)}, before):
                return
            before = counts

    def counts(self) -> dict[State, int]:
        with Ledger(self.ledger_at) as ledger:
            return dict(ledger.effect_counts())

    def mistakes(self) -> list[str]:
        """What the remote has received, held against what is recorded, and what was wanted."""
        with Ledger(self.ledger_at) as ledger:
            effects = {effect.key: effect for effect in ledger.effects()}
        there = self.remote.tasks + self.remote.mails
        found = [f"{key} is there {count} times" for key, count in there.items() if count > 1]
        found += [f"{key} is there and nowhere recorded" for key in there if key not in effects]
        wanted = {(f"crm:A{n}", kind) for n in range(1, self.accounts + 1) for kind in _KINDS}
        known = {(effect.enrolment.subject, effect.action.kind) for effect in effects.values()}
        found += [f"{kind} for {subject} was lost" for subject, kind in sorted(wanted - known)]
        for effect in effects.values():
            landed = there[effect.key] > 0
            said = f"{effect.key} is {effect.state}: {effect.error}"
            if effect.state is State.DONE and not landed:
                found.append(f"{said}, and is not there")
            elif effect.state is State.REJECTED and landed:
                found.append(f"{said}, and is there")
            elif effect.state not in {State.DONE, State.REJECTED, State.UNCERTAIN}:
                found.append(f"{said}, and nothing is left to be done")
        return found

    def report(self) -> str:
        """What happened, in numbers."""
        counts = ", ".join(f"{count} {state}" for state, count in sorted(self.counts().items()))
        lives = ", ".join(f"{count} {how}" for how, count in sorted(self.lives.items()))
        faults = dict(self.remote.requests)
        return (
            f"lives: {lives}; wanted: {2 * self.accounts} effects of {self.accounts} customers; "
            f"remote: {self.remote.tasks.total()} tasks of {len(self.remote.tasks)} keys, "
            f"{self.remote.mails.total()} mails of {len(self.remote.mails)} keys, {faults}; "
            f"ledger: {counts}"
        )


_KINDS = (ActionKind.EMAIL, ActionKind.TASK)


def assert_sound(world: Chaos, handling: KeyHandling) -> None:
    world.settle()
    print(f"{handling}: {world.report()}")  # noqa: T201  make chaos shows it
    assert world.mistakes() == []
    counts = world.counts()
    assert counts[State.DONE] > 0
    if handling is not KeyHandling.UNSAFE:
        assert State.UNCERTAIN not in counts, "the remote could have told"
    # Handed over as often as is allowed, and each time broken off: rare.
    assert counts.get(State.REJECTED, 0) <= world.accounts // 20


@dataclass(frozen=True, kw_only=True)
class Mother:
    """The process that gives birth to crmsyncs; it knows the connectors to the stand-in."""

    births: IO[str]
    answers: IO[str]

    @classmethod
    @contextmanager
    def ready(cls, folder: Path) -> Iterator[Mother]:
        """One that lives until the end of the block."""
        _write(folder, _INSTALLED)
        path = [str(folder), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        with subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("lives.py"))],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield cls(births=process.stdin, answers=process.stdout)
            process.stdin.close()

    def bear(self, jobs: Sequence[dict[str, Any]]) -> tuple[list[int], float]:
        """Let them live at once; how each ended, and how many seconds all of it took."""
        self.births.write(json.dumps(jobs) + "\n")
        self.births.flush()
        line = self.answers.readline()
        assert line, "the process that gives birth has ended"
        answer = json.loads(line)
        return answer["ends"], answer["seconds"]


@contextmanager
def chaos(
    mother: Mother,
    folder: Path,
    handling: KeyHandling,
    ledger_at: Path | str,
    *,
    seed: int,
    faults: float = 0.08,
    mutant: str | None = None,
) -> Iterator[Chaos]:
    """A company, its remote, and its lives, until the end of the block."""
    native = handling is KeyHandling.NATIVE
    with standing_in(native=native, faults=faults, seed=seed) as remote:
        in_file = isinstance(ledger_at, Path)
        config = _CONFIG.format(
            ledger="sqlite" if in_file else f"env:{_LEDGER}",
            handling=handling,
            http=remote.http,
            smtp_port=remote.smtp_port,
        )
        _write(folder, _COMPANY | {"config.yaml": config})
        remote.add("users", {"id": "U1", "name": "Jo Meyer", "email": "jo@vendor.example"})
        yield Chaos(
            mother=mother,
            folder=folder,
            remote=remote,
            ledger_at=ledger_at,
            random=Random(seed),
            mutant=mutant,
        )


_COMPANY = {
    "rules/renewal-at-risk.yaml": _RULE,
    "templates/renewal/check-in.txt": TEMPLATE,
    "segments/.keep": "",
}
# As pip would have installed it: the plugin enters by the door that all use.
_INSTALLED = {
    "stand_in-1.dist-info/METADATA": _METADATA,
    "stand_in-1.dist-info/entry_points.txt": "[crmsync]\nstand-in = support.stand_in_plugin\n",
}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
