"""Mails for tests, and readings of the mailboxes they lie in."""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from mail_servers import PASSWORD

from crmsync.clock import FixedClock
from crmsync.testing.samples import START
from crmsync_email.login import Login
from crmsync_email.reading.mailbox import Bounds, MailboxReading
from crmsync_email.reading.options import ImapOptions
from crmsync_email.reading.session import ImapLogin, MailboxSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.model.pages import Page

_NUMBERS = count(1)
_VARIABLE = "CRMSYNC_TEST_MAILBOX"


def password_login(user: str, password: str = PASSWORD) -> ImapLogin:
    """Logs in with a password, by default the one that every mailbox has."""
    os.environ[_VARIABLE] = password
    login = Login.model_validate({"user": user, "password": f"env:{_VARIABLE}"})
    return ImapLogin(login, FixedClock(instant=START))


def new_user() -> str:
    """A mailbox that nobody has used."""
    return f"me{next(_NUMBERS)}@ours.example"


def mail(number: int = 1, *, sender: str = "ann@customer.example", body: str = "Hello\n") -> bytes:
    """A mail that somebody wrote to us."""
    return (
        f"From: {sender}\r\nTo: me@ours.example\r\nMessage-ID: <m{number}@customer.example>\r\n"
        f"Date: Fri, 20 Nov 2026 09:{number // 60 % 60:02}:{number % 60:02} +0000\r\n"
        f"Subject: number {number}\r\n\r\n{body}"
    ).encode()


@contextmanager
def opened(port: int, user: str, **options: object) -> Iterator[MailboxReading]:
    """A reading of a mailbox; ``cursor``, ``columns`` and ``bounds`` are those of the reading."""
    since, bounds = options.pop("cursor", None), options.pop("bounds", None)
    columns: Any = options.pop("columns", None)
    told = ImapOptions.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none"} | options
    )
    session = MailboxSession(told, password_login(user))
    try:
        assert since is None or isinstance(since, str)
        assert bounds is None or isinstance(bounds, Bounds)
        yield MailboxReading(session, told, own=[user], columns=columns, since=since, bounds=bounds)
    finally:
        session.close()


def read(port: int, user: str, **options: object) -> list[Page]:
    """All pages of a reading."""
    with opened(port, user, **options) as reading:
        return list(reading.pages())


def rows(pages: Sequence[Page]) -> list[dict[str, object]]:
    """The records on these pages."""
    return [row for page in pages for row in page.records.to_pylist()]


def subjects(pages: Sequence[Page]) -> list[object]:
    """The subjects on these pages, in their order."""
    return [row["subject"] for row in rows(pages)]
