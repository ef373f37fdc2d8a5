"""Days of a small company in virtual time, through the code that `run` and `sync` call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.app.reloading import fingerprint, put_in_force
from crmsync.daemon.board import Board
from crmsync.daemon.loop import Daemon
from crmsync.daemon.work import InstalledWork
from crmsync.ledger.coming import WAKE_NOTE
from crmsync.ledger.states import State
from crmsync.observe import configure_logs
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from pathlib import Path

# A Friday evening in Zurich; on Sunday the clock goes forward.
START = datetime(2026, 3, 27, 20, tzinfo=UTC)
MONDAY_AT_TEN = datetime(2026, 3, 30, 8, tzinfo=UTC)
OPTIONS = """\
policy: {hours: {weekdays: "10:00-18:00", unknown_zone: company}}
daemon: {schedule: every 12 hours}
"""


@dataclass(kw_only=True)
class Days:
    instant: datetime = START
    ends: datetime = MONDAY_AT_TEN + timedelta(hours=1)

    def now(self) -> datetime:
        return self.instant

    def over(self) -> bool:
        return self.instant >= self.ends


def test_a_mail_of_friday_night_goes_out_on_monday_at_ten(tmp_path: Path) -> None:
    configure_logs(level="critical")
    accounts = "id,name,owner,tier,renewal\nA1,Acme,U1,gold,2026-04-20\n"
    config = make_company(tmp_path, config=CONFIG + OPTIONS, accounts=accounts)
    days = Days()
    seen, in_force = fingerprint(config), put_in_force(config, days)
    ledger = in_force.workspace.ledger
    board = Board(days, timedelta(hours=1))
    work = InstalledWork(
        config, in_force, seen, ledger=ledger, clock=days, board=board, stop=days.over
    )

    def sleep(length: timedelta) -> None:
        # As far as it has noted that nothing is due, and not a poll at a time.
        days.instant = max(work.recall()[WAKE_NOTE].at, days.instant + length)

    Daemon(work=work, clock=days, sleep=sleep, stop=days.over, board=board).run()
    work.close()
    done = {effect.action.kind.value: effect for effect in ledger.effects(states=[State.DONE])}
    assert ledger.history_of(done["task"].id)[0].at == START
    assert ledger.history_of(done["email"].id)[0].at == START
    assert done["email"].updated_at == MONDAY_AT_TEN
    assert len(ledger.effects()) == 2
    assert board.unready() == ()
    syncs = {at for at in (run.at for run in ledger.last_runs(100)) if at.hour in {8, 20}}
    assert len(syncs) == 6
