"""A mail server that fails when it is told to, and delivers to one mailbox."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

from mail_servers import PASSWORD
from smtp_server import MailServer, Taken

if TYPE_CHECKING:
    from pathlib import Path

    from mail_servers import Mailboxes


class DeliveringServer(MailServer):
    """What it has taken for a user, it delivers to that user's mailbox; that is all it delivers."""

    def __init__(self, folder: Path, mailboxes: Mailboxes, user: str) -> None:
        super().__init__(folder)
        self._mailboxes, self.user = mailboxes, user

    def authenticate(self, user: str, password: str) -> bool:
        return (user, password) == (self.user, PASSWORD)

    def take(self, mail: Taken) -> None:
        super().take(mail)
        if self.user in mail.recipients:
            with smtplib.LMTP("127.0.0.1", self._mailboxes.lmtp) as lmtp:
                lmtp.sendmail(mail.sender, self.user, mail.content)
