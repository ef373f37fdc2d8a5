"""Mails for tests, and readings of the mailboxes they lie in."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from mail_servers import PASSWORD

from crmsync_email.reading.mailbox import Bounds, MailboxReading
from crmsync_email.reading.options import ImapOptions
from crmsync_email.reading.session import MailboxSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.model.pages import Page

_NUMBERS = count(1)


@dataclass(frozen=True, kw_only=True)
class PasswordLogin:
    """Logs in with the password that every mailbox has."""

    user: str
    password: str = PASSWORD
    is_token: bool = False

    def secret(self) -> str:
        return self.password


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
    """A reading of a mailbox; ``since`` and ``bounds`` are those of the reading."""
    since, bounds = options.pop("cursor", None), options.pop("bounds", None)
    told = ImapOptions.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none"} | options
    )
    session = MailboxSession(told, PasswordLogin(user=user))
    try:
        assert since is None or isinstance(since, str)
        assert bounds is None or isinstance(bounds, Bounds)
        yield MailboxReading(session, told, own=[user], since=since, bounds=bounds)
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
