"""A company whose crmsync is killed again and again, and what the remote has received."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import IO, TYPE_CHECKING, Any

import yaml

from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from crmsync.ledger.values.runs import Answer
from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.model.own_mail import log_key
from support.companies import OneRule, freely
from support.lives import BUSY
from support.stand_in import StandIn, standing_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from support.companies import Company

    # Returns at the instant at which a process is to be killed.
    Death = Callable[[int], None]

KILLED = -9
# How often crmsync is killed at random instants on either engine; 0 for the short form.
KILLS = int(os.environ.get("CRMSYNC_CHAOS", "0"))
LONG = KILLS > 0
ENGINES = ("sqlite", "postgresql")
_LANDS_WITHIN = 0.5  # seconds; a little more than the connectors declare
_SETTLING = timedelta(hours=1)
_LEDGER = "CRMSYNC_CHAOS_LEDGER"


@dataclass(kw_only=True)
class Chaos:
    """One company, its remote, and the process that gives birth to its crmsyncs.

    Attributes:
        whole_lives: how many seconds each birth of lives took that nobody ended.
    """

    mother: Mother
    company: Company
    folder: Path
    remote: StandIn
    ledger_at: Path | str
    random: Random
    now: datetime
    mutant: str | None = None
    cycles: int = 0
    twins: int = 0
    lives: Counter[str] = field(default_factory=Counter)
    whole_lives: list[float] = field(default_factory=list)

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def grow(self, customers: int) -> None:
        """New customers, each of whom wants something."""
        self.company.grow(self.remote, customers)

    def live(self, *jobs: dict[str, Any], deaths: Sequence[Death] = ()) -> list[int]:
        """Lives at once; answers with how each ended."""
        self.cycles += 1
        self.now += self.company.step
        ends, seconds = self._bear(*jobs, deaths=deaths)
        self.lives.update(_HOW[end] for end in ends)
        if KILLED not in ends:
            self.whole_lives.append(seconds)
        return ends

    def _bear(self, *jobs: dict[str, Any], deaths: Sequence[Death] = ()) -> tuple[list[int], float]:
        common = {
            "config": str(self.folder / "config.yaml"),
            "log": str(self.folder / "log"),
            "modules": str(self.folder / "modules"),
            "environment": {_LEDGER: str(self.ledger_at)},
            "at": self.now.isoformat(),
            "mutant": self.mutant,
            "role": "run",
        }
        ends, seconds = self.mother.bear([common | job for job in jobs], deaths=deaths)
        assert set(ends) <= _HOW.keys(), self.log
        return ends, seconds

    def plan(self) -> set[tuple[str, str]]:
        """What crmsync would make of the remote if it began today: rule and subject."""
        self.twins += 1
        config = yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))
        config |= {"ledger": "sqlite", "state": f"twin-{self.twins}"}
        path, answer = self.folder / "twin.yaml", self.folder / "twin.json"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        job = {"role": "plan", "config": str(path), "answer": str(answer)}
        assert self._bear(job)[0] == [0], self.log
        return {(rule, subject) for rule, subject in json.loads(answer.read_text(encoding="utf-8"))}

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
        """Lives that end at any instant, the first every other time while it is sending.

        Now and then they are let live: only then is known how long that takes just now.
        """
        self.grow(self.random.randint(1, 4))
        longest = self.whole_lives[-1]
        jobs = [{"role": role, "seconds": longest} for role in roles]
        if self.cycles % 10 == 0:
            self.live(*jobs)
            return
        first = self._at_a_call() if self.cycles % 2 else self._within(longest)
        self.live(*jobs, deaths=[first, *(self._within(longest) for _ in roles[1:])])
        if State.SENDING in self.counts():
            self.lives["left something half sent"] += 1

    def _within(self, seconds: float) -> Death:
        instant = time.monotonic() + self.random.uniform(0.02, seconds)

        def death(process: int) -> None:
            while time.monotonic() < instant and not _has_ended(process):
                time.sleep(0.005)

        return death

    def _at_a_call(self) -> Death:
        """Shortly after the remote was called so many times."""
        calls = self.remote.requests["calls"] + self.random.randint(1, 6)
        then = self.random.uniform(0, self.remote.thinks)

        def death(process: int) -> None:
            while self.remote.requests["calls"] < calls and not _has_ended(process):
                time.sleep(0.002)
            time.sleep(then)

        return death

    def settle(self) -> None:
        """Undisturbed lives, until nothing is left to be done or found out."""
        self.remote.faults = self.remote.thinks = 0
        self.now = self.company.settles or self.now
        before: dict[State, int] | None = None
        for _ in range(12):
            time.sleep(_LANDS_WITHIN)
            self.now += _SETTLING
            assert self.live({}) == [0], self.log
            counts = self.counts()
            # What became uncertain in this life is asked for in the next one.
            going_on = {State.READY, State.SENDING} & counts.keys()
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
            (last,) = ledger.last_runs(1, kind="run")
            held = ledger.decisions(run_id=last.id)
        there = self.remote.tasks + self.remote.mails + self.remote.logs
        found = [f"{key} is there {count} times" for key, count in there.items() if count > 1]
        found += [f"{key} is there and nowhere recorded" for key in there if key not in effects]
        # Where a mail's words cannot be found there is no effect, but somebody is told.
        told = {(one.rule, one.subject) for one in held if one.answer is Answer.HOLD}
        found += self.company.lost([*effects.values()], lambda: self.plan() - told)
        found += [
            f"{effect.key} is done, and its log was lost"
            for effect in effects.values()
            if effect.action.kind is ActionKind.EMAIL
            and effect.state is State.DONE
            and effect.connection != effect.source
            and log_key(effect.key) not in effects
        ]
        for effect in effects.values():
            landed = there[effect.key] > 0
            said = f"{effect.key} is {effect.state}: {effect.error}"
            if effect.state is State.DONE and not landed:
                found.append(f"{said}, and is not there")
            elif effect.state not in self.company.ends:
                found.append(f"{said}, and nothing is left to be done")
            elif effect.state not in {State.DONE, State.UNCERTAIN} and landed:
                found.append(f"{said}, and is there")
        return found

    def report(self) -> str:
        """What happened, in numbers."""
        counts = ", ".join(f"{count} {state}" for state, count in sorted(self.counts().items()))
        lives = ", ".join(f"{count} {how}" for how, count in sorted(self.lives.items()))
        remote = self.remote
        return (
            f"lives: {lives}; "
            f"remote: {remote.tasks.total()} tasks of {len(remote.tasks)} keys, "
            f"{remote.mails.total()} mails of {len(remote.mails)} keys, "
            f"{remote.logs.total()} logs of {len(remote.logs)} keys, {dict(remote.requests)}; "
            f"ledger: {counts}"
        )


def _kill(process: int, comes: Death) -> None:
    comes(process)
    os.kill(process, signal.SIGKILL)  # a zombie at worst: nobody has collected it yet


def _has_ended(process: int) -> bool:
    """Whether a process is a zombie: its parent has not collected it."""
    stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    return stat.rpartition(")")[2].split()[0] == "Z"


_HOW = {0: "ended", KILLED: "killed", BUSY: "found another at work"}


def assert_sound(world: Chaos, handling: KeyHandling) -> None:
    world.settle()
    print(f"{handling}: {world.report()}")  # noqa: T201  make chaos shows it
    mistakes = world.mistakes()
    assert not mistakes, "\n".join(mistakes)
    counts = world.counts()
    assert counts[State.DONE] > 0
    if handling is not KeyHandling.UNSAFE:
        assert State.UNCERTAIN not in counts, "the remote could have told"
    # Handed over as often as is allowed, and each time broken off: rare.
    assert counts.get(State.REJECTED, 0) <= counts[State.DONE] // 20


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
            # Without -P, modules beside it would stand before those of libraries.
            [sys.executable, "-P", str(Path(__file__).with_name("lives.py"))],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            mother = cls(births=process.stdin, answers=process.stdout)
            assert "ready" in mother._answer()
            yield mother
            process.stdin.close()

    def bear(
        self, jobs: Sequence[dict[str, Any]], *, deaths: Sequence[Death] = ()
    ) -> tuple[list[int], float]:
        """Let them live at once; how each ended, and how many seconds all of it took."""
        self._tell(jobs)
        born = self._answer()["born"]
        with ThreadPoolExecutor() as threads:
            list(threads.map(_kill, born, deaths))
        self._tell("collect")
        answer = self._answer()
        return answer["ends"], answer["seconds"]

    def _tell(self, what: object) -> None:
        self.births.write(json.dumps(what) + "\n")
        self.births.flush()

    def _answer(self) -> dict[str, Any]:
        line = self.answers.readline()
        assert line, "the process that gives birth has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def chaos(
    mother: Mother,
    folder: Path,
    handling: KeyHandling,
    ledger_at: Path | str,
    *,
    seed: int,
    company: Company | None = None,
    faults: float = 0.08,
    mutant: str | None = None,
) -> Iterator[Chaos]:
    """A company, its remote, and its lives, until the end of the block."""
    company = company or OneRule()
    native = handling is KeyHandling.NATIVE
    with standing_in(native=native, faults=faults, seed=seed) as remote:
        config = freely(company.config())
        config["ledger"] = "sqlite" if isinstance(ledger_at, Path) else f"env:{_LEDGER}"
        for connection in config["connections"].values():
            connection |= {
                "connector": f"stand-in-{handling}",
                "http": remote.http,
                "smtp_port": remote.smtp_port,
            }
        text = yaml.safe_dump(config, allow_unicode=True)
        _write(folder, {**company.files(), "config.yaml": text})
        world = Chaos(
            mother=mother,
            company=company,
            folder=folder,
            remote=remote,
            ledger_at=ledger_at,
            random=Random(seed),
            now=company.began,
            mutant=mutant,
        )
        company.begin(remote, world.plan)
        yield world


# As pip would have installed it: the plugin enters by the door that all use.
_INSTALLED = {
    "stand_in-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: stand-in\nVersion: 1\n",
    "stand_in-1.dist-info/entry_points.txt": "[crmsync]\nstand-in = support.stand_in_plugin\n",
}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
