"""The reference connector: what a good one does, against a CRM in memory."""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

import pyarrow as pa

from crmsync.config.base import Settings
from crmsync.config.secrets import Secret
from crmsync.errors import (
    AuthError,
    ChangedError,
    ConnectorError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.model.actions import (
    ActionKind,
    AddNote,
    CreateTask,
    CustomAction,
    CustomKind,
    KeyHandling,
    LogEmail,
    Receipt,
    SendEmail,
    UpdateFields,
    WithdrawTask,
)
from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, Page, Snapshot
from crmsync.model.tables import FieldType
from crmsync.plugins.contract import ConnectorSpec, Finding, RemoteField
from crmsync.testing.memory_remote import Order, WireError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from crmsync.model.actions import Action
    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import ConnectionContext
    from crmsync.testing.memory_remote import Answer, MemoryRemote, StoredRecord

ID = "id"
UPDATED_AT = "updated_at"


class MemoryOptions(Settings):
    """Keys of a connection."""

    token: Secret | None = None


class MemoryStreamOptions(Settings):
    """A stream has no keys of its own."""


class MemoryConnector:
    """A connection to a `MemoryRemote`."""

    def __init__(self, remote: MemoryRemote, context: ConnectionContext) -> None:
        self._remote = remote
        options = context.options
        assert isinstance(options, MemoryOptions)
        self._token = None if options.token is None else options.token.reveal()

    def check(self) -> Sequence[Finding]:
        """Whether the token is good."""
        try:
            self._remote.ping(self._token)
        except WireError as fault:
            error = self._translated(fault)
            if isinstance(error, AuthError):
                return [Finding(sentence=str(error))]
            raise error from None
        return []

    def close(self) -> None:
        """Nothing is held open."""

    # Reading.

    def describe(self, stream: str) -> Sequence[RemoteField]:
        """The fields of a stream; `id` and `updated_at` belong to the remote."""
        try:
            names = self._remote.columns(self._token, stream)
        except WireError as fault:
            raise self._translated(fault) from None
        return [
            RemoteField(name=ID, type=FieldType.TEXT, writable=False),
            RemoteField(name=UPDATED_AT, type=FieldType.INSTANT, writable=False),
            *(RemoteField(name=name) for name in names),
        ]

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        """Changes since the cursor, or a listing where the remote has no list of changes."""
        try:
            if self._remote.lists:
                yield from self._listing(stream, since)
            else:
                yield from self._changes(stream, since)
        except WireError as fault:
            raise self._translated(fault) from None

    def _changes(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        """A change may share its instant with the last one read, so that instant is read again.

        The cursor is an instant and a digest of what was read of it; where that instant holds
        nothing else by now, it is passed over.
        """
        columns = self._remote.columns(self._token, stream)
        start, handed = self._start(stream, since)
        for batch in self._batches(stream, start):
            newest = batch[-1].updated_at
            handed = [r for r in [*handed, *batch] if r.updated_at == newest]
            cursor = json.dumps({"at": newest.isoformat(), "seen": _digest(handed)})
            yield Page(records=_table(stream, batch, columns), cursor=cursor)

    def _start(
        self, stream: str, since: Cursor | None
    ) -> tuple[tuple[datetime, str] | None, list[StoredRecord]]:
        """The position after which to read, and what is known already of its instant."""
        if since is None:
            return None, []
        state = json.loads(since)
        at = datetime.fromisoformat(state["at"])
        before = (at, "")
        changes = itertools.chain.from_iterable(self._batches(stream, before))
        tied = list(itertools.takewhile(lambda record: record.updated_at == at, changes))
        if _digest(tied) == state["seen"]:
            return tied[-1].position, tied
        return before, []

    def _batches(
        self, stream: str, after: tuple[datetime, str] | None
    ) -> Iterator[list[StoredRecord]]:
        while batch := self._remote.changes(self._token, stream, after):
            yield batch
            after = batch[-1].position

    def _listing(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        """Everything, by id. A listing that broke off goes on only if nothing has changed."""
        revision = self._remote.revision(stream)
        columns = self._remote.columns(self._token, stream)
        state = json.loads(since) if since is not None else {"revision": None}
        if state["revision"] != revision:
            state = {"listing": secrets.token_hex(8), "after": "", "whole": True}
        listing, after, whole = str(state["listing"]), state["after"], bool(state["whole"])
        while after is not None:
            batch, more = self._remote.listing(self._token, stream, after)
            after = batch[-1].id if more else None
            # A listing that could not read a record has not named it, so it may not end.
            whole = whole and not any(record.damaged for record in batch)
            position = {"listing": listing, "revision": revision, "after": after, "whole": whole}
            yield Page(
                records=_table(stream, batch, columns),
                cursor=json.dumps(position),
                snapshot=Snapshot(id=listing, last=whole and not more),
            )

    # Writing.

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Send what can be sent as one batch, and put the answers back in order."""
        refused: dict[str, Receipt | ConnectorError] = {}
        orders: list[Order] = []
        for action in actions:
            try:
                orders.append(self._order(action))
            except RejectedError as error:
                refused[action.key] = error
        answers = {**refused, **self._submitted(orders)}
        return [answers[action.key] for action in actions]

    def _submitted(self, orders: Sequence[Order]) -> Mapping[str, Receipt | ConnectorError]:
        if not orders:
            return {}
        try:
            answers = self._remote.submit(self._token, orders)
        except WireError as fault:
            error = self._translated(fault, sent=True)
            return {order.key: error for order in orders}
        return {answer.key: self._outcome(answer) for answer in answers}

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """Those that landed, by the key that the remote keeps with each."""
        if not keys:
            return {}
        try:
            answers = self._remote.search(self._token, keys)
        except WireError as fault:
            raise self._translated(fault) from None
        return {answer.key: _receipt(answer) for answer in answers}

    def _outcome(self, answer: Answer) -> Receipt | ConnectorError:
        if answer.changed:
            return ChangedError(f"the task stays: {answer.refusal}")
        if answer.refusal is not None:
            return RejectedError(f"the remote refuses it: {answer.refusal}")
        return _receipt(answer)

    def _order(self, action: Action) -> Order:
        if action.kind not in self._remote.kinds:
            raise RejectedError(f"this remote has no {action.kind}s")
        about = "" if isinstance(action, UpdateFields) or not action.about else action.about[0].id
        match action:
            case CreateTask():
                return Order(
                    key=action.key,
                    kind=action.kind,
                    texts={"subject": action.subject, "body": action.body},
                    assignee=action.assignee,
                    due=action.due,
                    record=about,
                )
            case SendEmail():
                html = {} if action.html is None else {"html": action.html}
                return Order(
                    key=action.key,
                    kind=action.kind,
                    texts={"text": action.text} | html,
                    headers=_headers(action),
                    record=about,
                )
            case LogEmail():
                html = {} if action.html is None else {"html": action.html}
                return Order(
                    key=action.key,
                    kind=action.kind,
                    texts={"subject": action.subject, "text": action.text} | html,
                    message_id=action.message_id,
                    at=action.at,
                    record=about,
                )
            case AddNote():
                texts = {"text": action.text}
                return Order(key=action.key, kind=action.kind, texts=texts, record=about)
            case CustomAction():
                return Order(
                    key=action.key, kind=action.kind, texts=dict(action.texts), record=about
                )
            case UpdateFields():
                return Order(
                    key=action.key,
                    kind=action.kind,
                    texts={name: str(value) for name, value in action.changes.items()},
                    stream=action.stream,
                    record=action.record.id,
                    expected=action.expected,
                )
            case WithdrawTask():
                return Order(key=action.key, kind=action.kind, record=action.remote_id)

    # Failing.

    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        """The error that says what happens next.

        The remote quotes the token in its answers, so its own words are not repeated, and the
        fault is not chained.
        """
        match fault.status:
            case HTTPStatus.UNAUTHORIZED:
                return AuthError("the remote does not accept the token; make a new one there")
            case HTTPStatus.TOO_MANY_REQUESTS if fault.until is not None:
                return QuotaError("the remote's daily limit is reached", until=fault.until)
            case None if sent:
                return UncertainError("the connection broke before the remote answered")
            case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                return RejectedError("the remote takes fewer at once than it was sent")
            case _:
                return TransientError("the remote is down", retry_after=fault.retry_after)


# The kind of action that it adds to the language of rules.
_SAY = CustomKind(
    name="say", description="Says something.", takes={"text": "What is said."}, needed=("text",)
)


def memory_spec(
    remote: MemoryRemote,
    *,
    name: str = "memory",
    connector: type[MemoryConnector] = MemoryConnector,
) -> ConnectorSpec:
    """What a plugin for this remote would register."""
    return ConnectorSpec(
        name=name,
        description="A CRM in memory, for tests.",
        options=MemoryOptions,
        stream_options=MemoryStreamOptions,
        open=lambda context: connector(remote, context),
        actions={
            kind: KeyHandling.NATIVE if kind is ActionKind.WITHDRAWAL else remote.keys
            for kind in remote.kinds
        },
        batch_size=10,
        lands_within=timedelta(),
        custom=(_SAY,) if ActionKind.CUSTOM in remote.kinds else (),
    )


def _digest(records: Iterable[StoredRecord]) -> str:
    return hashlib.sha256(repr(list(records)).encode()).hexdigest()[:16]


def _table(stream: str, batch: Sequence[StoredRecord], columns: Sequence[str]) -> pa.Table:
    """Records as text, as most remotes' JSON would have them."""
    values = {
        name: pa.array(
            [None if r.values.get(name) is None else str(r.values[name]) for r in batch],
            pa.string(),
        )
        for name in columns
    }
    table = pa.table(
        {
            ID: pa.array([None if r.damaged else r.id for r in batch], pa.string()),
            UPDATED_AT: pa.array([r.updated_at for r in batch], pa.timestamp("us", "UTC")),
            **values,
            DELETED: pa.array([r.deleted for r in batch], pa.bool_()),
            MERGED_INTO: pa.array([r.merged_into for r in batch], pa.string()),
        }
    )
    if not any(r.damaged for r in batch):
        return table
    problems = [f"the remote cannot read {r.id}" if r.damaged else None for r in batch]
    origins = [f"{stream} {r.id}" if r.damaged else None for r in batch]
    return table.append_column(PROBLEM, pa.array(problems, pa.string())).append_column(
        ORIGIN, pa.array(origins, pa.string())
    )


def _headers(mail: SendEmail) -> str:
    """RFC 5322 header lines.

    Raises:
        RejectedError: a line break in one of them would begin a header of its own.
    """
    headers = {
        "Message-ID": f"<{mail.message_id}>",
        "From": mail.sender,
        "To": mail.recipient,
        "Subject": mail.subject,
        **mail.headers,
    }
    for name, value in headers.items():
        if {"\r", "\n"} & {*name, *value}:
            raise RejectedError(f"the header {name.splitlines()[0]} of a mail has a line break")
    return "\r\n".join(f"{name}: {value}" for name, value in headers.items())


def _receipt(answer: Answer) -> Receipt:
    return Receipt(key=answer.key, remote_id=answer.remote_id, already=answer.already)
