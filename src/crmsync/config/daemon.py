"""``daemon`` and ``schedule``: when ``crmsync daemon`` works, and how it ends."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from crmsync.config.base import CalendarDurationField, Settings
from crmsync.model.durations import parse_duration
from crmsync.model.schedules import PATTERN, Schedule, parse_schedule

_LISTEN = re.compile(r"(?:[^\s:/]+|\[[0-9A-Fa-f:]+\]):(\d{1,5})")
_HIGHEST_PORT = 65535


def _schedule(value: object) -> Schedule:
    return value if isinstance(value, Schedule) else parse_schedule(value)


def checked_address(text: str) -> str:
    """An address to listen at, as it was written.

    Raises:
        ValueError: it is none.
    """
    match = _LISTEN.fullmatch(text)
    if match is None or int(match[1]) > _HIGHEST_PORT:
        raise ValueError(f"“{text}” is no address to listen at; write for example 127.0.0.1:9464")
    return text


SCHEDULE_SHAPE = {
    "anyOf": [
        {"type": "string", "pattern": PATTERN},
        {
            "type": "object",
            "required": ["at"],
            "additionalProperties": False,
            "properties": {
                "at": {"type": "string", "pattern": PATTERN},
                "zone": {"type": "string"},
            },
        },
    ]
}
ScheduleField = Annotated[Schedule, BeforeValidator(_schedule), WithJsonSchema(SCHEDULE_SHAPE)]
ListenField = Annotated[
    str,
    AfterValidator(checked_address),
    WithJsonSchema({"type": "string", "pattern": f"^{_LISTEN.pattern}$"}),
]


class DaemonSettings(Settings):
    """How ``crmsync daemon`` works.

    Attributes:
        schedule: of every connection that has none of its own.
        listen: where it answers /healthz, /readyz and /metrics; None for nowhere.
        time_out: how long the reading of one connection may take.
        shutdown_grace: how long what is in hand may take to finish when it is asked to stop.
    """

    schedule: ScheduleField = parse_schedule("every 15 minutes")
    listen: ListenField | None = None
    time_out: CalendarDurationField = parse_duration("30 minutes")
    shutdown_grace: CalendarDurationField = parse_duration("1 minute")


def host_and_port(listen: str) -> tuple[str, int]:
    """The parts of an address to listen at."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
