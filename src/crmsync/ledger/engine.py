"""What both engines share: transactions, errors as sentences, and a second try after a lost one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError

from crmsync.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    import sqlalchemy as sa

    from crmsync.errors import CrmsyncError

_Answer = TypeVar("_Answer")
_ATTEMPTS = 3


class Sole(StrEnum):
    """What only one process at a time may do on a ledger."""

    EVALUATOR = "evaluator"
    DAEMON = "daemon"


BUSY = {
    Sole.EVALUATOR: (
        "another crmsync is at work on {name}: {holder}; "
        "wait until it has ended, or end it, and try again"
    ),
    Sole.DAEMON: "a crmsync daemon serves {name} already: {holder}; a ledger has one daemon only",
}


class Database(ABC):
    """Where a ledger lies.

    Attributes:
        name: what sentences call it; never with a password.
    """

    name: str
    engine: sa.Engine

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that writes; all of it is kept, or nothing.

        Raises:
            StoreBusyError: another process held what it needs for longer than the wait.
            StoreUnreachableError: the server went away; nothing of the transaction was recorded.
            StoreError: it cannot be written.
        """
        committing = False
        try:
            with self.engine.begin() as connection:
                yield connection
                committing = True
        except DBAPIError as error:
            if isinstance(error, IntegrityError):
                raise
            raise self.sentence(error.orig, committing=committing) from error

    def write(self, work: Callable[[sa.Connection], _Answer]) -> _Answer:
        """`writing`, begun anew where the server went away before anything was recorded.

        ``work`` may run several times; what counts is what it does to the database.
        """
        import tenacity  # noqa: PLC0415  not for who only reads, as `status` does

        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(StoreUnreachableError),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        ):
            with attempt, self.writing() as connection:
                answer = work(connection)
        return answer

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the ledger, that waits for nobody.

        Raises:
            StoreUnreachableError: the server went away.
            StoreError: it cannot be read.
        """
        try:
            with self.engine.connect() as connection:
                yield self.reads_only(connection)
        except DBAPIError as error:
            raise self.sentence(error.orig) from error

    @abstractmethod
    def reads_only(self, connection: sa.Connection) -> sa.Connection:
        """The connection, about to begin a transaction that sees one state and writes nothing."""

    @abstractmethod
    def hold_migrations(self, connection: sa.Connection) -> None:
        """Let no other process migrate until this transaction ends."""

    @abstractmethod
    def alone(self, sole: Sole, *, since: datetime) -> AbstractContextManager[Callable[[], None]]:
        """Be the only process that does this on this ledger, until the end of the block.

        A process that dies lets go of it. What is given makes sure of it once more: a server that
        was restarted has forgotten, and then it is taken again, or StoreBusyError raised.

        Args:
            since: the present instant, for whoever asks meanwhile.

        Raises:
            StoreBusyError: another process does it now; the sentence says which, since when.
        """

    @abstractmethod
    def who(self, sole: Sole, *, now: datetime) -> str | None:
        """Which process does this now, and since when, in the zone of ``now``; None for none."""

    @abstractmethod
    def sentence(
        self,
        cause: BaseException | None,
        *,
        committing: bool = False,
    ) -> CrmsyncError:
        """What the driver said, as a sentence for the person who must act.

        Args:
            committing: the transaction was being ended, so nobody knows whether it was kept.
        """

    def close(self) -> None:
        """Let go of it."""
        self.engine.dispose()
