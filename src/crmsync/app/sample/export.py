"""The export while it is made: its rows, and the account that they are about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

    from crmsync.app.sample.dice import Dice
    from crmsync.app.sample.names import Place
    from crmsync.app.sample.people import Row
    from crmsync.app.sample.profiles import Profile


@dataclass(frozen=True, kw_only=True)
class Export:
    """All rows of the export by the name of the file, and the dice that they fall by."""

    dice: Dice
    rows: dict[str, list[Row]]

    def add(self, file: str, **values: object) -> None:
        """Add a row; its id is made from the file's name where it has none."""
        rows = self.rows.setdefault(file, [])
        if "id" not in values:
            values = {"id": f"{file[:3].upper()}-{len(rows) + 1:05d}", **values}
        rows.append(values)


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account while it is built."""

    id: str
    profile: Profile
    place: Place
    zone: str
    since: date
    renewal: date
    revenue: int
    owner: str
    contacts: tuple[str, ...]
    now: datetime
    today: date

    def ago(self, days: int, dice: Dice) -> datetime:
        """Some instant on that day before now."""
        return self.now - timedelta(days=days, minutes=dice.between(5, 300))
