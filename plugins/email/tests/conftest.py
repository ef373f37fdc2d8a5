from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from mail_servers import Dovecot, Postfix, why_no_servers
from smtp_server import MailServer
from stand_ins import ONLY_DOVECOT, CarrierStandIn, MailboxStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mail_servers import Carrier, Mailboxes


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[Dovecot, Postfix]]:
    """Real mail servers."""
    if (reason := why_no_servers()) is not None:
        pytest.skip(f"{ONLY_DOVECOT} real servers ({reason})")
    with (
        TemporaryDirectory(prefix="crmsync-dovecot-") as mailboxes,
        TemporaryDirectory(prefix="crmsync-postfix-") as queue,
    ):
        dovecot = Dovecot.start(Path(mailboxes))
        try:
            postfix = Postfix.start(Path(queue), dovecot)
            try:
                yield dovecot, postfix
            finally:
                postfix.stop()
        finally:
            dovecot.stop()


@pytest.fixture(scope="session")
def stand_ins() -> Iterator[tuple[MailboxStandIn, CarrierStandIn]]:
    """What stands in for them."""
    mailboxes = MailboxStandIn()
    carrier = CarrierStandIn(mailboxes)
    try:
        yield mailboxes, carrier
    finally:
        carrier.stop()
        mailboxes.stop()


@pytest.fixture(scope="session")
def mailboxes(request: pytest.FixtureRequest) -> Mailboxes:
    """Everybody's mailbox; each test takes one of its own."""
    there = "servers" if why_no_servers() is None else "stand_ins"
    found: tuple[Mailboxes, Carrier] = request.getfixturevalue(there)
    return found[0]


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    """A mail server that wants STARTTLS and a login."""
    server = MailServer(tmp_path)
    yield server
    server.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what a machine without mail servers has left out."""
    reason = why_no_servers()
    if reason is None:
        return
    skipped = [
        report
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple) and ONLY_DOVECOT in report.longrepr[2]
    ]
    terminalreporter.section("mail servers")
    terminalreporter.line(
        f"The tests of mail ran against aiosmtpd and mailboxes in memory, since {reason}."
    )
    terminalreporter.line(f"Left out, because only the real servers have it ({len(skipped)}):")
    for report in skipped:
        terminalreporter.line(f"  {report.nodeid.rpartition('::')[2]}")
