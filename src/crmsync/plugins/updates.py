"""Changes fields of records only where they still hold what the decision was based on.

For connectors whose remote has no conditional update: they look, compare and then change.
Between the look and the change lies the time of one call, in which a person's change would be
overwritten.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from crmsync.errors import ConnectorError, RejectedError, UncertainError
from crmsync.model.actions import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from crmsync.model.actions import Scalar, UpdateFields

Outcomes = dict[int, Receipt | ConnectorError]  # by the place of an action in its batch


class Records(Protocol):
    """The records of one stream, as a remote keeps them."""

    def identity(self, update: UpdateFields) -> str:
        """What is the same for all updates of one record."""

    def unfit(self, update: UpdateFields) -> ConnectorError | None:
        """Why an update cannot be asked for at all; None where it can."""

    def current(self, updates: Sequence[UpdateFields]) -> Mapping[str, Mapping[str, Any]]:
        """What the records hold of the fields that are compared or changed.

        Returns:
            By `identity`; nothing of records that are not there.

        Raises:
            ConnectorError: the remote does not say.
        """

    def same(self, field: str, there: object, value: Scalar) -> bool:
        """Whether what a field holds means that value."""

    def send(self, updates: Mapping[int, UpdateFields]) -> Outcomes:
        """Change the records, of which each is named once; an answer for each, whatever happens."""


def update_unless_changed(
    updates: Mapping[int, UpdateFields], records_of: Callable[[str], Records]
) -> Outcomes:
    """A receipt or an error for each; those of one record one after the other.

    Args:
        records_of: the records of a stream; raises a ConnectorError where there are none.
    """
    outcomes: Outcomes = {}
    for stream in dict.fromkeys(update.stream for update in updates.values()):
        asked = {place: one for place, one in updates.items() if one.stream == stream}
        try:
            records = records_of(stream)
        except ConnectorError as error:
            outcomes |= dict.fromkeys(asked, error)
            continue
        for some in _rounds(asked, records.identity):
            try:
                outcomes |= _updated(records, some)
            except ConnectorError as error:
                outcomes |= dict.fromkeys(some, error)
    return outcomes


def _rounds(
    updates: Mapping[int, UpdateFields], identity: Callable[[UpdateFields], str]
) -> Iterator[dict[int, UpdateFields]]:
    """Each record at most once in each, its updates in their order."""
    left = dict(updates)
    while left:
        first = {identity(one): place for place, one in reversed(left.items())}
        yield {place: left.pop(place) for place in sorted(first.values())}


def _updated(records: Records, updates: Mapping[int, UpdateFields]) -> Outcomes:
    outcomes: Outcomes = {}
    due = dict(updates)
    for place, update in updates.items():
        problem = records.unfit(update)
        if problem is not None:
            outcomes[place] = problem
            del due[place]
    current = records.current(list(due.values())) if due else {}
    for place, update in list(due.items()):
        settled = _settled(records, update, current.get(records.identity(update)))
        if settled is not None:
            outcomes[place] = settled
            del due[place]
    sent = records.send(due) if due else {}
    sent |= _looked_up(records, {p: due[p] for p, e in sent.items() if _is_uncertain(e)})
    for place, answer in sent.items():
        outcomes[place] = _receipt(due[place]) if isinstance(answer, Receipt) else answer
    return outcomes


def _settled(
    records: Records, update: UpdateFields, there: Mapping[str, Any] | None
) -> Receipt | RejectedError | None:
    """The answer to an update that need not, or must not, be made; None where it is due."""
    if there is None:
        return RejectedError("there is no such record any more, or this login may not see it")
    if update.expected and _holds(records, there, update.changes):
        return replace(_receipt(update), already=True)
    for field, expected in update.expected.items():
        if not records.same(field, there.get(field), expected):
            return RejectedError(
                f"{field} was changed since this was decided, so it is left as it is"
            )
    return None


def _looked_up(records: Records, updates: Mapping[int, UpdateFields]) -> Outcomes:
    """What became of updates whose answer was lost: the records tell."""
    if not updates:
        return {}
    try:
        current = records.current(list(updates.values()))
        return {
            place: _receipt(update)
            for place, update in updates.items()
            if (there := current.get(records.identity(update))) is not None
            and _holds(records, there, update.changes)
        }
    except ConnectorError:
        return {}


def _holds(records: Records, there: Mapping[str, Any], values: Mapping[str, Scalar]) -> bool:
    return all(records.same(field, there.get(field), value) for field, value in values.items())


def _is_uncertain(answer: Receipt | ConnectorError) -> bool:
    return isinstance(answer, UncertainError)


def _receipt(update: UpdateFields) -> Receipt:
    return Receipt(key=update.key, remote_id=update.record.id)
