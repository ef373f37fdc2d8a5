"""What is told of a run: logs as stable event names plus fields, redacted in one place."""

from crmsync.observe.logs import configure_logs, logger
from crmsync.observe.redaction import printable, redact, remember_secret

__all__ = ["configure_logs", "logger", "printable", "redact", "remember_secret"]
