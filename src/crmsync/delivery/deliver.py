"""Hands the outbox's effects to their connections, and records or finds out what became of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC
from random import Random
from typing import TYPE_CHECKING

from crmsync.clock import SystemClock, readable
from crmsync.delivery.handing import (
    NOTHING,
    PAUSE_IN_DOUBT,
    InVain,
    lease_is_short,
    stopped,
    taken_back,
    together,
)
from crmsync.delivery.outcomes import Judge, call_apply, uncertain, until_of, words
from crmsync.delivery.pace import in_pace
from crmsync.delivery.reconcile import reconcile
from crmsync.delivery.settings import Patience
from crmsync.delivery.tally import DeliveryReport, Tally
from crmsync.delivery.worker import begin_work, end_work, may_take_over, shown, worker_name
from crmsync.errors import AuthError, CrmsyncError, QuotaError, RejectedError, TransientError
from crmsync.ledger.claims import (
    Settlement,
    claim_ready,
    expire_leases,
    release_uncertain,
    settle_effects,
)
from crmsync.ledger.outbox import withhold
from crmsync.ledger.states import State
from crmsync.observe import logger
from crmsync.observe.failpoints import passing
from crmsync.plugins.calls import HangsError, call_within, hangs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, tzinfo

    import sqlalchemy as sa

    from crmsync.clock import Clock
    from crmsync.config.settings import MailRate
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect, Withheld
    from crmsync.plugins.contract import ConnectorSpec, Writes

_log = logger()


@dataclass(frozen=True, kw_only=True)
class Target:
    """An open connection that effects can go to, and what its connector declares.

    Attributes:
        rate: how fast mails may go out by it; None: as fast as it takes them.
    """

    writes: Writes
    spec: ConnectorSpec
    rate: MailRate | None = None


def deliver(
    ledger: Ledger,
    targets: Mapping[str, Target],
    *,
    clock: Clock,
    loggers: Collection[str] = (),
    run_id: int | None = None,
    worker: str | None = None,
    patience: Patience | None = None,
    random: Random | None = None,
    lease_clock: Clock | None = None,
    zone: tzinfo = UTC,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> DeliveryReport:
    """Deliver what is ready at the clock's now. Never sleeps: what must wait is left for later.

    Args:
        ledger: holds the outbox.
        targets: by name of the connection.
        clock: decides what is due; may stand still (``--at``).
        loggers: the connections that can log mail which another one has sent.
        run_id: sends only what the gates of this run have let pass; None sends all that is ready.
        worker: a name that no other delivery has; made up where it is not given.
        patience: leases, attempts, waits.
        random: draws the jitter of waits.
        lease_clock: times the leases; must run, so it is the machine's unless a test says else.
        zone: in which problems tell the time.
        progress: called with how many effects are settled, and how many there were to settle.
        stop: asked before each call; once it says yes, what is left stays for a later run.

    Raises:
        StoreError: the ledger cannot be written; what was being sent is found out later.
    """
    return _Delivery(
        ledger=ledger,
        targets=targets,
        clock=clock,
        loggers=frozenset(loggers),
        run_id=run_id,
        worker=worker or worker_name(),
        patience=patience or Patience(),
        random=random or Random(),  # noqa: S311  jitter, no secret
        lease_clock=lease_clock or SystemClock(),
        zone=zone,
        tally=Tally(progress=progress or (lambda _settled, _total: None)),
        stop=stop,
    ).run()


_IN_DOUBT = "it took one mail after the other without saying whether it will deliver it"


@dataclass(kw_only=True)
class _Delivery:
    ledger: Ledger
    targets: Mapping[str, Target]
    clock: Clock
    loggers: frozenset[str]
    run_id: int | None
    worker: str
    patience: Patience
    random: Random
    lease_clock: Clock
    zone: tzinfo
    tally: Tally
    stop: Callable[[], bool]

    def run(self) -> DeliveryReport:
        begin_work(self.worker)
        try:
            return self._run()
        finally:
            end_work(self.worker)

    def _run(self) -> DeliveryReport:
        self._expire_leases()
        passing("delivery.begun")
        self.tally.expected = self.ledger.effect_counts().get(State.READY, 0)
        pauses = self.ledger.pauses(at=self.clock.now())
        drained = []
        for name, target in sorted(self.targets.items()):
            if name in pauses:
                self._report_pause(name, *pauses[name])
            elif hangs((self.ledger.name, name)):
                self.tally.problems.append(
                    f"the connection “{name}” is left alone: an earlier call to it has still not "
                    "come back; if that lasts, end this crmsync and start it again"
                )
            elif self._reconcile(name, target) and self._drain(name, target):
                drained.append(name)
        # What connections behind them in the alphabet have sent is logged now.
        for name in drained if self.tally.mailed else ():
            if name in self.loggers:
                self._drain(name, self.targets[name])
        return self.tally.report(self.ledger, self.targets)

    def _expire_leases(self) -> None:
        now = self.lease_clock.now()
        kept = self.ledger.write(
            lambda connection: expire_leases(
                connection,
                is_free=lambda holder, until: may_take_over(holder, until, now),
                wall_clock=now,
                at=self.clock.now(),
                actor=self.worker,
            )
        )
        self.tally.problems += [
            f"{count} effects have been in the hands of {shown(holder)} for longer than they may; "
            "it is still there, so nobody else takes them: if it hangs, end it"
            for holder, (count, until) in kept.items()
            if until <= now
        ]

    def _reconcile(self, name: str, target: Target) -> bool:
        """Whether the connection can be used."""
        found = reconcile(
            self.ledger,
            name,
            target.writes,
            target.spec,
            worker=self.worker,
            patience=self.patience,
            now=self.clock.now(),
            wall_clock=self.lease_clock.now(),
            loggers=self.loggers,
        )
        self.tally.count(found.settlements)
        self.tally.problems += found.problems
        if found.error is None:
            return True
        return not (self._stops(name, [found.error]) or isinstance(found.error, TransientError))

    def _drain(self, name: str, target: Target) -> bool:
        """Whether the connection can be asked again: it was not left alone before the end."""
        in_vain = InVain(clock=self.lease_clock, most=target.spec.batch_size)
        while not self.stop():
            effects = self._claim(name, target.spec)
            if not effects:
                return True
            if self._too_late(name, effects):
                continue
            passing("delivery.claimed")
            if target.rate is not None:
                effects = self._in_pace(name, target.rate, effects)
                if not effects:
                    continue
            answers = self._hand_over(name, target, effects)
            judge = Judge(patience=self.patience, random=self.random, now=self.clock.now())
            settlements = [
                judge.settle(effect, answer)
                for effect, answer in zip(effects, answers, strict=True)
            ]
            passing("delivery.applied")
            self._settle(name, settlements, taken_back(effects, answers))
            passing("delivery.settled")
            if self._stops(name, answers) or in_vain.is_enough(answers):
                return False
            if in_vain.is_in_doubt(effects, answers):
                self._pause(name, self.clock.now() + PAUSE_IN_DOUBT, _IN_DOUBT)
                return False
        return False

    def _claim(self, name: str, spec: ConnectorSpec) -> tuple[Effect, ...]:
        """What goes by one call: only of that is unknown what became of it if this process ends."""

        def claim(connection: sa.Connection) -> tuple[Effect, ...]:
            effects = claim_ready(
                connection,
                name,
                worker=self.worker,
                now=self.clock.now(),
                lease_until=self.lease_clock.now() + self.patience.lease,
                limit=spec.batch_size,
                run_id=self.run_id,
                chosen=lambda found: together(found, spec.mails_at_once),
            )
            if effects:
                passing("delivery.claiming")
            return effects

        return self.ledger.write(claim)

    def _too_late(self, name: str, effects: Sequence[Effect]) -> bool:
        """Whether this process stood still since it claimed, so that others may have them now."""
        if not lease_is_short(effects, self.lease_clock.now() + self.patience.call):
            return False
        reason = "the process stood still between claiming it and sending it"
        self._settle(
            name,
            [
                Settlement(effect=effect, after=State.READY, reason=reason, counted=False)
                for effect in effects
            ],
        )
        return True

    def _in_pace(
        self, name: str, rate: MailRate, effects: tuple[Effect, ...]
    ) -> tuple[Effect, ...]:
        going, waiting = in_pace(self.ledger, name, rate, effects, self.clock.now())
        if waiting:
            self._settle(name, waiting)
        return going

    def _hand_over(self, name: str, target: Target, effects: Sequence[Effect]) -> list[object]:
        """One answer for each effect, in order."""
        answers: dict[int, object] = {
            one.id: RejectedError(f"the connection “{name}” cannot do “{one.action.kind}”")
            for one in effects
            if one.action.kind not in target.spec.actions
        }
        answers |= stopped(self.ledger, effects, self.clock.now())
        going = [one for one in effects if one.id not in answers]
        if going:
            applied = self._apply(name, target.writes, going)
            answers |= zip((one.id for one in going), applied, strict=True)
        return [answers[one.id] for one in effects]

    def _apply(self, name: str, writes: Writes, effects: Sequence[Effect]) -> list[object]:
        try:
            return call_within(
                self.patience.call,
                lambda: call_apply(writes, effects),
                place=(self.ledger.name, name),
                give_up=lambda: begin_work(self.worker),
                come_back=lambda answers: self._come_back(name, effects, answers),
            )
        except HangsError as error:
            return [error] * len(effects)
        except BaseException:
            # A person pressed Ctrl-C: what is under way may have landed.
            interrupted = "delivery was interrupted while this was being sent"
            under_way = hangs((self.ledger.name, name))
            self._record(
                [uncertain(effect, interrupted, under_way=under_way) for effect in effects]
            )
            raise

    def _come_back(
        self, name: str, effects: Sequence[Effect], answers: list[object] | None
    ) -> None:
        """A call for which nobody waited any more has ended; in its thread."""
        now = self.clock.now()
        judge = Judge(patience=self.patience, random=self.random, now=now)
        settlements = [
            judge.settle(effect, answer)
            for effect, answer in zip(effects, answers or [], strict=False)
        ]
        landed = [settlement for settlement in settlements if settlement.after is State.DONE]
        try:
            self._record(landed)
            since = self.lease_clock.now()
            self.ledger.write(
                lambda connection: release_uncertain(connection, self.worker, since=since)
            )
        except CrmsyncError as error:  # then it is found out by looking
            _log.warning("delivery.late_answer_lost", connection=name, error=str(error))
        finally:
            end_work(self.worker)
        _log.info("delivery.late_answer", connection=name, done=len(landed))

    def _record(
        self, settlements: Sequence[Settlement], back: Mapping[str, Sequence[Withheld]] = NOTHING
    ) -> tuple[Effect, ...]:
        at, wall_clock = self.clock.now(), self.lease_clock.now()

        def settle(connection: sa.Connection) -> tuple[Effect, ...]:
            late = settle_effects(
                connection,
                settlements,
                worker=self.worker,
                at=at,
                loggers=self.loggers,
                wall_clock=wall_clock,
            )
            for person, withheld in back.items():
                withhold(connection, withheld, at=at, actor=person)
            passing("delivery.settling")
            return late

        return self.ledger.write(settle)

    def _settle(
        self,
        name: str,
        settlements: Sequence[Settlement],
        back: Mapping[str, Sequence[Withheld]] = NOTHING,
    ) -> None:
        late = {effect.id for effect in self._record(settlements, back)}
        if late:
            self.tally.problems.append(
                f"{len(late)} answers of the connection “{name}” came after the lease had ended, "
                "and another process had taken these effects over"
            )
        kept = [settlement for settlement in settlements if settlement.effect.id not in late]
        self.tally.count(kept)
        doubtful = [kept_one for kept_one in kept if kept_one.after is State.UNCERTAIN]
        if doubtful:
            self.tally.problems.append(
                f"{len(doubtful)} effects on the connection “{name}” may have landed, or not: "
                f"{doubtful[0].reason}"
            )
        outcomes = Counter(settlement.after.value for settlement in kept)
        _log.info("delivery.batch_settled", connection=name, **outcomes)

    def _stops(self, name: str, answers: Sequence[object]) -> bool:
        """Whether the connection is to be left alone now; the reason is reported."""
        quota = next((answer for answer in answers if isinstance(answer, QuotaError)), None)
        if quota is not None:
            self._pause(name, until_of(quota, self.clock.now()), words(quota))
            return True
        hung = next((answer for answer in answers if isinstance(answer, HangsError)), None)
        if hung is not None:
            self.tally.problems.append(f"the connection “{name}” hangs, and is left alone: {hung}")
            return True
        auth = next((answer for answer in answers if isinstance(answer, AuthError)), None)
        if auth is not None:
            self.tally.problems.append(f"the connection “{name}” is paused for now: {words(auth)}")
            return True
        return False

    def _pause(self, name: str, until: datetime, reason: str) -> None:
        self.ledger.pause_connection(name, until=until, reason=reason)
        self._report_pause(name, until, reason)

    def _report_pause(self, name: str, until: datetime, reason: str) -> None:
        when = readable(until, self.zone)
        self.tally.problems.append(f"the connection “{name}” is left alone until {when}: {reason}")
