"""Records created or changed in batches, each answered for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync.errors import ConnectorError, UncertainError
from crmsync.model.actions import Receipt
from crmsync_salesforce.errors import RefusedError, error_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync_salesforce.client import SalesforceClient

Answer = Receipt | ConnectorError
Answers = dict[int, Answer]  # by the place of an action in its batch

_MOST_RECORDS = 200
# An org's rules about duplicates that only warn people are no reason to leave out a task. Changed
# fields of accounts and the like have no such privilege.
_FOR_NEW_TASKS = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}


class Batches:
    """The org's sObject Collections."""

    def __init__(self, client: SalesforceClient) -> None:
        self._client = client

    def sent(self, method: str, records: Mapping[int, dict[str, Any]]) -> Answers:
        """Records created (POST) or changed (PATCH), in calls of as many as the org takes.

        The receipts bear no keys yet.
        """
        answers: Answers = {}
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
    ) -> Answers:
        if len(places) == 1:
            return {places[0]: error}
        answers: Answers = {}
        middle = len(places) // 2
        for some in (places[:middle], places[middle:]):
            try:
                answers |= self._sent_at_once(method, {place: records[place] for place in some})
            except RefusedError as refused:
                answers |= self._sent_apart(method, records, some, refused)
            except ConnectorError as broken:
                answers |= dict.fromkeys(some, broken)
        return answers

    def _sent_at_once(self, method: str, records: Mapping[int, dict[str, Any]]) -> Answers:
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

    def _outcome(self, result: dict[str, Any]) -> Answer:
        if result.get("success"):
            return Receipt(key="", remote_id=str(result["id"]))
        error = (result.get("errors") or [{}])[0]
        code = str(error.get("statusCode", ""))
        message = str(error.get("message", ""))
        fields = ", ".join(error.get("fields") or ())
        told = f"{message} [{fields}]" if fields and fields not in message else message
        return error_of(code, told, now=self._client.clock.now())
