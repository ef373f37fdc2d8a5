"""Reads the keys of a rule that have a default."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from crmsync.config.settings import Existing
from crmsync.config.yaml import nearest
from crmsync.model.durations import Duration, parse_duration
from crmsync.model.schedules import Schedule, parse_schedule
from crmsync.rules.language import OnChange
from crmsync.rules.operators import DAY_PATTERN, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.config.yaml import Document, Problems

HIGHEST_PRIORITY = 100

_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, kw_only=True)
class OptionsParser:
    """Reads the options of one rule; mistakes are noted."""

    document: Document
    problems: Problems

    def duration(self, key: str) -> Duration | None:
        """A length of time; None where the key is not there."""
        return self._parsed(key, parse_duration)

    def repeat_every(self) -> Duration | None:
        """How long after a round the next one comes; None where there is one only."""
        every = self.duration("repeat_every")
        if every is None or every.business_days or every.length:
            return every
        self._note("repeat_every", "without any time in between it would never come to an end")
        return None

    def schedule(self) -> Schedule | None:
        """When the daemon lets anybody in; None where it does so at any time."""
        return self._parsed("schedule", parse_schedule)

    def _parsed(self, key: str, parse: Callable[[object], _Parsed]) -> _Parsed | None:
        if key not in self.document.data:
            return None
        try:
            return parse(self.document.data[key])
        except ValueError as error:
            self._note(key, str(error))
            return None

    def day(self, key: str) -> date | None:
        """A date; None where the key is not there."""
        if key not in self.document.data:
            return None
        value = self.document.data[key]
        if isinstance(value, str) and re.fullmatch(DAY_PATTERN, value):
            with suppress(ValueError):  # the 30th of February
                return date.fromisoformat(value)
        self._note(key, f"“{key}” is a day such as 2027-06-30, and not {shown(value)}")
        return None

    def existing(self) -> Existing | None:
        """What a new rule does with those that match already; None where the config says so."""
        if "existing" not in self.document.data:
            return None
        value = self.document.data["existing"]
        if value not in list(Existing):
            hint = nearest(value, list(Existing))
            self._note("existing", f"“existing” cannot be {shown(value)}{hint}")
            return None
        return Existing(value)

    def on_change(self) -> OnChange:
        """What becomes of those inside when the rule changes."""
        value = self.document.data.get("on_change", OnChange.FINISH)
        if value in list(OnChange):
            return OnChange(value)
        hint = nearest(value, list(OnChange))
        self._note("on_change", f"“on_change” cannot be {shown(value)}{hint}")
        return OnChange.FINISH

    def labels(self) -> tuple[str, ...]:
        """Words to group rules by."""
        value = self.document.data.get("labels", [])
        labels = value if isinstance(value, list) else [value]
        if not all(isinstance(label, str) for label in labels):
            self._note("labels", "“labels” is a list of texts")
            return ()
        return tuple(labels)

    def priority(self) -> int:
        """Which rule comes first where a cap leaves room for some actions only."""
        value = self.document.data.get("priority", 50)
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        if not whole or not 0 <= value <= HIGHEST_PRIORITY:
            self._note(
                "priority",
                f"“priority” is a whole number from 0 to {HIGHEST_PRIORITY}, and not "
                f"{shown(value)}",
            )
            return 0
        return int(value)

    def _note(self, key: str, sentence: str) -> None:
        self.problems.add(self.document.place((key,)), sentence)
