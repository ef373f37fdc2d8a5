"""A CRM in memory with the habits of real ones: ties, small pages, sorted answers, outages.

It stands in for the far side of the wire. `crmsync.testing.memory` is the connector to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.testing.remote import Effect, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crmsync.model.actions import Scalar


class WireError(Exception):
    """What goes wrong on the way: an HTTP status, or a connection that broke.

    Attributes:
        status: the HTTP status; None where the connection broke and nobody knows more.
        retry_after: as the header of that name says.
        until: when the allowance is renewed.
    """

    def __init__(
        self,
        words: str,
        *,
        status: int | None = None,
        retry_after: timedelta | None = None,
        until: datetime | None = None,
    ) -> None:
        super().__init__(words)
        self.status = status
        self.retry_after = retry_after
        self.until = until


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """A record as the remote holds it; only its present state, as everywhere.

    Attributes:
        damaged: the remote itself cannot read it any more.
    """

    id: str
    updated_at: datetime
    values: Mapping[str, Scalar] = field(default_factory=dict)
    deleted: bool = False
    merged_into: str | None = None
    damaged: bool = False

    @property
    def position(self) -> tuple[datetime, str]:
        """Where it stands among the changes."""
        return self.updated_at, self.id


@dataclass(frozen=True, kw_only=True)
class Order:
    """One item of a batch as it goes over the wire.

    Attributes:
        texts: the item's texts by name; the changed fields of an update.
        headers: of a mail, RFC 5322 header lines joined by CR LF.
        message_id, at: of a mail that is logged.
        record: what it is about; of a withdrawal, the task that is to be deleted, unless somebody
            has worked on it.
    """

    key: str
    kind: ActionKind
    texts: Mapping[str, str] = field(default_factory=dict)
    headers: str = ""
    assignee: str | None = None
    due: date | None = None
    message_id: str = ""
    at: datetime | None = None
    stream: str = ""
    record: str = ""
    expected: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The remote's answer to one item of a batch.

    Attributes:
        refusal: None where it was done.
        changed: it was refused because somebody has worked on the task.
    """

    key: str
    remote_id: str = ""
    already: bool = False
    refusal: str | None = None
    changed: bool = False


class MemoryRemote:
    """The far side.

    Args:
        page_size: the most records that one call answers with.
        keys: NATIVE dedupes by key; LOOKUP keeps the key and can be searched by it;
            UNSAFE takes no notice of it.
        lists: it has no list of changes: deleted records are gone, and whoever wants to know
            lists everything.
        kinds: what can be made there.
        token: the credential it wants; None lets everybody in.
    """

    retry_after = timedelta(seconds=7)
    quota_until = datetime(2026, 3, 3, tzinfo=UTC)
    most_orders = 10
    refused_assignee = "left-the-company"

    def __init__(
        self,
        *,
        page_size: int = 3,
        keys: KeyHandling = KeyHandling.NATIVE,
        lists: bool = False,
        kinds: tuple[ActionKind, ...] = tuple(ActionKind),
        token: str | None = None,
    ) -> None:
        self.page_size = page_size
        self.keys = keys
        self.lists = lists
        self.kinds = kinds
        self.token = token
        self.calls = 0
        self.effects: list[Effect] = []
        self._streams: dict[str, dict[str, StoredRecord]] = {}
        self._columns: dict[str, set[str]] = {}
        self._revisions: dict[str, int] = {}
        self._failures: list[tuple[int, Failure]] = []
        self._made: dict[str, str] = {}
        self._worked_on: set[str] = set()

    # What other people do there.

    def put(self, stream: str, records: Iterable[StoredRecord]) -> None:
        """Create or change records."""
        held = self._streams.setdefault(stream, {})
        for record in records:
            held[record.id] = record
            self._columns.setdefault(stream, set()).update(record.values)
            self._revisions[stream] = self.revision(stream) + 1

    def delete(self, stream: str, ids: Iterable[str], at: datetime) -> None:
        """Delete records at an instant."""
        for record_id in ids:
            gone = replace(self._streams[stream][record_id], deleted=True, updated_at=at)
            self._remove(stream, gone)

    def merge(self, stream: str, loser: str, survivor: str, at: datetime) -> None:
        """Merge a record into another at an instant."""
        gone = replace(
            self._streams[stream][loser], deleted=True, merged_into=survivor, updated_at=at
        )
        self._remove(stream, gone)

    def _remove(self, stream: str, gone: StoredRecord) -> None:
        if self.lists:
            del self._streams[stream][gone.id]
            self._revisions[stream] = self.revision(stream) + 1
        else:
            self.put(stream, [gone])

    def damage(self, stream: str, record_id: str, at: datetime) -> None:
        """Let a record become unreadable; the next `put` of it mends it."""
        record = self._streams[stream][record_id]
        self.put(stream, [replace(record, damaged=True, values={}, updated_at=at)])

    def complete_task(self, key: str) -> None:
        """Do what a task asks."""
        self._worked_on.add(key)

    def reword_task(self, key: str, text: str) -> None:
        """Give a task another body."""
        self._worked_on.add(key)
        self.effects = [
            replace(effect, texts={**effect.texts, "body": text}) if effect.key == key else effect
            for effect in self.effects
        ]

    def fail_next(self, failure: Failure, *, after_calls: int = 0) -> None:
        """Let one of the next calls fail; REJECTED depends on the order, not on the call."""
        self._failures.append((self.calls + after_calls + 1, failure))

    # What can be called over the wire. Every call counts.

    def ping(self, token: str | None) -> None:
        """Whether the token is good."""
        self._enter(token)

    def columns(self, token: str | None, stream: str) -> list[str]:
        """The names of the fields that records of a stream have."""
        self._enter(token)
        return sorted(self._columns.get(stream, set()))

    def changes(
        self, token: str | None, stream: str, after: tuple[datetime, str] | None
    ) -> list[StoredRecord]:
        """The next records after a position, by instant of change, then id."""
        self._enter(token)
        held = sorted(self._streams.get(stream, {}).values(), key=lambda record: record.position)
        return [r for r in held if after is None or r.position > after][: self.page_size]

    def listing(
        self, token: str | None, stream: str, after_id: str
    ) -> tuple[list[StoredRecord], bool]:
        """The next records by id, and whether there are more after them."""
        self._enter(token)
        held = sorted(self._streams.get(stream, {}).values(), key=lambda record: record.id)
        rest = [record for record in held if record.id > after_id]
        return rest[: self.page_size], len(rest) > self.page_size

    def revision(self, stream: str) -> int:
        """A number that grows with each change of a stream; the etag of its listing."""
        return self._revisions.get(stream, 0)

    def submit(self, token: str | None, orders: Sequence[Order]) -> list[Answer]:
        """Do a batch; answers come sorted: what was refused first, then the rest by key."""
        breaks = self._enter(token, writing=True)
        if not orders:
            raise WireError("nothing to do", status=HTTPStatus.BAD_REQUEST)
        if len(orders) > self.most_orders:
            raise WireError("too many at once", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if breaks:
            # The first half lands, then the line goes dead.
            orders = orders[: (len(orders) + 1) // 2]
        answers = [self._do(order) for order in orders]
        if breaks:
            raise WireError(f"connection reset by peer; request was made with {token}")
        return sorted(answers, key=lambda answer: (answer.refusal is None, answer.key))

    def search(self, token: str | None, keys: Sequence[str]) -> list[Answer]:
        """Those keys that are known, in no order that helps."""
        self._enter(token)
        if not keys:
            raise WireError("nothing to look for", status=HTTPStatus.BAD_REQUEST)
        known = self._made if self.keys is not KeyHandling.UNSAFE else {}
        return [
            Answer(key=key, remote_id=known[key], already=True)
            for key in sorted(set(keys), reverse=True)
            if key in known
        ]

    def _enter(self, token: str | None, *, writing: bool = False) -> bool:
        """Count a call; fail as arranged. Answers whether the line goes dead after the work."""
        self.calls += 1
        # It quotes tokens in its answers, as some do.
        if self.token is not None and token != self.token:
            raise WireError(f"token {token} is not known here", status=HTTPStatus.UNAUTHORIZED)
        for due in list(self._failures):
            number, failure = due
            if self.calls < number or (failure is Failure.UNCERTAIN and not writing):
                continue
            self._failures.remove(due)
            if failure is Failure.UNCERTAIN:
                return True
            raise self._fault(failure, token)
        return False

    def _fault(self, failure: Failure, token: str | None) -> WireError:
        match failure:
            case Failure.AUTH:
                return WireError(f"token {token} has been revoked", status=HTTPStatus.UNAUTHORIZED)
            case Failure.QUOTA:
                return WireError(
                    f"daily limit of {token} reached",
                    status=HTTPStatus.TOO_MANY_REQUESTS,
                    until=self.quota_until,
                )
            case _:
                return WireError(
                    f"down for maintenance, dear {token}",
                    status=HTTPStatus.SERVICE_UNAVAILABLE,
                    retry_after=self.retry_after,
                )

    def _do(self, order: Order) -> Answer:
        if order.kind is ActionKind.WITHDRAWAL:
            return self._withdraw(order)
        if self.keys is KeyHandling.NATIVE and order.key in self._made:
            return Answer(key=order.key, remote_id=self._made[order.key], already=True)
        refusal = self._refusal(order)
        if refusal is not None:
            return Answer(key=order.key, refusal=refusal)
        if order.kind is ActionKind.UPDATE:
            self._change(order)
        remote_id = f"{order.kind.value}-{len(self._made) + 1}"
        self._made[order.key] = remote_id
        headers = dict(
            line.split(": ", 1) for line in re.split(r"\r\n|\r|\n", order.headers) if ": " in line
        )
        subject = {"subject": headers["Subject"]} if "Subject" in headers else {}
        self.effects.append(
            Effect(
                key=order.key,
                kind=order.kind,
                texts={**order.texts, **subject},
                headers=headers,
                record=order.record,
                due=order.due,
                message_id=order.message_id,
                at=order.at,
            )
        )
        return Answer(key=order.key, remote_id=remote_id)

    def _withdraw(self, order: Order) -> Answer:
        made = [key for key, remote_id in self._made.items() if remote_id == order.record]
        there = {effect.key for effect in self.effects} & {*made}
        if there & self._worked_on:
            return Answer(key=order.key, refusal="somebody has worked on it", changed=True)
        self.effects = [effect for effect in self.effects if effect.key not in there]
        return Answer(key=order.key, remote_id=order.record, already=not there)

    def _refusal(self, order: Order) -> str | None:
        if order.assignee == self.refused_assignee:
            return f"{order.assignee} may not be given work"
        if order.kind is not ActionKind.UPDATE:
            return None
        record = self._streams.get(order.stream, {}).get(order.record)
        if record is None or record.deleted:
            return f"there is no record {order.record}"
        for name, value in order.expected.items():
            if record.values.get(name) != value:
                return f"{name} has been changed meanwhile"
        return None

    def _change(self, order: Order) -> None:
        record = self._streams[order.stream][order.record]
        # A second later than the last change: it has no clock of its own.
        later = max(r.updated_at for r in self._streams[order.stream].values()) + timedelta(
            seconds=1
        )
        values = {**record.values, **order.texts}
        self.put(order.stream, [replace(record, values=values, updated_at=later)])
