"""Applies actions: tasks and logged mails with their keys, and new values of fields.

A task is created with its key in a field that the org keeps unique, so that the org itself refuses
to create it twice; a task that a person has changed or closed since is left as it is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from crmsync.errors import AuthError, ConnectorError, RejectedError
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    LogEmail,
    Receipt,
    UpdateFields,
    WithdrawTask,
)
from crmsync_salesforce import soql, texts
from crmsync_salesforce.batches import Batches
from crmsync_salesforce.errors import RefusedError
from crmsync_salesforce.mails import MAIL, Senders, as_message, as_task, keeps_mail
from crmsync_salesforce.marks import made_by, marked, marked_records
from crmsync_salesforce.updating import Updates
from crmsync_salesforce.withdrawing import withdraw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import Action
    from crmsync.plugins.contract import StreamRequest
    from crmsync_salesforce.batches import Answer, Answers
    from crmsync_salesforce.client import SalesforceClient
    from crmsync_salesforce.describing import Descriptions

_Made = CreateTask | AddNote | LogEmail

_MOST_KEYS = 80  # each in an address of limited length
_LONGEST_KEY = 255
_LONGEST = {
    "Task": {"Subject": 255, "Description": 32_000},
    MAIL: {"Subject": 3000, "TextBody": 131_072, "HtmlBody": 131_072},
}
_ROOM_FOR_MARK = 60
_USUAL, _OF_CLOSED = "Completed", "WHERE IsClosed = true ORDER BY SortOrder"
_NO_SUCH_FIELD = {"INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"}
_BODIES = {"Task": "Description", MAIL: "TextBody"}
_WHO = "contact"


class OrgWriter:
    """Writes a batch: one call for all tasks and notes, two for the updates of an object."""

    def __init__(
        self,
        client: SalesforceClient,
        descriptions: Descriptions,
        streams: Mapping[str, StreamRequest],
    ) -> None:
        self._client, self._descriptions = client, descriptions
        self._key_field = client.options.key_field
        self._updates = Updates(client, descriptions, streams)
        self._senders = Senders(client, descriptions)
        self._done: str | None = None

    def apply(self, actions: Sequence[Action]) -> list[Answer]:
        """A receipt or an error for each action, in order."""
        answers: Answers = {}
        tasks: dict[int, _Made] = {}
        logs: dict[int, LogEmail] = {}
        withdrawals: dict[int, WithdrawTask] = {}
        updates: dict[int, UpdateFields] = {}
        for place, action in enumerate(actions):
            if isinstance(action, CreateTask | AddNote):
                tasks[place] = action
            elif isinstance(action, LogEmail):
                logs[place] = action
            elif isinstance(action, UpdateFields):
                updates[place] = action
            elif isinstance(action, WithdrawTask):
                withdrawals[place] = action
            else:
                answers[place] = RejectedError(
                    "this connector sends no mail; name another connection for it"
                )
        answers |= self._created(tasks) if tasks else {}
        answers |= self._logged(logs) if logs else {}
        answers |= withdraw(self._client, withdrawals) if withdrawals else {}
        answers |= self._updates.apply(updates) if updates else {}
        return [answers[place] for place in range(len(actions))]

    def find(self, keys: Sequence[str]) -> dict[str, Receipt]:
        """What was created under these keys, also what was deleted since.

        Raises:
            ConnectorError: that cannot be told now.
        """
        # The org copies a mail's text, with its mark, into the task that it makes of it.
        mails = self._found(MAIL, keys) if keys and keeps_mail(self._descriptions) else {}
        rest = [key for key in keys if key not in mails]
        return mails | (self._found("Task", rest) if rest else {})

    def _key_field_of(self, name: str) -> str | None:
        """The field that keeps the keys, where an object has it."""
        field = self._key_field
        if field is None or name == "Task":
            return field  # that tasks lack it is told by `check`
        one = self._descriptions.fields(name).get(field)
        # Of mails it is no must: what cannot keep keys is told by `check`, and marks do instead.
        return field if one and one["unique"] and one["createable"] else None

    def _found(self, name: str, keys: Sequence[str]) -> dict[str, Receipt]:
        field = self._key_field_of(name)
        if field is None:
            return self._found_by_mark(name, keys)
        found: dict[str, Receipt] = {}
        for start in range(0, len(keys), _MOST_KEYS):
            some = [
                key for key in keys[start : start + _MOST_KEYS] if not texts.cannot_be_kept(key)
            ]
            if not some:
                continue
            query = soql.with_values(name, ("Id", field), field, some)
            for record in self._client.records("queryAll", query):
                # The org compares without case; keys differ in more.
                if record[field] in some:
                    key = record[field]
                    found[key] = Receipt(key=key, remote_id=record["Id"], already=True)
        return found

    def _found_by_mark(self, name: str, keys: Sequence[str]) -> dict[str, Receipt]:
        _ = self._client.api  # who is logged in knows who they are
        if self._client.user is None:
            raise AuthError("the login does not tell whose it is, so our tasks cannot be found")
        text = _BODIES[name]
        query = made_by(self._client.user, now=self._client.clock.now(), name=name, text=text)
        records = chain.from_iterable(self._client.pages("queryAll", query))
        return {
            key: Receipt(key=key, remote_id=record_id, already=True)
            for key, record_id in marked_records(records, keys, text=text).items()
        }

    def _created(self, actions: Mapping[int, _Made]) -> Answers:
        try:
            return self._create(actions)
        except ConnectorError as error:
            return dict.fromkeys(actions, _unprepared(error))  # nothing was sent yet

    def _logged(self, actions: Mapping[int, LogEmail]) -> Answers:
        answers = self._created(actions)
        self._senders.relate(
            [
                (answer, actions[place].sender)
                for place, answer in answers.items()
                if isinstance(answer, Receipt)
            ]
        )
        return answers

    def _create(self, actions: Mapping[int, _Made]) -> Answers:
        answers: Answers = {}
        first: dict[str, int] = {}  # the same key again is the same task
        records: dict[int, dict[str, Any]] = {}
        for place, action in actions.items():
            record = self._record(action)
            problem = _problem_of(action.key, record)
            if problem is not None:
                answers[place] = problem
            elif action.key not in first:
                first[action.key] = place
                records[place] = record
        unkept = [p for p, record in records.items() if self._key_field not in record]
        if unkept:
            # The org itself would take a task twice, so it is asked before.
            name = records[unkept[0]]["attributes"]["type"]
            try:
                there = self._found(name, [actions[place].key for place in unkept])
            except ConnectorError as error:
                return answers | dict.fromkeys(records, _unprepared(error))
            answers |= {p: there[actions[p].key] for p in unkept if actions[p].key in there}
            records = {p: record for p, record in records.items() if p not in answers}
        answers |= Batches(self._client).sent("POST", records)
        answers |= self._held(actions, answers)
        answers |= self._keyless(answers)
        for place, action in actions.items():
            if place not in answers:
                answer = answers[first[action.key]]
                again = isinstance(answer, Receipt)
                answers[place] = replace(answer, already=True) if again else answer  # type: ignore[type-var]  # it is a receipt
            elif isinstance(answers[place], Receipt):
                answers[place] = replace(answers[place], key=action.key)  # type: ignore[type-var]  # likewise
        return answers

    def _record(self, action: _Made) -> dict[str, Any]:
        if isinstance(action, LogEmail) and keeps_mail(self._descriptions):
            return self._with_key(_fitting(as_message(action)), action.key)
        record: dict[str, Any] = {"attributes": {"type": "Task"}}
        if isinstance(action, LogEmail):
            record = _fitting(as_task(action, status=self._closing()))
        elif isinstance(action, CreateTask):
            record |= {"Subject": action.subject, "Description": action.body}
            record |= {} if action.due is None else {"ActivityDate": action.due.isoformat()}
            record |= {} if action.assignee is None else {"OwnerId": action.assignee}
        else:
            # A note of Salesforce's own has no field for a key; a closed task has.
            first_line = next((line for line in action.text.splitlines() if line.strip()), "")
            subject = "".join(c for c in first_line if c.isprintable())
            record |= {"Subject": f"Note: {subject.strip()}"[:80], "Description": action.text}
            record |= {"Status": self._closing()}
        for about in reversed(action.about):
            record["WhoId" if about.table == _WHO else "WhatId"] = about.id
        return self._with_key(record, action.key)

    def _closing(self) -> str:
        """The status of a task that is done, which orgs name as they like."""
        if self._done is None:
            query = soql.everything("TaskStatus", ("ApiName",), _OF_CLOSED)
            try:
                names = [row["ApiName"] for row in self._client.records("query", query)]
            except RefusedError:
                names = []
            self._done = _USUAL if _USUAL in names or not names else str(names[0])
        return self._done

    def _with_key(self, record: dict[str, Any], key: str) -> dict[str, Any]:
        name = record["attributes"]["type"]
        field, body = self._key_field_of(name), _BODIES[name]
        return record | ({body: marked(record[body], key)} if field is None else {field: key})

    def _held(self, actions: Mapping[int, _Made], answers: Answers) -> Answers:
        """Receipts for those that the org refuses because it has them already."""
        refused = [
            place
            for place, answer in answers.items()
            if isinstance(answer, RefusedError) and answer.code == "DUPLICATE_VALUE"
        ]
        found: dict[str, Receipt] = {}
        if refused:
            # Its words name the record, but with an id cut short, and perhaps another field's.
            try:
                found = self.find([actions[place].key for place in refused])
            except ConnectorError as error:
                return dict.fromkeys(refused, error)
        return {place: found[actions[place].key] for place in refused
                if actions[place].key in found}  # fmt: skip

    def _keyless(self, answers: Answers) -> Answers:
        """Who may fix it, for those that the org refuses because it hides the field for keys."""
        field = self._key_field
        return {
            place: AuthError(
                f"the API's user may not fill in the field {field}; an administrator gives it with "
                f"a permission set: {answer}"
            )
            for place, answer in answers.items()
            if isinstance(answer, RefusedError)
            and answer.code in _NO_SUCH_FIELD
            and field is not None
            and re.search(rf"\b{re.escape(field)}\b", str(answer))
        }


def _unprepared(error: ConnectorError) -> ConnectorError:
    """What an action is told of an error met before it was sent.

    What the org refuses then is no fault of the action, and it is to be sent when that is mended.
    """
    return AuthError(str(error)) if isinstance(error, RejectedError) else error


def _fitting(mail: dict[str, Any]) -> dict[str, Any]:
    """A mail that was sent, as far as the org can keep it."""
    name = mail["attributes"]["type"]
    longest, body = _LONGEST[name], _BODIES[name]
    subject = mail["Subject"]
    if texts.length(subject) > longest["Subject"]:
        subject = subject[: longest["Subject"] - 1] + "…"
    text = texts.cut(mail[body], longest[body] - _ROOM_FOR_MARK)
    fitting = mail | {"Subject": subject, body: text}
    if texts.length(mail.get("HtmlBody") or "") > longest.get("HtmlBody", 0):
        fitting.pop("HtmlBody", None)  # half of it would be no HTML; the text is there
    return fitting


def _problem_of(key: str, record: Mapping[str, Any]) -> RejectedError | None:
    """Why no org can hold a record."""
    if len(key) > _LONGEST_KEY:
        return RejectedError(f"the key {key[:40]}… is longer than its field")
    if any(isinstance(value, str) and texts.cannot_be_kept(value) for value in record.values()):
        return texts.no_text(key)
    for name, longest in _LONGEST[record["attributes"]["type"]].items():
        text = record.get(name) or ""
        length = texts.length(text)
        if length > longest:
            what = "subject" if name == "Subject" else "text"
            return RejectedError(
                f"the {what} has {length} characters, and Salesforce takes {longest}"
            )
    return None
