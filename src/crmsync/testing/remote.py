"""What the author of a connector tells the laws about the remote, in one class."""
# ruff: noqa: ARG002  a method that was left out has no use for its arguments

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from crmsync.model.actions import CustomAction
from crmsync.testing.samples import sample_action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime, timedelta

    from crmsync.model.actions import Action, ActionKind
    from crmsync.plugins.contract import Connector, ConnectorSpec


def _left_out(method: str, part: str) -> NotImplementedError:
    return NotImplementedError(
        f"give the remote under test `{method}`, or declare {part} absent, with the reason"
    )


def _no_withdrawals(method: str) -> NotImplementedError:
    return NotImplementedError(
        f"give the remote under test `{method}`, or name no withdrawals among the spec's actions"
    )


class Feature(StrEnum):
    """What not every remote can do; what is missing is declared in ``absent``."""

    READS = "reads"  # it has streams
    WRITES = "writes"  # actions can be applied to it
    PAGES = "pages"  # 25 records do not fit on one page
    DELETIONS = "deletions"  # a read tells what was deleted
    MERGES = "merges"  # a read tells into which record another was merged
    UNREADABLE = "unreadable"  # a record can be in a state in which it cannot be read
    LINKS = "links"  # a task, a note or a logged mail is attached to a record
    DUE_DAYS = "due_days"  # a task has a day by which it is due
    COMPARES = "compares"  # an update is refused where the record has moved on
    SECRETS = "secrets"  # it wants credentials


class Failure(StrEnum):
    """How a remote can fail, one for each of the five errors."""

    AUTH = "auth"  # the credentials are not accepted
    TRANSIENT = "transient"  # nothing happened; again later
    QUOTA = "quota"  # the allowance is used up
    REJECTED = "rejected"  # one action is refused
    UNCERTAIN = "uncertain"  # the effect landed, the answer was lost


@dataclass(frozen=True, kw_only=True)
class SampleRecord:
    """A record as the laws put it into the remote.

    Attributes:
        id: the remote's id; letters, digits and hyphens.
        changed_at: the instant (UTC, whole seconds) of the change, for remotes that keep one.
        text: any text at all.
    """

    id: str
    changed_at: datetime
    text: str


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Something that an action left at the remote.

    Attributes:
        key: the action's key as the remote keeps it; empty where it keeps none.
        texts: what the remote holds of the action's texts, by the action's own names: ``subject``
            and ``body`` of a task; ``subject``, ``text`` and ``html`` of a mail, sent or logged;
            ``text`` of a note; for an update the remote's field names.
        headers: of a mail that travels as RFC 5322 text, the headers as they are read back.
        record: the remote's id of the record that it is attached to, or that it updated.
        due: of a task, the day by which it is due.
        message_id: of a logged mail, the Message-ID that the remote keeps, with or without angle
            brackets.
        at: of a logged mail, the instant at which the remote says that it was sent.
        closed: of a task, whether it stands there as one that nobody is to do any more; one that
            was deleted is no effect at all.
    """

    key: str
    kind: ActionKind
    texts: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    record: str = ""
    due: date | None = None
    message_id: str = ""
    at: datetime | None = None
    closed: bool = False


class RemoteUnderTest(ABC):
    """A remote, and the way to it: a fake server, a sandbox, a folder.

    The laws ask for it by the fixture ``remote`` and want a fresh, empty one for each test.
    Set the fake to pages of less than ten records, so that 25 records need several.

    Attributes:
        spec: what the plugin registers.
        stream: the name of a stream of ``connect()`` in which ``put`` shows.
        key: the column of that stream that holds the remote's id.
        text: the column of that stream that holds the record's text.
        changed_at: the column by which changes are ordered, an instant or a number that grows;
            None where there is none.
        table: the canonical table that the stream is mapped to.
        secret: the text of the credential that ``connect()`` uses; None where there is none.
        retry_after: what the remote answers, on a transient failure, to when it may be asked again.
        quota_until: what the remote answers, when the quota is used up, to when it is renewed.
        longest_text: how many characters a text of a record, note or task may have.
        absent: what the remote cannot do, each with the reason as one sentence. It is strict:
            what is declared absent and works all the same is a failure.
    """

    spec: ConnectorSpec
    stream: str
    key: str
    text: str
    changed_at: str | None = None
    table: str = "account"
    secret: str | None = None
    retry_after: timedelta | None = None
    quota_until: datetime | None = None
    longest_text: int = 100_000
    absent: Mapping[Feature | Failure, str] = {}

    @abstractmethod
    def connect(self) -> Connector:
        """A new connection to this remote, through ``spec.open``."""

    def sample_id(self, remote_id: str) -> str:
        """The id by which the laws know the record that has this id at the remote.

        Override it where the remote makes its ids itself; `delete`, `merge`, `spoil` and `action`
        are then told the laws' own.
        """
        return remote_id

    def put(self, records: Sequence[SampleRecord]) -> None:
        """Create or change these records, as somebody else at the remote would."""
        raise _left_out("put", "Feature.READS")

    def delete(self, ids: Sequence[str], at: datetime) -> None:
        """Delete these records, as somebody else at the remote would at that instant."""
        raise _left_out("delete", "Feature.DELETIONS")

    def merge(self, loser: str, survivor: str, at: datetime) -> None:
        """Merge one record into another, as somebody else at the remote would at that instant."""
        raise _left_out("merge", "Feature.MERGES")

    def spoil(self, record_id: str, at: datetime) -> None:
        """Damage this record at the remote, so that it cannot be read; a `put` mends it."""
        raise _left_out("spoil", "Feature.UNREADABLE")

    def fail_next(self, failure: Failure) -> None:
        """Let the next call over the wire fail; the calls after it work again.

        Called with AUTH, TRANSIENT, QUOTA, and UNCERTAIN: for the last one, the next write lands
        (all of it, or the first few actions), and then the connection breaks before the answer.
        """
        raise _left_out("fail_next", "the failures")

    def refused_action(self, key: str) -> Action:
        """An action that this remote refuses, for instance about a record that does not exist."""
        raise _left_out("refused_action", "Failure.REJECTED")

    def complete_task(self, key: str) -> None:
        """Complete the task that was made under this key, as a colleague would."""
        raise _no_withdrawals("complete_task")

    def reword_task(self, key: str, text: str) -> None:
        """Give the task that was made under this key another body, as a colleague would."""
        raise _no_withdrawals("reword_task")

    def effects(self) -> Sequence[Effect]:
        """What really landed, read from the remote itself and not through the connector.

        An effect that was made twice stands here twice.
        """
        raise _left_out("effects", "Feature.WRITES")

    def action(self, kind: ActionKind, key: str, text: str, about: str) -> Action:
        """An action of that kind that carries the text, about an existing record.

        Override it where the remote wants more, such as an assignee that exists.
        """
        sample = sample_action(
            kind, key=key, text=text, about=about, table=self.table, stream=self.stream,
            column=self.text,
        )  # fmt: skip
        if isinstance(sample, CustomAction) and self.spec.custom:
            own = self.spec.custom[0]
            texts = dict.fromkeys(own.needed or own.takes, text)
            return replace(sample, name=own.name, texts=texts)
        return sample
