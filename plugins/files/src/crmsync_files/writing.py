"""Applies actions: rows of three CSV files, and mails in the outbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.errors import ConnectorError, RejectedError
from crmsync.model.actions import AddNote, CreateTask, Receipt, SendEmail, UpdateFields
from crmsync_files.folder import NOTES, TASKS, UPDATES
from crmsync_files.mail import message_of
from crmsync_files.maildir import Outbox, digest_of
from crmsync_files.storing import locked
from crmsync_files.written_tables import KEY, WrittenTable, neutral

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.clock import Clock
    from crmsync.model.actions import Action, RecordRef, Scalar
    from crmsync_files.folder import Folder

_Row = dict[str, str]
_Recorded = CreateTask | AddNote | UpdateFields
_Answer = Receipt | ConnectorError


class FolderWriter:
    """Writes a batch: each file once, each key at most once, ever."""

    def __init__(self, folder: Folder, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def apply(self, actions: Sequence[Action]) -> list[_Answer]:
        """A receipt or an error for each action, in order.

        Raises:
            ConnectorError: the folder cannot be written at all.
        """
        if not actions:
            return []
        if not self._folder.exists():
            raise RejectedError(self._folder.missing())
        answers: dict[int, _Answer] = {}
        with locked(self._folder):
            for name, kind in ((TASKS, CreateTask), (NOTES, AddNote), (UPDATES, UpdateFields)):
                chosen = {at: a for at, a in enumerate(actions) if isinstance(a, kind)}
                answers |= self._append(name, chosen) if chosen else {}
            mails = {at: a for at, a in enumerate(actions) if isinstance(a, SendEmail)}
            answers |= self._send(mails) if mails else {}
        return [answers[at] for at in range(len(actions))]

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """What was written under these keys."""
        found: dict[str, Receipt] = {}
        with locked(self._folder):
            for name in (TASKS, NOTES, UPDATES):
                there = WrittenTable(self._folder, name).keys()
                found |= {k: Receipt(key=k, remote_id=k, already=True) for k in keys if k in there}
            mails = Outbox(self._folder).delivered()
        for key in keys:
            mail = mails.get(digest_of(key))
            if mail is not None:
                found[key] = Receipt(key=key, remote_id=mail, already=True)
        return found

    def _append(self, name: str, actions: Mapping[int, _Recorded]) -> dict[int, _Answer]:
        """Rows for tasks, notes or updates."""
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
                    if not all(_is_text(row) for row in new):
                        answers[at] = _no_text(action.key)
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
        answers: dict[int, _Answer] = {}
        outbox = Outbox(self._folder)
        try:
            delivered = outbox.delivered()
        except ConnectorError as error:
            return dict.fromkeys(actions, error)
        for at, action in actions.items():
            digest = digest_of(action.key)
            if digest in delivered:
                answers[at] = Receipt(key=action.key, remote_id=delivered[digest], already=True)
                continue
            try:
                name = outbox.deliver(action.key, message_of(action), action.at)
            except ConnectorError as error:
                answers[at] = error
            else:
                delivered[digest] = name
                answers[at] = Receipt(key=action.key, remote_id=name)
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
            case UpdateFields():
                return [
                    {
                        KEY: action.key,
                        "stream": action.stream,
                        "table": action.record.table,
                        "id": action.record.id,
                        "field": name,
                        "expected": _cell(action.expected.get(name)),
                        "new": _cell(value),
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


def _cell(value: Scalar) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_text(row: _Row) -> bool:
    try:
        "".join(row.values()).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _no_text(key: str) -> RejectedError:
    return RejectedError(
        f"the action {_shown(key)} has half a character in its text (a lone surrogate), which no "
        "file can hold"
    )


def _shown(key: str) -> str:
    return key.encode("utf-8", "backslashreplace").decode("utf-8")
