"""Every error of crmsync, named by what happens next.

``str(error)`` is a whole sentence for the person who must act.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from pathlib import Path


class CrmsyncError(Exception):
    """The root: what the command line prints as one sentence, without a traceback."""


class UsageError(CrmsyncError):
    """The command was called with something that does not exist or does not fit (exit code 2)."""


class InvalidInputError(CrmsyncError):
    """Files that a person wrote hold mistakes: config, rules, segments, templates, mappings.

    Attributes:
        problems: one sentence each, in the form ``file:line:column: sentence``.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class EnoughMistakesError(InvalidInputError):
    """One file holds so many mistakes that the rest of it was not looked at; others go on."""


class StoppedError(CrmsyncError):
    """It was asked to stop, and did, between two things of which each is whole."""


class TimeWentBackError(CrmsyncError):
    """It is earlier than at the last run: set the clock right, or say that it was ahead."""


class StoreBusyError(CrmsyncError):
    """Another process holds a store, and still did after the wait."""


class StoreError(CrmsyncError):
    """A store cannot be written or read: disk full, wrong version, damaged."""


class StoreUnreachableError(StoreError):
    """A store's server is not there, or went away before anything was recorded: try again."""


class PluginError(CrmsyncError):
    """A plugin is missing or broken; the others go on."""


class ConnectorError(CrmsyncError):
    """The root of the five errors by which a connector tells the engine what happens next."""


class AuthError(ConnectorError):
    """The remote does not accept the credentials: pause the connection and tell a person."""


class TransientError(ConnectorError):
    """Nothing happened at the remote: try again.

    Attributes:
        retry_after: how long the remote asked to wait; None where it did not say.
    """

    def __init__(self, sentence: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class QuotaError(ConnectorError):
    """The remote's allowance is used up: leave this connection alone until then.

    Attributes:
        until: the instant (UTC) at which calls are allowed again.
    """

    def __init__(self, sentence: str, *, until: datetime) -> None:
        super().__init__(sentence)
        self.until = until


class RejectedError(ConnectorError):
    """The remote refuses and will refuse again: dead letter, with the remote's words.

    For a read: what the source holds cannot be read as it stands; the cursor stays.

    Attributes:
        origin: the file or object that it concerns; None where that says nothing.
        row: the record number within it, counted from 1; None where it concerns all of it.
    """

    def __init__(
        self, sentence: str, *, origin: Path | str | None = None, row: int | None = None
    ) -> None:
        super().__init__(sentence)
        self.origin = None if origin is None else str(origin)
        self.row = row


class NobodyThereError(RejectedError):
    """There is no such mailbox: dead letter, and other mail to the address is held, too."""


class ChangedError(RejectedError):
    """People have worked on what was to be taken back: it stays as it is, and a person is told."""


class UncertainError(ConnectorError):
    """It may have landed: look before any retry."""


class UntrustedError(CrmsyncError):
    """A request from outside does not prove who made it: it changes nothing."""
