"""structlog, set up once by the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from crmsync.observe.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact(value, personal=True)
    if isinstance(value, dict):
        return {key: _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value), personal=True)


def _redact_event(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    return {key: _redacted(value) for key, value in event.items()}


class _CurrentStderr:
    """Writes to whatever stderr is at that moment; tests and pagers replace it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(*, level: str = "warning", as_json: bool = False) -> None:
    """Send events of ``level`` and above to stderr, as text or as one JSON object a line."""
    stream: TextIO = _CurrentStderr()  # type: ignore[assignment]  # it has what PrintLogger calls
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            structlog.processors.JSONRenderer()
            if as_json
            else structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )


def logger(**fields: object) -> structlog.typing.FilteringBoundLogger:
    """A logger that adds these fields to each of its events."""
    return structlog.get_logger(**fields)  # type: ignore[no-any-return]  # structlog's own signature says Any
