"""Connectors that write with one fault each."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from crmsync.errors import ConnectorError, RejectedError, TransientError, UncertainError
from crmsync.model.actions import ActionKind, AddNote, KeyHandling, Receipt, SendEmail
from crmsync.testing.memory import MemoryConnector
from crmsync.testing.memory_remote import WireError
from crmsync.testing.reference import MemoryUnderTest
from crmsync.testing.remote import Failure
from testing.mutants import killed_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from crmsync.model.actions import Action
    from crmsync.testing.memory_remote import Order


# Answers.


@killed_by("each_action_lands_and_is_answered_in_order", "the answer in place 1 is for")
class AnswersInTheRemotesOrder(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return list(self._submitted([self._order(action) for action in actions]).values())[::-1]


@killed_by("each_action_lands_and_is_answered_in_order", "actions were answered by")
class AnswersOnlySuccesses(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return super().apply(actions)[:-1]


@killed_by("each_action_lands_and_is_answered_in_order", "landed 0 times")
class ForgetsNotes(MemoryConnector):
    """Answers for notes without sending them."""

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        sent = iter(super().apply([a for a in actions if a.kind is not ActionKind.NOTE]))
        return [
            Receipt(key=action.key, remote_id=f"note-{action.key}")
            if isinstance(action, AddNote)
            else next(sent)
            for action in actions
        ]


@killed_by("each_action_lands_and_is_answered_in_order", "each with its own id")
class NamesNothing(MemoryConnector):
    """Every receipt has the same id."""

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return [
            replace(answer, remote_id="ok") if isinstance(answer, Receipt) else answer
            for answer in super().apply(actions)
        ]


@killed_by("each_action_lands_and_is_answered_in_order", "is neither a receipt nor")
class AnswersWithWords(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return ["done" for _ in super().apply(actions)]  # type: ignore[misc]  # the fault


@killed_by("each_action_lands_and_is_answered_in_order", "an empty batch is no reason to fail")
class SendsEmptyBatches(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        if not actions:
            try:
                self._remote.submit(self._token, [])
            except WireError as fault:
                raise self._translated(fault) from None
        return super().apply(actions)


@killed_by("find_tells_only_what_landed", "no keys are no reason to fail", keys=KeyHandling.LOOKUP)
class SearchesForNothing(MemoryConnector):
    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        try:
            self._remote.search(self._token, keys)
        except WireError as fault:
            raise self._translated(fault) from None
        return super().find(keys)


@killed_by("a_refused_action_leaves_the_others_alone", "RejectedError was due in place|was refused")
class OneRefusalForAll(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        answers = super().apply(actions)
        for answer in answers:
            if isinstance(answer, ConnectorError):
                raise answer
        return answers


@killed_by("a_refused_action_leaves_the_others_alone", "RejectedError was due in place 7")
class PutsRefusalsLast(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return sorted(super().apply(actions), key=lambda a: isinstance(a, ConnectorError))


@killed_by("a_refused_action_leaves_the_others_alone", "not TransientError")
class RetriesRefusals(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return [
            TransientError(str(answer)) if isinstance(answer, RejectedError) else answer
            for answer in super().apply(actions)
        ]


@killed_by("a_refused_action_leaves_the_others_alone", "does not say why")
class RefusesWithoutAWord(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return [
            RejectedError("") if isinstance(answer, RejectedError) else answer
            for answer in super().apply(actions)
        ]


@killed_by("what_is_made_stays_with_its_record", "landed on no record")
class AttachesToNothing(MemoryConnector):
    def _order(self, action: Action) -> Order:
        order = super()._order(action)
        return order if action.kind is ActionKind.UPDATE else replace(order, record="")


@killed_by("a_due_day_is_never_shifted", "due on 2026-01-01 landed as due on 2025-12-31")
class ShiftsDays(MemoryConnector):
    """Takes a day for its midnight in UTC, in an office west of Greenwich."""

    def _order(self, action: Action) -> Order:
        order = super()._order(action)
        if order.due is None:
            return order
        midnight = datetime.combine(order.due, time(), UTC)
        return replace(order, due=midnight.astimezone(ZoneInfo("America/New_York")).date())


@killed_by("a_due_day_is_never_shifted", "due on None landed as due on")
class InventsADay(MemoryConnector):
    def _order(self, action: Action) -> Order:
        order = super()._order(action)
        return replace(order, due=order.due or date(2026, 3, 2))


# Twice.


class _SpecSaysNative(MemoryUnderTest):
    """The remote takes no notice of keys, but the spec says that it does."""

    really = KeyHandling.UNSAFE

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self.remote.keys = self.really


@killed_by("applying_twice_is_one_effect", "is declared NATIVE, but the second receipt")
class SendsTwice(_SpecSaysNative):
    pass


@killed_by("applying_twice_is_one_effect", "landed 2 times")
class SendsTwiceUnderOneId(MemoryConnector):
    """Sends again, and answers with the first receipt."""

    def _submitted(self, orders: Sequence[Order]) -> Mapping[str, Receipt | ConnectorError]:
        first = dict(self._remote._made)  # noqa: SLF001  it cheats
        self._remote._made.clear()  # noqa: SLF001  it cheats
        answers = super()._submitted(orders)
        return {key: Receipt(key=key, remote_id=first[key]) for key in answers if key in first} or (
            answers
        )


@killed_by("applying_twice_is_one_effect", "but `find` does not know", keys=KeyHandling.LOOKUP)
@killed_by("find_tells_only_what_landed", "does not know key-", keys=KeyHandling.LOOKUP)
@killed_by("a_crash_after_the_send_is_reconciled", "landed 2 times", keys=KeyHandling.LOOKUP)
class FindsNothing(MemoryConnector):
    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        return {}


@killed_by("applying_twice_is_one_effect", "`find` names", keys=KeyHandling.LOOKUP)
class FindsAnother(MemoryConnector):
    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        return {key: Receipt(key=key, remote_id="another") for key in super().find(keys)}


@killed_by("the_same_key_twice_in_a_batch_is_one_effect", "landed 2 times")
class LooksBeforeTheBatch(_SpecSaysNative):
    """Asks which keys are there, then sends the others: blind within the batch."""

    really = KeyHandling.LOOKUP

    class Looking(MemoryConnector):
        def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
            known = self.find([action.key for action in actions])
            sent = iter(super().apply([a for a in actions if a.key not in known]))
            return [known[a.key] if a.key in known else next(sent) for a in actions]

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **(options | {"connector": self.Looking}))


@killed_by("find_tells_only_what_landed", "knows a key that never was", keys=KeyHandling.LOOKUP)
class FindsEverything(MemoryConnector):
    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        return {key: Receipt(key=key, remote_id=key) for key in keys}


@killed_by("find_tells_only_what_landed", "knows a key that never was", keys=KeyHandling.LOOKUP)
class FindsByPrefix(MemoryConnector):
    """A search for “contains”, where “equals” was meant."""

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        known = self._remote._made  # noqa: SLF001  it stands for a search at the remote
        found = ((key, made) for key in keys for made in known if made.startswith(key))
        return {key: Receipt(key=key, remote_id=known[made]) for key, made in found}


@killed_by("find_tells_only_what_landed", "has the receipt of", keys=KeyHandling.LOOKUP)
class FindsCrossed(MemoryConnector):
    """Pairs what was asked with the answers by their order."""

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        return dict(zip(keys, super().find(keys).values(), strict=False))


# After a crash.


class _Says(MemoryConnector):
    error: type[ConnectorError]

    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        error = super()._translated(fault, sent=sent)
        return self.error("again") if isinstance(error, UncertainError) else error


@killed_by(
    "a_crash_after_the_send_is_reconciled",
    "UncertainError was due, not TransientError",
    keys=KeyHandling.UNSAFE,
)
class CallsACrashTransient(_Says):
    error = TransientError


@killed_by("a_crash_after_the_send_is_reconciled", "UncertainError was due, not RejectedError")
class CallsACrashARefusal(_Says):
    error = RejectedError


@killed_by("a_crash_after_the_send_is_reconciled", "landed 2 times", keys=KeyHandling.UNSAFE)
class TriesAgainByItself(MemoryConnector):
    def _submitted(self, orders: Sequence[Order]) -> Mapping[str, Receipt | ConnectorError]:
        answers = super()._submitted(orders)
        if any(isinstance(answer, UncertainError) for answer in answers.values()):
            return super()._submitted(orders)
        return answers


@killed_by("a_crash_after_the_send_is_reconciled", "landed 0 times")
class TakesACrashForSuccess(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return [
            Receipt(key=action.key, remote_id="1") if isinstance(answer, UncertainError) else answer
            for action, answer in zip(actions, super().apply(actions), strict=True)
        ]


@killed_by("a_crash_after_the_send_is_reconciled", "let nothing land")
class BreaksBeforeTheSend(MemoryUnderTest):
    """A harness that breaks the connection too early shows nothing."""

    def fail_next(self, failure: Failure) -> None:
        super().fail_next(Failure.TRANSIENT if failure is Failure.UNCERTAIN else failure)


# Text.


class _Mended(MemoryConnector):
    def _order(self, action: Action) -> Order:
        order = super()._order(action)
        texts = {name: self.mended(text) for name, text in order.texts.items()}
        return replace(order, texts=texts)

    def mended(self, text: str) -> str:
        raise NotImplementedError


@killed_by("hostile_text_lands_as_it_is", "as the text “line breaks”, the body of the task")
class JoinsLines(_Mended):
    def mended(self, text: str) -> str:
        return text.replace("\n", " ")


@killed_by("hostile_text_lands_as_it_is", "as the text “emoji”")
class KnowsOnlyTheBasicPlane(_Mended):
    def mended(self, text: str) -> str:
        return "".join(letter for letter in text if ord(letter) <= 0xFFFF)


@killed_by("hostile_text_lands_as_it_is", "the html of the email landed as")
class StripsMarkup(_Mended):
    def mended(self, text: str) -> str:
        return re.sub(r"<[^>]*>", "", text)


@killed_by("hostile_text_lands_as_it_is", "as the text “very long”")
class CutsLongTexts(_Mended):
    def mended(self, text: str) -> str:
        return text[:32_000]


@killed_by("hostile_text_lands_as_it_is", "landed without its html")
class SendsPlainTextOnly(MemoryConnector):
    def _order(self, action: Action) -> Order:
        order = super()._order(action)
        texts = {name: text for name, text in order.texts.items() if name != "html"}
        return replace(order, texts=texts)


@killed_by("control_characters_land_or_are_refused", "apply` raised ValueError, which is none")
class BreaksDownOverALetter(_Mended):
    def mended(self, text: str) -> str:
        if "\x00" in text:
            raise ValueError("embedded null byte")
        return text


@killed_by("control_characters_land_or_are_refused", "half a character.*UncertainError")
class EncodesTooLate(MemoryConnector):
    """Takes its own failure for one of the wire."""

    def _submitted(self, orders: Sequence[Order]) -> Mapping[str, Receipt | ConnectorError]:
        try:
            for order in orders:
                "".join(order.texts.values()).encode()
        except UnicodeEncodeError:
            return {order.key: UncertainError("the connection broke") for order in orders}
        return super()._submitted(orders)


@killed_by("control_characters_land_or_are_refused", "landed as 'ab'")
class DropsWhatItCannotHold(_Mended):
    def mended(self, text: str) -> str:
        return text.replace("\x00", "")


@killed_by("a_full_batch_lands", "a sound task was refused")
class PromisesLargeBatches(MemoryUnderTest):
    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self.spec = replace(self.spec, batch_size=50)


@killed_by("a_full_batch_lands", "in a batch of 10, the task .* landed 2 times")
class SendsTheEndTwice(_SpecSaysNative):
    """Cuts a batch into overlapping pieces."""

    class Cutting(MemoryConnector):
        def _submitted(self, orders: Sequence[Order]) -> Mapping[str, Receipt | ConnectorError]:
            pieces = [orders[start : start + 6] for start in range(0, len(orders), 5)]
            return {
                key: answer
                for piece in pieces
                for key, answer in super(SendsTheEndTwice.Cutting, self)._submitted(piece).items()
            }

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **(options | {"connector": self.Cutting}))


class _Careless(MemoryConnector):
    """Builds headers without a look at what is in them."""

    def _order(self, action: Action) -> Order:
        if not isinstance(action, SendEmail):
            return super()._order(action)
        order = super()._order(replace(action, subject="", sender="", recipient="", headers={}))
        headers = {
            "From": action.sender,
            "To": action.recipient,
            "Subject": action.subject,
            **action.headers,
        }
        lines = [f"{name}: {value}" for name, value in self.cleaned(headers).items()]
        return replace(order, headers="\r\n".join(lines))

    def cleaned(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return headers


@killed_by("line_breaks_never_become_headers", "the subject injected a header")
class TrustsHeaders(_Careless):
    pass


@killed_by("line_breaks_never_become_headers", "the subject injected a header")
class LooksOnlyForPairs(_Careless):
    """Knows CR LF, but not a lone LF."""

    def cleaned(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {name: value.replace("\r\n", " ") for name, value in headers.items()}


@killed_by("line_breaks_never_become_headers", "a header's name injected a header")
class TrustsNames(_Careless):
    def cleaned(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {name: re.sub(r"[\r\n]+", " ", value) for name, value in headers.items()}


@killed_by("line_breaks_never_become_headers", "but landed 1 times")
class RefusesAfterSending(_Careless):
    def cleaned(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {re.sub(r"\s+", "", n): re.sub(r"\s+", " ", v) for n, v in headers.items()}

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return [
            RejectedError("a line break")
            if isinstance(action, SendEmail) and "\n" in action.subject
            else answer
            for action, answer in zip(actions, super().apply(actions), strict=True)
        ]


# What was not declared, and what others changed.


@killed_by("undeclared_kinds_are_refused", "email is not declared, but was answered by")
class DoesMoreThanItSays(MemoryUnderTest):
    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        said = [ActionKind.TASK, ActionKind.NOTE, ActionKind.UPDATE]
        self.spec = replace(self.spec, actions=dict.fromkeys(said, KeyHandling.NATIVE))


@killed_by("an_update_yields_to_what_people_changed", "RejectedError was due")
class Overwrites(MemoryConnector):
    def _order(self, action: Action) -> Order:
        return replace(super()._order(action), expected={})


@killed_by("an_update_yields_to_what_people_changed", "a sound update was refused")
class ComparesWithTheNewValue(MemoryConnector):
    def _order(self, action: Action) -> Order:
        order = super()._order(action)
        return replace(order, expected=dict(order.texts) if order.expected else {})
