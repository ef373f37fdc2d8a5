"""Connectors that fail, or declare themselves, with one fault each."""

from __future__ import annotations

import logging
import socket
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import structlog
from pydantic import BaseModel

from crmsync.errors import AuthError, ConnectorError, QuotaError, TransientError
from crmsync.model.actions import ActionKind, KeyHandling, Receipt
from crmsync.plugins.contract import ConnectorSpec, Finding, RemoteField
from crmsync.testing.laws.steps import MAKING
from crmsync.testing.memory import MemoryConnector
from crmsync.testing.memory_remote import WireError
from crmsync.testing.reference import MemoryUnderTest
from crmsync.testing.remote import Failure, Feature
from testing.mutants import killed_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from crmsync.model.actions import Action
    from crmsync.model.pages import Cursor, Page
    from crmsync.plugins.contract import Connector
    from crmsync.testing.memory_remote import Order


# Each error by its name.


@killed_by("refused_credentials_pause_the_connection", "AuthError was due, not TransientError")
@killed_by("a_used_up_quota_says_until_when", "QuotaError was due, not TransientError")
class EverythingIsTransient(MemoryConnector):
    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        return TransientError("something went wrong", retry_after=fault.retry_after)


@killed_by("refused_credentials_pause_the_connection", "AuthError was due, not WireError")
@killed_by("a_transient_failure_says_when_to_retry", "TransientError was due, not WireError")
class PassesFaultsOn(MemoryConnector):
    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        raise fault


@killed_by("refused_credentials_pause_the_connection", "nothing was raised")
class ReadsNothingWithoutCredentials(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        try:
            yield from super().read(stream, since)
        except AuthError:
            return


@killed_by("refused_credentials_pause_the_connection", "does not say what to do")
class RefusedInSilence(MemoryConnector):
    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        error = super()._translated(fault, sent=sent)
        return AuthError("") if isinstance(error, AuthError) else error


@killed_by("a_transient_failure_says_when_to_retry", "the error says None")
class ForgetsRetryAfter(MemoryConnector):
    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        error = super()._translated(fault, sent=sent)
        return TransientError(str(error)) if isinstance(error, TransientError) else error


@killed_by("a_transient_failure_says_when_to_retry", "says that nothing happened, but")
class FailsAfterSending(MemoryConnector):
    """Asks for something after the batch, and calls that failure the batch's."""

    def _submitted(self, orders: Sequence[Order]) -> Mapping[str, Receipt | ConnectorError]:
        pending, self._remote._failures = self._remote._failures, []  # noqa: SLF001  delays it
        answers = super()._submitted(orders)
        self._remote._failures = pending  # noqa: SLF001  until now
        try:
            self._remote.ping(self._token)
        except WireError as fault:
            raise self._translated(fault) from None
        return answers


@killed_by("a_transient_failure_says_when_to_retry", "nothing was raised", keys=KeyHandling.LOOKUP)
class FindsNothingInAnOutage(MemoryConnector):
    """Whatever cannot be looked up is sent again."""

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        try:
            return super().find(keys)
        except TransientError:
            return {}


@killed_by("a_used_up_quota_says_until_when", "has no time zone")
class QuotaWithoutZone(MemoryConnector):
    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        error = super()._translated(fault, sent=sent)
        if isinstance(error, QuotaError):
            return QuotaError(str(error), until=error.until.replace(tzinfo=None))
        return error


@killed_by("a_used_up_quota_says_until_when", "the remote said")
class QuotaOfItsOwn(MemoryConnector):
    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        error = super()._translated(fault, sent=sent)
        if isinstance(error, QuotaError):
            return QuotaError(str(error), until=error.until - timedelta(hours=12))
        return error


@killed_by("what_failed_works_again", "a new connection after transient fails")
class NeverRecovers(MemoryConnector):
    """Remembers an outage for the life of the process."""

    down: ClassVar[set[int]] = set()

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        if id(self._remote) in self.down:
            raise TransientError("the remote was down when it was last asked")
        try:
            yield from super().read(stream, since)
        except TransientError:
            self.down.add(id(self._remote))
            raise


@killed_by("what_failed_works_again", "the same connection fails")
class RecoversOnlyAnew(MemoryConnector):
    """Remembers an outage for the life of the connection."""

    down = False

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        if self.down:
            raise TransientError("the connection is broken")
        try:
            yield from super().read(stream, since)
        except TransientError:
            self.down = True
            raise


@killed_by("what_failed_works_again", "a sound task was refused")
class KeepsACircuitOpen(MemoryConnector):
    """After a few failed batches, it sends no other."""

    failed: ClassVar[list[int]] = []

    def _submitted(self, orders: Sequence[Order]) -> Mapping[str, Receipt | ConnectorError]:
        if self.failed.count(id(self._remote)) >= len(MAKING):
            return {order.key: TransientError("the circuit is open") for order in orders}
        answers = super()._submitted(orders)
        if any(isinstance(answer, TransientError) for answer in answers.values()):
            self.failed.append(id(self._remote))
        return answers


# Secrets.


@killed_by("secrets_never_leak", "stands in the connector")
class ShowsItsToken(MemoryConnector):
    def __repr__(self) -> str:
        return f"MemoryConnector(token={self._token!r})"


@killed_by("secrets_never_leak", "stands in a QuotaError: 'daily limit of")
class RepeatsTheRemotesWords(MemoryConnector):
    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        error = super()._translated(fault, sent=sent)
        if isinstance(error, QuotaError):
            return QuotaError(str(fault), until=error.until)
        return error


@killed_by("secrets_never_leak", "stands in a AuthError: 'Traceback")
class ChainsTheFault(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        try:
            yield from self._changes(stream, since)
        except WireError as fault:
            raise self._translated(fault) from fault


@killed_by("secrets_never_leak", "stands in a AuthError: 'Traceback")
class ChainsTheFaultOfDescribe(MemoryConnector):
    def describe(self, stream: str) -> Sequence[RemoteField]:
        try:
            self._remote.columns(self._token, stream)
        except WireError as fault:
            raise self._translated(fault) from fault
        return super().describe(stream)


@killed_by("secrets_never_leak", "stands in a finding")
class FindsInTheRemotesWords(MemoryConnector):
    def check(self) -> Sequence[Finding]:
        try:
            self._remote.ping(self._token)
        except WireError as fault:
            return [Finding(sentence=str(fault))]
        return []


@killed_by("secrets_never_leak", "stands in a log or the output")
class LogsItsToken(MemoryConnector):
    def check(self) -> Sequence[Finding]:
        logging.getLogger("memory").debug("GET /ping Authorization: Bearer %s", self._token)
        return super().check()


@killed_by("secrets_never_leak", "stands in a structured log")
class LogsItsTokenAsAField(MemoryConnector):
    def check(self) -> Sequence[Finding]:
        structlog.get_logger().debug("ping", token=self._token)
        return super().check()


@killed_by("secrets_never_leak", "stands in a log or the output")
class PrintsItsToken(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        print("sending with", self._token)  # noqa: T201  the fault
        return super().apply(actions)


@killed_by("secrets_never_leak", "stands in a cursor")
class CarriesItsTokenInTheCursor(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        for page in super().read(stream, since):
            yield replace(page, cursor=f'{page.cursor[:-1]}, "token": "{self._token}"}}')


@killed_by("secrets_never_leak", "stands in a receipt")
class LinksWithItsToken(MemoryConnector):
    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return [
            replace(answer, url=f"memory:/{answer.remote_id}?token={self._token}")
            if isinstance(answer, Receipt)
            else answer
            for answer in super().apply(actions)
        ]


# Closing.


@killed_by("close_is_safe_at_any_time", "the second close raised")
class ClosesOnce(MemoryConnector):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("already closed")
        self.closed = True


@killed_by("close_is_safe_at_any_time", "the close after an error raised")
class CannotCloseAfterAnError(MemoryConnector):
    failed = False

    def _translated(self, fault: WireError, *, sent: bool = False) -> ConnectorError:
        self.failed = True
        return super()._translated(fault, sent=sent)

    def close(self) -> None:
        if self.failed:
            raise RuntimeError("cannot log out: no session")


# What is declared.


class _Spec(MemoryUnderTest):
    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self.spec = self.changed(self.spec)

    def changed(self, spec: ConnectorSpec) -> ConnectorSpec:
        raise NotImplementedError


@killed_by("the_spec_needs_no_network", "went over the network")
class AsksTheRemoteWhatItCanDo(MemoryUnderTest):
    @property
    def spec(self) -> ConnectorSpec:
        with socket.create_connection(("localhost", 9)):
            return self._spec

    @spec.setter
    def spec(self, spec: ConnectorSpec) -> None:
        self._spec = spec


@killed_by("the_spec_needs_no_network", "is not written in small letters")
class NamedForPeople(_Spec):
    def changed(self, spec: ConnectorSpec) -> ConnectorSpec:
        return replace(spec, name="Memory CRM")


@killed_by("the_spec_needs_no_network", "has no description")
class Undescribed(_Spec):
    def changed(self, spec: ConnectorSpec) -> ConnectorSpec:
        return replace(spec, description=" ")


class _AnyKeys(BaseModel):
    """Pydantic's default: unknown keys are dropped without a word."""


@killed_by("the_spec_needs_no_network", "lets misspelt keys pass")
class TakesAnyOption(_Spec):
    def changed(self, spec: ConnectorSpec) -> ConnectorSpec:
        return replace(spec, stream_options=_AnyKeys)


@killed_by("the_spec_needs_no_network", "a batch has at least one action")
class BatchesOfNothing(_Spec):
    def changed(self, spec: ConnectorSpec) -> ConnectorSpec:
        return replace(spec, batch_size=0)


@killed_by("the_spec_needs_no_network", "is not a KeyHandling")
class KeysInItsOwnWords(_Spec):
    def changed(self, spec: ConnectorSpec) -> ConnectorSpec:
        return replace(spec, actions={ActionKind.TASK: "idempotent"})  # type: ignore[dict-item]  # the fault


@killed_by("the_connector_has_the_parts_it_declares", "names its actions in the spec")
class KeepsItsActionsToItself(_Spec):
    def changed(self, spec: ConnectorSpec) -> ConnectorSpec:
        return replace(spec, actions={})


class _WithoutFind:
    def __init__(self, whole: MemoryConnector) -> None:
        self.check = whole.check
        self.close = whole.close
        self.describe = whole.describe
        self.read = whole.read
        self.apply = whole.apply


@killed_by("the_connector_has_the_parts_it_declares", "the connector is no Writes")
class CannotFind(MemoryUnderTest):
    def connect(self) -> Connector:
        whole = super().connect()
        assert isinstance(whole, MemoryConnector)
        return _WithoutFind(whole)


@killed_by("check_finds_a_sound_remote_sound", "but check says: the clock looks odd")
class AlwaysComplains(MemoryConnector):
    def check(self) -> Sequence[Finding]:
        return [*super().check(), Finding(sentence="the clock looks odd")]


# Absences that are none.


def _pretends(part: Feature | Failure, reason: str = "it is said not to work") -> None:
    class Pretends(MemoryUnderTest):
        absent = {part: reason}  # noqa: RUF012  as an author would write it

    Pretends.__name__ = f"Pretends{part.name.title()}IsAbsent"
    words = "without a reason" if " " not in reason else f"{part} is declared absent .*it works"
    killed_by("what_is_declared_absent_does_not_work", words)(Pretends)


for _part in (*Feature, *Failure):
    _pretends(_part)
_pretends(Feature.MERGES, reason="unsupported")
