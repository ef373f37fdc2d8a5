"""What crmsync asks a connector to do, and what it gets back.

An action's ``key`` is minted once, before the first attempt, and never changes.
Record ids in actions are the remote's own, without the connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

Scalar = str | int | float | bool | None


class ActionKind(StrEnum):
    """The kinds of action that the core knows."""

    TASK = "task"
    EMAIL = "email"
    NOTE = "note"
    UPDATE = "update"
    CUSTOM = "custom"  # of a kind that a connector has added; `CustomAction.name` says which
    WITHDRAWAL = "withdrawal"  # by `crmsync undo` alone; no rule asks for it
    LOG = "log"  # after a mail went out by another connection; no rule asks for it


@dataclass(frozen=True, kw_only=True)
class CustomKind:
    """A kind of action that a connector adds to the language of rules.

    It is for colleagues and for systems: nothing that reaches customers, since the gates know no
    reader of it, and so ask neither whether they want it nor whether it is day where they are.

    Attributes:
        name: what a rule writes for it, such as ``notify``: small letters, digits, underscores.
        takes: what it can say, each a text: key to a sentence about it.
        needed: those of them without which it is nothing.
    """

    name: str
    description: str
    takes: Mapping[str, str]
    needed: tuple[str, ...] = ()


class KeyHandling(StrEnum):
    """How a connector honours an action's key."""

    NATIVE = "native"  # `find` tells whether it landed, and the remote dedupes: twice is harmless
    LOOKUP = "lookup"  # `find` tells whether it landed, before it is created again
    UNSAFE = "unsafe"  # nobody can know: never retried when uncertain


@dataclass(frozen=True, kw_only=True)
class RecordRef:
    """A record in the remote: the canonical table, and the remote's own id."""

    table: str
    id: str


@dataclass(frozen=True, kw_only=True)
class CreateTask:
    """A task for a colleague.

    Attributes:
        due: the day by which it should be done; None where no day was set.
        assignee: the remote's id of the user; None leaves it to nobody.
        about: the records it is attached to, the subject first.
    """

    key: str
    subject: str
    body: str = ""
    due: date | None = None
    assignee: str | None = None
    about: tuple[RecordRef, ...] = ()
    kind: ActionKind = field(default=ActionKind.TASK, init=False)


@dataclass(frozen=True, kw_only=True)
class SendEmail:
    """A mail to one person.

    Attributes:
        message_id: derived from the key, without angle brackets.
        sender, recipient: RFC 5322 addresses with display name.
        email_class: ``commercial`` or ``service``.
        about: records of the CRM that its subject came from, which need not be the remote that
            sends it; the subject first, then its account and the contact who gets it.
        at: the instant for the Date header, by the clock of the sender.
    """

    key: str
    message_id: str
    sender: str
    recipient: str
    subject: str
    text: str
    html: str | None = None
    email_class: str = "commercial"
    headers: Mapping[str, str] = field(default_factory=dict)
    about: tuple[RecordRef, ...] = ()
    at: datetime
    kind: ActionKind = field(default=ActionKind.EMAIL, init=False)


@dataclass(frozen=True, kw_only=True)
class AddNote:
    """A note on a record."""

    key: str
    text: str
    about: tuple[RecordRef, ...] = ()
    kind: ActionKind = field(default=ActionKind.NOTE, init=False)


@dataclass(frozen=True, kw_only=True)
class UpdateFields:
    """New values for fields of one record.

    Attributes:
        stream: the connector's stream that the record came from.
        changes: the remote's own field name to its new value.
        expected: the remote's own field name to the value that the decision was based on;
            a connector that can compare refuses where the remote has moved on.
    """

    key: str
    record: RecordRef
    stream: str
    changes: Mapping[str, Scalar]
    expected: Mapping[str, Scalar] = field(default_factory=dict)
    kind: ActionKind = field(default=ActionKind.UPDATE, init=False)


@dataclass(frozen=True, kw_only=True)
class CustomAction:
    """An action of a kind that the connector has added.

    Attributes:
        name: of its `CustomKind`.
        texts: what it says, by the keys of its kind; never empty.
        about: records of this very connection, the subject first; empty where the subject came
            from another one.
    """

    key: str
    name: str
    texts: Mapping[str, str]
    about: tuple[RecordRef, ...] = ()
    kind: ActionKind = field(default=ActionKind.CUSTOM, init=False)


@dataclass(frozen=True, kw_only=True)
class WithdrawTask:
    """A task that this connection made is taken back: deleted, or closed as not done.

    Harmless a second time: what is not there any more, or was taken back before, is so again.

    Attributes:
        task: as it was made.
        remote_id: what the remote calls it; as its receipt said.
    """

    key: str
    task: CreateTask
    remote_id: str
    kind: ActionKind = field(default=ActionKind.WITHDRAWAL, init=False)

    @property
    def about(self) -> tuple[RecordRef, ...]:
        """The records that the task is attached to."""
        return self.task.about


@dataclass(frozen=True, kw_only=True)
class LogEmail:
    """A mail that another connection has sent is put on record in this CRM; nothing is sent.

    It stands there as a mail that went out, at the time at which it did, attached to its records,
    and once: where the CRM would also make a task or a copy of its own from it, the connector
    sees to it that one entry is left. When it comes back by a pull, its Message-ID tells that it
    is ours; so the remote must keep that where a stream of activities can read it.

    Attributes:
        message_id: of the mail, without angle brackets.
        sender, recipient: RFC 5322 addresses with display name.
        html: None where the mail had no HTML part.
        about: records of this CRM: the subject of the rule first, then its account, then the
            contact who got the mail; each once, and none for mail to a colleague about nothing.
        at: the instant (UTC) of the mail's Date header; always in the past.
    """

    key: str
    message_id: str
    sender: str
    recipient: str
    subject: str
    text: str
    html: str | None = None
    about: tuple[RecordRef, ...] = ()
    at: datetime
    kind: ActionKind = field(default=ActionKind.LOG, init=False)


Action = CreateTask | SendEmail | AddNote | UpdateFields | WithdrawTask | LogEmail | CustomAction


def text_of(action: CustomAction) -> str:
    """What it says, for people to look at."""
    if len(action.texts) == 1:
        return next(iter(action.texts.values()))
    return "\n".join(f"{key}: {text}" for key, text in action.texts.items())


def name_of(action: Action) -> str:
    """What a rule writes for such an action."""
    return action.name if isinstance(action, CustomAction) else action.kind.value


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The remote has it.

    Attributes:
        remote_id: what the remote calls the thing that was made.
        already: it had been there before this call.
    """

    key: str
    remote_id: str
    already: bool = False
    url: str | None = None
