"""The reference connector under the laws: an example of a `RemoteUnderTest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.clock import FixedClock
from crmsync.model.actions import CreateTask, KeyHandling
from crmsync.plugins.contract import ConnectionContext, StreamRequest
from crmsync.testing.memory import (
    ID,
    UPDATED_AT,
    MemoryConnector,
    MemoryOptions,
    MemoryStreamOptions,
    memory_spec,
)
from crmsync.testing.memory_remote import MemoryRemote, StoredRecord
from crmsync.testing.remote import Effect, Failure, Feature, RemoteUnderTest, SampleRecord
from crmsync.testing.samples import START

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from crmsync.model.actions import Action
    from crmsync.plugins.contract import Connector

TEXT = "text"


class MemoryUnderTest(RemoteUnderTest):
    """A `MemoryRemote`, and the connector to it.

    Args:
        folder: an empty folder for the file that holds the token.
        keys: how the remote honours keys.
        lists: whether it can only be listed as a whole.
        connector: the connector to put under the laws.
    """

    stream = "accounts"
    key = ID
    text = TEXT
    changed_at = UPDATED_AT
    secret = "token-7f3a9c51e0"  # noqa: S105  it opens nothing
    retry_after = MemoryRemote.retry_after
    quota_until = MemoryRemote.quota_until

    def __init__(
        self,
        folder: Path,
        *,
        keys: KeyHandling = KeyHandling.NATIVE,
        lists: bool = False,
        connector: type[MemoryConnector] = MemoryConnector,
    ) -> None:
        self.remote = MemoryRemote(keys=keys, lists=lists, token=self.secret)
        self.spec = memory_spec(self.remote, connector=connector)
        self._folder = folder
        (folder / "token").write_text(self.secret, encoding="utf-8")
        if lists:
            self.absent = {Feature.MERGES: "a listing shows only that the loser is gone"}

    def connect(self) -> Connector:
        """A new connection."""
        return self.spec.open(
            ConnectionContext(
                name="memory",
                options=MemoryOptions.model_validate({"token": f"file:{self._folder / 'token'}"}),
                streams={
                    self.stream: StreamRequest(
                        name=self.stream,
                        options=MemoryStreamOptions(),
                        columns=(ID, UPDATED_AT, TEXT),
                        key=(ID,),
                    )
                },
                folder=self._folder,
                clock=FixedClock(instant=START),
            )
        )

    def put(self, records: Sequence[SampleRecord]) -> None:
        """Create or change records."""
        self.remote.put(
            self.stream,
            [
                StoredRecord(id=r.id, updated_at=r.changed_at, values={TEXT: r.text})
                for r in records
            ],
        )

    def delete(self, ids: Sequence[str], at: datetime) -> None:
        """Delete records."""
        self.remote.delete(self.stream, ids, at)

    def merge(self, loser: str, survivor: str, at: datetime) -> None:
        """Merge a record into another."""
        self.remote.merge(self.stream, loser, survivor, at)

    def spoil(self, record_id: str, at: datetime) -> None:
        """Damage a record."""
        self.remote.damage(self.stream, record_id, at)

    def fail_next(self, failure: Failure) -> None:
        """Let the next call fail."""
        self.remote.fail_next(failure)

    def complete_task(self, key: str) -> None:
        """Do what a task asks."""
        self.remote.complete_task(key)

    def reword_task(self, key: str, text: str) -> None:
        """Give a task another body."""
        self.remote.reword_task(key, text)

    def refused_action(self, key: str) -> Action:
        """A task for somebody who may not be given work."""
        return CreateTask(key=key, subject="Call", assignee=self.remote.refused_assignee)

    def effects(self) -> Sequence[Effect]:
        """What landed."""
        return self.remote.effects
