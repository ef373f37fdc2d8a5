"""Applies actions: rows of CSV files, and mails in the outbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.errors import AuthError, ConnectorError, RejectedError
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    LogEmail,
    Receipt,
    SendEmail,
    UpdateFields,
    WithdrawTask,
)
from crmsync_files.folder import LOGGED, NOTES, TASKS, UPDATES
from crmsync_files.sending import MailSender
from crmsync_files.storing import locked
from crmsync_files.truths import TruthWords
from crmsync_files.withdrawing import withdraw
from crmsync_files.written_tables import KEY, WrittenTable, is_text, neutral, no_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.clock import Clock
    from crmsync.model.actions import Action, RecordRef, Scalar
    from crmsync.plugins.contract import StreamRequest
    from crmsync_files.folder import Folder

_Row = dict[str, str]
_Recorded = CreateTask | AddNote | UpdateFields | LogEmail
_Answer = Receipt | ConnectorError

_FILES: dict[str, type[_Recorded]] = {
    TASKS: CreateTask,
    NOTES: AddNote,
    UPDATES: UpdateFields,
    LOGGED: LogEmail,
}


class FolderWriter:
    """Writes a batch: each file once, each key at most once, ever."""

    def __init__(self, folder: Folder, clock: Clock, streams: Mapping[str, StreamRequest]) -> None:
        self._folder = folder
        self._streams = streams
        self._clock = clock
        self._truths = TruthWords(folder, streams)

    def apply(self, actions: Sequence[Action]) -> list[_Answer]:
        """A receipt or an error for each action, in order.

        Raises:
            AuthError: the folder is missing, or cannot be written at all.
            TransientError: another process holds it.
        """
        if not actions:
            return []
        if not self._folder.exists():
            raise AuthError(self._folder.missing())
        answers: dict[int, _Answer] = {}
        self._truths = TruthWords(self._folder, self._streams)  # of the exports as they are now
        with locked(self._folder):
            for name, kind in _FILES.items():
                chosen = {at: a for at, a in enumerate(actions) if isinstance(a, kind)}
                answers |= self._append(name, chosen) if chosen else {}
            mails = {at: a for at, a in enumerate(actions) if isinstance(a, SendEmail)}
            answers |= self._send(mails) if mails else {}
            back = {at: a for at, a in enumerate(actions) if isinstance(a, WithdrawTask)}
            if back:
                answers |= withdraw(self._folder, back, lambda task: self._rows(task)[0])
        other = RejectedError("this connector adds no kinds of action")
        return [answers.get(at, other) for at in range(len(actions))]

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """What was written under these keys."""
        found: dict[str, Receipt] = {}
        with locked(self._folder):
            for name in _FILES:
                there = WrittenTable(self._folder, name).keys()
                found |= {k: Receipt(key=k, remote_id=k, already=True) for k in keys if k in there}
            return found | MailSender(self._folder, self._clock).find(keys)

    def _append(self, name: str, actions: Mapping[int, _Recorded]) -> dict[int, _Answer]:
        """Rows for tasks, notes, updates or logged mails."""
        answers: dict[int, _Answer] = {}
        fresh: dict[int, Receipt] = {}  # true once the rows are there
        rows: list[_Row] = []
        try:
            table = WrittenTable(self._folder, name)
            there = table.keys()
            in_batch: set[str] = set()
            for at, action in actions.items():
                receipt = Receipt(key=action.key, remote_id=action.key)
                if action.key in there:
                    answers[at] = replace(receipt, already=True)
                elif action.key in in_batch:
                    fresh[at] = replace(receipt, already=True)
                else:
                    new = self._rows(action)
                    if not all(is_text(row) for row in new):
                        answers[at] = no_text(action.key)
                        continue
                    in_batch.add(action.key)
                    rows += new
                    fresh[at] = receipt
            if rows:
                table.append(rows)
        except ConnectorError as error:
            return {at: answers.get(at, error) for at in actions}
        return answers | fresh

    def _send(self, actions: Mapping[int, SendEmail]) -> dict[int, _Answer]:
        """Mails for the outbox."""
        sent = MailSender(self._folder, self._clock).send(list(actions.values()))
        answers: dict[int, _Answer] = {}
        seen: set[str] = set()
        for at, action in actions.items():
            answer = sent[action.key]
            if action.key in seen and isinstance(answer, Receipt):
                answer = replace(answer, already=True)
            seen.add(action.key)
            answers[at] = answer
        return answers

    def _rows(self, action: _Recorded) -> list[_Row]:
        now = self._clock.now().isoformat(timespec="seconds")
        match action:
            case CreateTask():
                task = {
                    KEY: action.key,
                    "subject": neutral(action.subject),
                    "body": neutral(action.body),
                    "due": "" if action.due is None else action.due.isoformat(),
                    "assignee": action.assignee or "",
                    "status": "open",
                    "created_at": now,
                }
                return [task | _about(action.about)]
            case AddNote():
                note = {KEY: action.key, "text": neutral(action.text), "created_at": now}
                return [note | _about(action.about)]
            case LogEmail():
                texts = {
                    "sender": action.sender,
                    "recipient": action.recipient,
                    "subject": action.subject,
                    "text": action.text,
                    "html": action.html or "",
                }
                mail = {
                    KEY: action.key,
                    "message_id": action.message_id,
                    "at": action.at.isoformat(timespec="seconds"),
                    **{name: neutral(text) for name, text in texts.items()},
                }
                return [mail | _about(action.about)]
            case UpdateFields():
                return self._changes(action, now)

    def _changes(self, action: UpdateFields, now: str) -> list[_Row]:
        def cell(name: str, value: Scalar) -> str:
            if isinstance(value, bool):
                return self._truths.word(action.stream, name, value=value)
            return "" if value is None else str(value)

        return [
            {
                KEY: action.key,
                "stream": action.stream,
                "table": action.record.table,
                "id": action.record.id,
                "field": name,
                "expected": cell(name, action.expected.get(name)),
                "new": cell(name, value),
                "at": now,
            }
            for name, value in action.changes.items()
        ]


def _about(records: Sequence[RecordRef]) -> _Row:
    first = records[0] if records else None
    return {
        "about_table": first.table if first else "",
        "about_id": first.id if first else "",
        "also_about": "; ".join(f"{record.table} {record.id}" for record in records[1:]),
    }
