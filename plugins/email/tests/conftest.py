from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from mail_servers import Dovecot, Postfix, why_no_dovecot, why_no_postfix
from smtp_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A mail server for mailboxes; each test takes a mailbox of its own."""
    if (reason := why_no_dovecot()) is not None:
        pytest.skip(reason)
    with TemporaryDirectory(prefix="crmsync-dovecot-") as folder:
        server = Dovecot.start(Path(folder))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postfix(dovecot: Dovecot) -> Iterator[Postfix]:
    """A mail server that carries mail to `dovecot`."""
    if (reason := why_no_postfix()) is not None:
        pytest.skip(reason)
    with TemporaryDirectory(prefix="crmsync-postfix-") as folder:
        server = Postfix.start(Path(folder), dovecot)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    """A mail server that wants STARTTLS and a login."""
    server = MailServer(tmp_path)
    yield server
    server.close()
