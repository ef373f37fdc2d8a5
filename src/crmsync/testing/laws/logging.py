"""Laws of putting mail on record that was sent elsewhere: as it was, when it was, and once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.model.actions import ActionKind, LogEmail
from crmsync.testing.laws.steps import applied, assert_once, landed, need
from crmsync.testing.remote import Feature

if TYPE_CHECKING:
    from crmsync.testing.remote import Effect, RemoteUnderTest


class LoggingLaws:
    """What holds where the spec names logs."""

    def test_a_logged_mail_is_known_as_ours_when_it_comes_back(
        self, remote: RemoteUnderTest
    ) -> None:
        """By the Message-ID, which the remote keeps; else it would pass for a colleague's."""
        log = _log(remote, "known")
        applied(remote, log)
        found = _entry(remote, log).message_id.strip().strip("<>")
        assert found.lower() == log.message_id.lower(), (
            f"the mail {log.message_id} was logged as {found or 'one without a Message-ID'}; "
            "where the remote keeps it, `effects` tells it in Effect.message_id"
        )

    def test_a_logged_mail_stands_at_its_time(self, remote: RemoteUnderTest) -> None:
        """When it was sent, which may be long ago; not when it was put on record."""
        for number, earlier in enumerate((timedelta(), timedelta(days=400))):
            log = _log(remote, f"dated{number}")
            dated = replace(log, at=log.at - earlier)
            applied(remote, dated)
            at = _entry(remote, dated).at
            assert at is not None, "`effects` tells in Effect.at when a logged mail was sent"
            assert at.astimezone(UTC).replace(microsecond=0) == dated.at, (
                f"a mail of {dated.at.isoformat()} was logged as one of {at.isoformat()}"
            )

    def test_a_mail_without_html_is_logged(self, remote: RemoteUnderTest) -> None:
        """Many mails are text alone."""
        log = replace(_log(remote, "bare"), html=None)
        applied(remote, log)
        assert_once(remote, [log], "as text alone")
        left = _entry(remote, log).texts.get("html")
        assert not left, f"a mail without HTML was logged with the HTML {left[:200]!r}"


def _log(remote: RemoteUnderTest, label: str) -> LogEmail:
    need(remote, Feature.WRITES)
    if ActionKind.LOG not in remote.spec.actions:
        pytest.skip("the spec names no logs")
    log = remote.action(ActionKind.LOG, f"key-{label}", "plain", f"logged-{label}")
    assert isinstance(log, LogEmail), "action(LOG) makes a LogEmail"
    return log


def _entry(remote: RemoteUnderTest, log: LogEmail) -> Effect:
    assert_once(remote, [log], "put on record")
    return landed(remote, log)[0]
