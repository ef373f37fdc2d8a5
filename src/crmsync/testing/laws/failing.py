"""Laws of failing: an error is named by what happens next, and tells no secret."""

from __future__ import annotations

import io
import logging
import traceback
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from structlog.testing import capture_logs

from crmsync.errors import (
    AuthError,
    ConnectorError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.model.actions import KeyHandling
from crmsync.plugins.contract import Reads, Writes
from crmsync.testing.laws.steps import (
    applied,
    apply_one,
    assert_known,
    caught,
    connected,
    landed,
    need,
    read,
    reader,
    sample_actions,
    sample_records,
    texts,
    writer,
)
from crmsync.testing.remote import Failure, Feature, RemoteUnderTest
from crmsync.testing.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crmsync.model.pages import Page
    from crmsync.plugins.contract import Connector

ERRORS: dict[Failure, type[ConnectorError]] = {
    Failure.AUTH: AuthError,
    Failure.TRANSIENT: TransientError,
    Failure.QUOTA: QuotaError,
    Failure.REJECTED: RejectedError,
    Failure.UNCERTAIN: UncertainError,
}


class FailingLaws:
    """What holds when the remote does not do as it is asked."""

    def test_refused_credentials_pause_the_connection(self, remote: RemoteUnderTest) -> None:
        """AuthError, from a read and from a write, and nothing has landed."""
        need(remote, Failure.AUTH)
        for error in failures(remote, Failure.AUTH):
            assert str(error).strip(), "the error does not say what to do"

    def test_a_transient_failure_says_when_to_retry(self, remote: RemoteUnderTest) -> None:
        """TransientError, with the remote's own retry-after; nothing has landed."""
        need(remote, Failure.TRANSIENT)
        for error in failures(remote, Failure.TRANSIENT):
            assert isinstance(error, TransientError)
            assert error.retry_after is None or isinstance(error.retry_after, timedelta)
            assert error.retry_after == remote.retry_after, (
                f"the remote asked to wait {remote.retry_after}, the error says {error.retry_after}"
            )

    def test_a_used_up_quota_says_until_when(self, remote: RemoteUnderTest) -> None:
        """QuotaError, with the instant at which the remote can be asked again."""
        need(remote, Failure.QUOTA)
        for error in failures(remote, Failure.QUOTA):
            assert isinstance(error, QuotaError)
            assert isinstance(error.until, datetime), "`until` is an instant"
            assert error.until.utcoffset() is not None, "`until` has no time zone"
            if remote.quota_until is not None:
                assert error.until == remote.quota_until, (
                    f"the remote said {remote.quota_until}, the error says {error.until}"
                )

    def test_what_failed_works_again(self, remote: RemoteUnderTest) -> None:
        """Once the remote is well, so is a new connection; after an outage, the old one too."""
        for failure in (Failure.TRANSIENT, Failure.QUOTA, Failure.AUTH):
            if failure in remote.absent:
                continue
            failures(remote, failure)
            if Feature.READS not in remote.absent:
                _assert_works(lambda: read(remote), f"a new connection after {failure.value}")
            if Feature.WRITES not in remote.absent:
                for action in sample_actions(remote, f"again-{failure.value}"):
                    applied(remote, action)
        if not {Feature.READS, Failure.TRANSIENT} & remote.absent.keys():
            with connected(remote) as connector:
                streams = reader(connector)
                remote.fail_next(Failure.TRANSIENT)
                caught(lambda: list(streams.read(remote.stream, None)), TransientError)
                _assert_works(
                    lambda: list(streams.read(remote.stream, None)), "the same connection"
                )

    def test_pages_before_an_error_stay_valid(self, remote: RemoteUnderTest) -> None:
        """The read breaks off between two pages; the last cursor goes on from there."""
        need(remote, Feature.READS, Feature.PAGES, Failure.TRANSIENT)
        records = sample_records()
        remote.put(records)
        broken_off = 0
        for count in range(1, len(read(remote))):
            pages: list[Page] = []
            with connected(remote) as connector:
                reading = iter(reader(connector).read(remote.stream, None))
                pages.extend(next(reading) for _ in range(count))
                remote.fail_next(Failure.TRANSIENT)
                try:
                    pages.extend(reading)
                except TransientError:
                    broken_off += 1
                    pages += read(remote, pages[-1].cursor)
                else:
                    # It had fetched ahead; the failure waits for the next call.
                    with suppress(TransientError):
                        read(remote)
            after = f"after an outage behind page {count}"
            assert_known(Replica(remote, pages), texts(records), after)
        assert broken_off, "the remote failed between pages, and no read broke off"

    def test_secrets_never_leak(self, remote: RemoteUnderTest) -> None:
        """Not in logs, output, errors, cursors or receipts, not even where the remote echoes it."""
        need(remote, Feature.SECRETS)
        secret = remote.secret
        assert secret, "the remote under test does not say what its secret is"
        told = _everything_told(remote)
        for where, text in told:
            assert secret not in text, f"the secret stands in {where}: {text[:300]!r}"

    def test_close_is_safe_at_any_time(self, remote: RemoteUnderTest) -> None:
        """Unused, twice, in the middle of a read, and after an error."""
        unused = remote.connect()
        _close(unused, "the first close")
        _close(unused, "the second close")
        if Feature.READS in remote.absent:
            return
        records = sample_records()
        remote.put(records)
        connector = remote.connect()
        next(iter(reader(connector).read(remote.stream, None)))
        _close(connector, "the close in the middle of a read")
        assert_known(Replica(remote, read(remote)), texts(records), "after a close")
        for failure in (Failure.AUTH, Failure.TRANSIENT, Failure.QUOTA):
            if failure not in remote.absent:
                connector = remote.connect()
                remote.fail_next(failure)
                reading = reader(connector).read(remote.stream, None)
                caught(lambda r=reading: list(r), ERRORS[failure])  # type: ignore[misc]  # a default argument binds the loop's value
                _close(connector, "the close after an error")


def failures(remote: RemoteUnderTest, failure: Failure) -> list[ConnectorError]:
    """The errors of a read, of writes and of a search that met this failure."""
    expected = ERRORS[failure]
    found: list[ConnectorError] = []
    if Feature.READS not in remote.absent:
        remote.put(sample_records())
        remote.fail_next(failure)
        found.append(caught(lambda: read(remote), expected))
    if Feature.WRITES not in remote.absent:
        for action in sample_actions(remote, failure.value):
            remote.fail_next(failure)
            try:
                answer = apply_one(remote, action)
            except ConnectorError as error:
                answer = error
            assert isinstance(answer, expected), (
                f"{expected.__name__} was due for a {action.kind}, not {answer!r}"
            )
            assert not [e for e in landed(remote, action) if "plain" in e.texts.values()], (
                f"{expected.__name__} says that nothing happened, but the {action.kind} landed"
            )
            found.append(answer)
    if KeyHandling.LOOKUP in remote.spec.actions.values():
        # Whoever finds nothing because he could not look sends everything again.
        remote.fail_next(failure)
        found.append(caught(lambda: _find(remote, "key-sought"), expected))
    return found


def _find(remote: RemoteUnderTest, key: str) -> object:
    with connected(remote) as connector:
        return writer(connector).find([key])


def _assert_works(call: Callable[[], object], where: str) -> None:
    try:
        call()
    except Exception as error:
        raise AssertionError(f"{where} fails although the remote is well: {error}") from error


def _close(connector: Connector, which: str) -> None:
    try:
        connector.close()
    except Exception as error:
        raise AssertionError(f"{which} raised {type(error).__name__}: {error}") from error


@contextmanager
def _listening(told: list[tuple[str, str]]) -> Iterator[None]:
    """Hear all that is logged or printed, at every level."""
    printed = io.StringIO()
    handler = logging.StreamHandler(printed)
    root = logging.getLogger()
    level = root.level
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(printed))
        stack.enter_context(redirect_stderr(printed))
        # Whoever has set structlog up before may have told it to leave small things out.
        set_up = structlog.get_config()["wrapper_class"]
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
        stack.callback(lambda: structlog.configure(wrapper_class=set_up))
        events = stack.enter_context(capture_logs())
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
    told.append(("a log or the output", printed.getvalue()))
    told.extend(("a structured log", repr(event)) for event in events)


def _everything_told(remote: RemoteUnderTest) -> list[tuple[str, str]]:
    """All text that leaves the connector in good times and bad, each with where it stood."""
    told: list[tuple[str, str]] = [("the spec", repr(remote.spec))]
    with _listening(told):
        with connected(remote) as connector:
            told += [("the connector", repr(connector)), ("the connector", str(connector))]
            told += [("a finding", repr(finding)) for finding in connector.check()]
            if isinstance(connector, Reads) and Feature.READS not in remote.absent:
                remote.put(sample_records())
                told += [("a described field", repr(connector.describe(remote.stream)))]
                for page in connector.read(remote.stream, None):
                    told += [("a cursor", page.cursor), ("a page", repr(page))]
            if isinstance(connector, Writes) and Feature.WRITES not in remote.absent:
                answers = connector.apply(sample_actions(remote, "secret"))
                told += [("a receipt", repr(answer)) for answer in answers]
        for failure in Failure:
            if failure not in remote.absent:
                told += _told_by_errors(remote, failure)
    return told


def _told_by_errors(remote: RemoteUnderTest, failure: Failure) -> list[tuple[str, str]]:
    errors: list[ConnectorError] = []
    findings: list[tuple[str, str]] = []
    if failure is Failure.REJECTED:
        answer = apply_one(remote, remote.refused_action("key-secret-refused"))
        errors += [answer] if isinstance(answer, ConnectorError) else []
    elif failure is Failure.UNCERTAIN:
        for action in sample_actions(remote, "secret-crash"):
            remote.fail_next(failure)
            answer = apply_one(remote, action)
            errors += [answer] if isinstance(answer, ConnectorError) else []
    else:
        errors += failures(remote, failure)
        findings += _asked(remote, failure, errors)
    return findings + [
        (f"a {type(error).__name__}", text)
        for error in errors
        for text in (
            str(error),
            repr(error),
            repr(vars(error)),
            # With the errors that caused it: a chained error of an HTTP library quotes its request.
            "".join(traceback.format_exception(error)),
        )
    ]


def _asked(
    remote: RemoteUnderTest, failure: Failure, errors: list[ConnectorError]
) -> list[tuple[str, str]]:
    """What ``check`` and ``describe`` find when they meet a failure; what they raise is added."""
    told: list[tuple[str, str]] = []
    with connected(remote) as connector:
        asked: list[Callable[[], object]] = [connector.check]
        if isinstance(connector, Reads) and Feature.READS not in remote.absent:
            asked.append(lambda: connector.describe(remote.stream))
        for ask in asked:
            remote.fail_next(failure)
            # The second time meets the failure that the first did not touch.
            for _ in range(2):
                try:
                    told.append(("a finding", repr(ask())))
                except ConnectorError as error:
                    errors.append(error)
    return told
