"""Applies actions: tasks and logged mails with their keys, and new values of fields.

A task is created with its key in a field that the org keeps unique, so that the org itself refuses
to create it twice; a task that a person has changed or closed since is left as it is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crmsync.errors import AuthError, ConnectorError, RejectedError, UncertainError
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    LogEmail,
    Receipt,
    UpdateFields,
    WithdrawTask,
)
from crmsync_salesforce import soql
from crmsync_salesforce.comparing import compared, holds
from crmsync_salesforce.errors import RefusedError, error_of
from crmsync_salesforce.mails import MAIL, as_message, as_task, keeps_mail
from crmsync_salesforce.marks import made_by, marked, marked_records
from crmsync_salesforce.options import SalesforceStreamOptions
from crmsync_salesforce.withdrawing import withdraw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import Action
    from crmsync.plugins.contract import StreamRequest
    from crmsync_salesforce.client import SalesforceClient
    from crmsync_salesforce.describing import Descriptions

_Answer = Receipt | ConnectorError
_Answers = dict[int, _Answer]
_Made = CreateTask | AddNote | LogEmail

# An org's rules about duplicates that only warn people are no reason to leave out a task. Changed
# fields of accounts and the like have no such privilege.
_FOR_NEW_TASKS = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}

_MOST_RECORDS = 200
_MOST_KEYS = 80  # each in an address of limited length
_LONGEST_KEY = 255
_LONGEST = {
    "Task": {"Subject": 255, "Description": 32_000},
    MAIL: {"Subject": 3000, "TextBody": 131_072, "HtmlBody": 131_072},
}
_BODIES = {"Task": "Description", MAIL: "TextBody"}
# Halves of characters cannot be sent at all, and what follows a NUL is lost on many ways.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_HOLDER = re.compile(r"record with id: (\w{15,18})")
_WHO = "contact"


class OrgWriter:
    """Writes a batch: one call for all tasks and notes, two for the updates of an object."""

    def __init__(
        self,
        client: SalesforceClient,
        descriptions: Descriptions,
        streams: Mapping[str, StreamRequest],
    ) -> None:
        self._client, self._descriptions, self._streams = client, descriptions, streams
        self._key_field = client.options.key_field

    def apply(self, actions: Sequence[Action]) -> list[_Answer]:
        """A receipt or an error for each action, in order."""
        answers: _Answers = {}
        tasks: dict[int, _Made] = {}
        logs: dict[int, _Made] = {}
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
        answers |= self._create(tasks) if tasks else {}
        answers |= self._log(logs) if logs else {}
        answers |= withdraw(self._client, withdrawals) if withdrawals else {}
        for stream in dict.fromkeys(update.stream for update in updates.values()):
            chosen = {place: one for place, one in updates.items() if one.stream == stream}
            answers |= self._update(stream, chosen)
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
        return field if field in self._descriptions.fields(name) else None

    def _found(self, name: str, keys: Sequence[str]) -> dict[str, Receipt]:
        field = self._key_field_of(name)
        if field is None:
            return self._found_by_mark(name, keys)
        found: dict[str, Receipt] = {}
        for start in range(0, len(keys), _MOST_KEYS):
            some = [key for key in keys[start : start + _MOST_KEYS] if _is_text(key)]
            if not some:
                continue
            query = soql.with_values(name, ("Id", field), field, some)
            for record in self._records(query):
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
        records = self._records(query)
        return {
            key: Receipt(key=key, remote_id=record_id, already=True)
            for key, record_id in marked_records(records, keys, text=text).items()
        }

    def _records(self, query: str) -> list[dict[str, Any]]:
        answer = self._client.call("GET", "queryAll", params={"q": query}).json(parse_float=str)
        records: list[dict[str, Any]] = answer["records"]
        while following := answer.get("nextRecordsUrl"):
            answer = self._client.call("GET", following).json(parse_float=str)
            records += answer["records"]
        return records

    def _log(self, actions: Mapping[int, _Made]) -> _Answers:
        try:
            keeps_mail(self._descriptions)
        except ConnectorError as error:
            return dict.fromkeys(actions, error)
        return self._create(actions)

    def _create(self, actions: Mapping[int, _Made]) -> _Answers:
        answers: _Answers = {}
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
                return answers | dict.fromkeys(records, error)
            answers |= {p: there[actions[p].key] for p in unkept if actions[p].key in there}
            records = {p: record for p, record in records.items() if p not in answers}
        answers |= self._sent("POST", records)
        answers |= self._held(actions, answers)
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
            return self._with_key(as_message(action), action.key)
        record: dict[str, Any] = {"attributes": {"type": "Task"}}
        if isinstance(action, LogEmail):
            record = as_task(action)
        elif isinstance(action, CreateTask):
            record |= {"Subject": action.subject, "Description": action.body}
            record |= {} if action.due is None else {"ActivityDate": action.due.isoformat()}
            record |= {} if action.assignee is None else {"OwnerId": action.assignee}
        else:
            # A note of Salesforce's own has no field for a key; a closed task has.
            first_line = next((line for line in action.text.splitlines() if line.strip()), "")
            subject = "".join(c for c in first_line if c.isprintable())
            record |= {"Subject": f"Note: {subject.strip()}"[:80], "Description": action.text}
            record |= {"Status": "Completed"}
        for about in reversed(action.about):
            record["WhoId" if about.table == _WHO else "WhatId"] = about.id
        return self._with_key(record, action.key)

    def _with_key(self, record: dict[str, Any], key: str) -> dict[str, Any]:
        name = record["attributes"]["type"]
        field, body = self._key_field_of(name), _BODIES[name]
        return record | ({body: marked(record[body], key)} if field is None else {field: key})

    def _held(self, actions: Mapping[int, _Made], answers: _Answers) -> _Answers:
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

    def _sent(self, method: str, records: Mapping[int, dict[str, Any]]) -> _Answers:
        """Records created or changed, in calls of as many as the org takes."""
        answers: _Answers = {}
        places = list(records)
        for start in range(0, len(places), _MOST_RECORDS):
            some = places[start : start + _MOST_RECORDS]
            try:
                answers |= self._sent_at_once(method, {place: records[place] for place in some})
            except RefusedError as error:
                # One record may spoil them all; each alone shows which.
                answers |= self._sent_apart(method, records, some, error)
            except ConnectorError as error:
                answers |= dict.fromkeys(some, error)
        return answers

    def _sent_apart(
        self,
        method: str,
        records: Mapping[int, dict[str, Any]],
        places: Sequence[int],
        error: RefusedError,
    ) -> _Answers:
        if len(places) == 1:
            return {places[0]: error}
        answers: _Answers = {}
        middle = len(places) // 2
        for some in (places[:middle], places[middle:]):
            try:
                answers |= self._sent_at_once(method, {place: records[place] for place in some})
            except RefusedError as refused:
                answers |= self._sent_apart(method, records, some, refused)
            except ConnectorError as broken:
                answers |= dict.fromkeys(some, broken)
        return answers

    def _sent_at_once(self, method: str, records: Mapping[int, dict[str, Any]]) -> _Answers:
        body = {"allOrNone": False, "records": list(records.values())}
        headers = _FOR_NEW_TASKS if method == "POST" else {}
        response = self._client.call(
            method, "composite/sobjects", json=body, writing=True, headers=headers
        )
        try:
            results = response.json()
            if len(results) != len(records):
                raise ValueError
        except ValueError:
            raise UncertainError("Salesforce's answer cannot be read") from None
        return {
            place: self._outcome(result) for place, result in zip(records, results, strict=True)
        }

    def _outcome(self, result: dict[str, Any]) -> _Answer:
        if result.get("success"):
            return Receipt(key="", remote_id=str(result["id"]))
        error = (result.get("errors") or [{}])[0]
        code = str(error.get("statusCode", ""))
        message = str(error.get("message", ""))
        fields = ", ".join(error.get("fields") or ())
        told = f"{message} [{fields}]" if fields and fields not in message else message
        return error_of(code, told, now=self._client.clock.now())

    def _update(self, stream: str, updates: Mapping[int, UpdateFields]) -> _Answers:
        """New values, where the record still holds what the decision was based on."""
        request = self._streams.get(stream)
        if request is None or not isinstance(request.options, SalesforceStreamOptions):
            return dict.fromkeys(updates, RejectedError(f"the config has no stream “{stream}”"))
        name = request.options.object
        records: dict[int, dict[str, Any]] = {}
        answers: _Answers = {}
        for place, update in updates.items():
            problem = self._unfit(name, update)
            if problem is not None:
                answers[place] = problem
                continue
            records[place] = {"attributes": {"type": name}, "id": update.record.id}
            records[place] |= update.changes
        try:
            current = self._current(name, [updates[place] for place in records])
        except ConnectorError as error:
            return answers | dict.fromkeys(records, error)
        types = {field: str(one["type"]) for field, one in self._descriptions.fields(name).items()}
        for place in list(records):
            update = updates[place]
            settled = compared(update, current.get(update.record.id), types)
            if settled is not None:
                answers[place] = settled
                del records[place]
        sent = self._sent("PATCH", records)
        uncertain = [place for place, answer in sent.items() if isinstance(answer, UncertainError)]
        sent |= self._looked_up(name, {place: updates[place] for place in uncertain}, types)
        for place, answer in sent.items():
            named = isinstance(answer, Receipt)
            answers[place] = replace(answer, key=updates[place].key) if named else answer  # type: ignore[type-var]  # it is a receipt
        return answers

    def _unfit(self, name: str, update: UpdateFields) -> ConnectorError | None:
        """Why an update cannot be asked for at all."""
        for value in update.changes.values():
            if isinstance(value, str) and _NO_TEXT.search(value):
                return _no_text(update.key)
        try:
            fields = self._descriptions.fields(name)
        except ConnectorError as error:
            return error
        for field in {*update.changes, *update.expected}:
            if field not in fields:
                return RejectedError(f"{name} has no field “{field}”, or hides it")
        if not re.fullmatch(r"\w{15}|\w{18}", update.record.id):
            return RejectedError(f"“{update.record.id}” is no id of a record")
        return None

    def _current(self, name: str, updates: Sequence[UpdateFields]) -> dict[str, dict[str, Any]]:
        """What the records hold now of the fields that are compared or changed."""
        fields = dict.fromkeys(f for u in updates for f in (*u.expected, *u.changes))
        ids = [update.record.id for update in updates]
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), _MOST_KEYS):
            query = soql.with_values(
                name, tuple(dict.fromkeys(("Id", *fields))), "Id", ids[start : start + _MOST_KEYS]
            )
            found |= {record["Id"]: record for record in self._records(query)}
        return found

    def _looked_up(
        self, name: str, updates: Mapping[int, UpdateFields], types: Mapping[str, str]
    ) -> _Answers:
        """What became of updates whose answer was lost: the records tell."""
        if not updates:
            return {}
        try:
            current = self._current(name, list(updates.values()))
        except ConnectorError:
            return {}
        return {
            place: Receipt(key=update.key, remote_id=update.record.id)
            for place, update in updates.items()
            if update.record.id in current
            and holds(current[update.record.id], update.changes, types)
        }


def _problem_of(key: str, record: Mapping[str, Any]) -> RejectedError | None:
    """Why no org can hold a record."""
    if len(key) > _LONGEST_KEY:
        return RejectedError(f"the key {key[:40]}… is longer than its field")
    if any(isinstance(value, str) and _NO_TEXT.search(value) for value in record.values()):
        return _no_text(key)
    for name, longest in _LONGEST[record["attributes"]["type"]].items():
        text = record.get(name) or ""
        # Line ends are kept as two characters each.
        length = len(text) + text.count("\n") - text.count("\r\n")
        if length > longest:
            what = "subject" if name == "Subject" else "text"
            return RejectedError(
                f"the {what} has {length} characters, and Salesforce takes {longest}"
            )
    return None


def _is_text(text: str) -> bool:
    return _NO_TEXT.search(text) is None


def _no_text(key: str) -> RejectedError:
    shown = key.encode("utf-8", "backslashreplace").decode("utf-8")
    return RejectedError(
        f"the action {shown} has a NUL or half a character in its text, which Salesforce cannot "
        "hold"
    )
