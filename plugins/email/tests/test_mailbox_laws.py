"""The connector “mailbox” under the laws; a server that fails takes what it sends."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from delivering_server import DeliveringServer
from mail_servers import PASSWORD
from mailboxes import new_user
from sending_under_test import NO_RECORDS, effect_of, mail, opened, spec_of
from smtp_server import Fault
from wire_proxy import WireProxy

from crmsync.journeys.keys import message_id
from crmsync.model.actions import ActionKind, SendEmail
from crmsync.testing.laws import ConnectorLaws
from crmsync.testing.remote import Effect, Failure, Feature, RemoteUnderTest, SampleRecord
from crmsync.testing.samples import START, hostile_texts
from crmsync_email.mailbox import MailboxConnector
from crmsync_email.reading.activities import FoundMail, activities_of
from crmsync_email.reading.mailbox import Bounds
from crmsync_email.reading.whose import Ours
from crmsync_email.sending.answers import REST_AFTER_QUOTA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mail_servers import Mailboxes

    from crmsync.model.actions import Action
    from crmsync.plugins.contract import Connector

_SMALL = Bounds(page_mails=4)
_READS = {Feature.READS, Feature.PAGES}


class MailboxUnderTest(RemoteUnderTest):
    """A mailbox, and a server for what goes out from it."""

    spec = replace(
        spec_of("mailbox"), open=lambda context: MailboxConnector(context, bounds=_SMALL)
    )
    stream, key, text, table = "mail", "id", "text", "activity"
    secret = PASSWORD
    quota_until = START + REST_AFTER_QUOTA
    longest_text = 7_900  # of a reply, more is not kept
    absent: Mapping[Feature | Failure, str] = {
        **{feature: reason for feature, reason in NO_RECORDS.items() if feature not in _READS},
        Feature.DELETIONS: "a mail that somebody deletes was written all the same",
        Feature.MERGES: "mails are not merged",
        Feature.UNREADABLE: "what a mailbox holds is a mail, whatever it is made of",
    }

    def __init__(
        self,
        server: DeliveringServer,
        proxy: WireProxy,
        mailboxes: Mailboxes,
        user: str,
        folder: Path,
    ) -> None:
        self._server, self._proxy, self._mailboxes, self._folder = server, proxy, mailboxes, folder
        self._user = user
        self._ids: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        proxy.reply = self._imap_fault
        (folder / "password").write_text(PASSWORD)

    def connect(self) -> Connector:
        smtp = self._server.options(user=None)
        return opened(
            self.spec,
            self._folder,
            {
                "address": self._user,
                "domains": ["example.com"],
                "user": self._user,
                "password": f"file:{self._folder / 'password'}",
                "smtp": smtp,
                "imap": {"host": "127.0.0.1", "port": self._proxy.port, "security": "none"},
            },
        )

    def sample_id(self, remote_id: str) -> str:
        return self._ids[remote_id]

    def put(self, records: Sequence[SampleRecord]) -> None:
        with self._mailboxes.client(self._user) as client:
            for record in records:
                raw = _mail_of(record)
                found = FoundMail(raw=raw, stored=record.changed_at, sent=False)
                (activity,) = activities_of(found, Ours.of([], [self._user]))
                self._ids[activity.id] = record.id
                client.append("INBOX", raw, msg_time=record.changed_at)

    def fail_next(self, failure: Failure) -> None:
        self._server.faults.clear()
        self._server.faults.append(
            {
                Failure.AUTH: Fault.LOGIN,
                Failure.TRANSIENT: Fault.MAIL_LATER,
                Failure.QUOTA: Fault.USED_UP,
                Failure.UNCERTAIN: Fault.CUT_AFTER_DOT,
            }[failure]
        )

    def _imap_fault(self, line: bytes) -> bytes | None:
        """The same fault on the other wire, if it is still due."""
        fault = self._server.faults[0] if self._server.faults else None
        tag, login = line.split()[0], b"AUTHENTICATE" in line
        said = None
        if fault is Fault.MAIL_LATER and not login:
            said = b"* BYE Try again later\r\n"
        elif fault is Fault.LOGIN and login:
            told = PASSWORD.encode()
            said = tag + b" NO [AUTHENTICATIONFAILED] wrong: " + told + b"\r\n"
        elif fault is Fault.USED_UP and login:
            said = tag + b" NO [OVERQUOTA] Account exceeded command or bandwidth limits.\r\n"
        if said is not None:
            self._server.faults.clear()
        return said

    def refused_action(self, key: str) -> SendEmail:
        return mail(key, recipient="nobody@example.com")

    def effects(self) -> Sequence[Effect]:
        return [
            replace(effect_of(taken.message), key=self._keys[str(taken.message["Message-ID"])])
            for taken in self._server.taken
        ]

    def action(self, kind: ActionKind, key: str, text: str, about: str) -> Action:
        action = super().action(kind, key, text, about)
        if not isinstance(action, SendEmail):
            return action
        name = key.partition("--")[0]  # keys of effects end with a digest, from which the
        key = f"{name}--{sha256(name.encode()).hexdigest()[:40]}"  # Message-ID is made
        told = message_id(key, action.sender)
        self._keys[f"<{told}>"] = key
        return replace(action, key=key, message_id=told)


def _mail_of(record: SampleRecord) -> bytes:
    head = (
        f"From: ann@customer.example\r\nTo: me@ours.example\r\nSubject: {record.id}\r\n"
        f"Message-ID: <{record.id}@customer.example>\r\nMIME-Version: 1.0\r\n"
        "Date: Mon, 2 Mar 2026 09:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return head.encode() + record.text.encode()


class TestMailbox(ConnectorLaws):
    def test_hostile_text_is_read_as_it_is(self, remote: RemoteUnderTest) -> None:
        """Of a mail the text is kept that its author wrote: no blanks at the ends of lines."""
        hostile = hostile_texts(remote.longest_text).values()
        remote.put(
            [SampleRecord(id=f"h{n}", changed_at=START, text=t) for n, t in enumerate(hostile)]
        )
        with closing(remote.connect()) as connector:
            assert isinstance(connector, MailboxConnector)
            pages = list(connector.read(remote.stream, None))
        found = [row["text"] for page in pages for row in page.records.to_pylist()]
        for text, kept in zip(hostile, found, strict=True):
            lines = text.replace("\r\n", "\n").split("\n")
            assert kept == "\n".join(line.rstrip() for line in lines)

    @pytest.fixture
    def remote(self, mailboxes: Mailboxes, tmp_path: Path) -> Iterator[RemoteUnderTest]:
        user = new_user()
        server = DeliveringServer(tmp_path, mailboxes, user)
        with closing(server), WireProxy(mailboxes.imap) as proxy:
            yield MailboxUnderTest(server, proxy, mailboxes, user, tmp_path)
