"""The connector: a mailbox that is read, and from which mail goes out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from crmsync.errors import ConnectorError, RejectedError
from crmsync.model.actions import Receipt
from crmsync.plugins.contract import Finding
from crmsync_email.options import MailboxOptions, placed
from crmsync_email.reading.checking import findings
from crmsync_email.reading.copies import copies_of
from crmsync_email.reading.mailbox import Bounds, MailboxReading
from crmsync_email.reading.pages import fields
from crmsync_email.reading.session import ImapLogin, MailboxSession
from crmsync_email.sending.smtp import SmtpSender

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.model.actions import Action
    from crmsync.model.pages import Cursor, Page
    from crmsync.plugins.contract import ConnectionContext, RemoteField
    from crmsync_email.sending.signing import Signer


class MailboxConnector:
    """Reads mail as activities; sends mail, and finds by its copies what was sent."""

    def __init__(
        self,
        context: ConnectionContext,
        *,
        signer: Signer | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        assert isinstance(context.options, MailboxOptions)  # noqa: S101  the spec names that model
        self._options = options = context.options
        self._imap = placed(options.imap, context.folder)
        self._streams, self._bounds = context.streams, bounds
        self._login = ImapLogin(options, context.clock)
        self._sender = None
        if options.smtp is not None:
            server = placed(options.smtp, context.folder)
            self._sender = SmtpSender(
                options,
                server,
                options,
                context.clock,
                copies=not options.copies_itself,
                signer=signer,
            )

    def check(self) -> Sequence[Finding]:
        """Whether the mailbox can be read as the config says, and mail be sent from it."""
        told = [] if self._sender is None else list(self._sender.check())
        try:
            with self._session() as session:
                told += findings(session, self._imap, self._options.own)
        except ConnectorError as error:
            told.append(Finding(sentence=str(error)))
        return told

    def close(self) -> None:
        """End the session in which mail was sent."""
        if self._sender is not None:
            self._sender.close()

    def describe(self, stream: str) -> Sequence[RemoteField]:
        """The same for every stream."""
        del stream
        return fields()

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        """The mails that are new in the folders of the mailbox.

        Raises:
            ConnectorError: the mailbox, or one of its folders, cannot be read.
        """
        request = self._streams.get(stream)
        with self._session() as session:
            yield from MailboxReading(
                session,
                self._imap,
                own=self._options.own,
                columns=None if request is None else request.columns,
                since=since,
                bounds=self._bounds,
            ).pages()

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Send mails; all other actions are refused."""
        if self._sender is None:
            return [RejectedError("nothing can be sent from a mailbox without smtp")] * len(actions)
        return self._sender.apply(actions)

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """The mails that were sent, by the copies of them in the mailbox.

        Raises:
            ConnectorError: the mailbox cannot be looked into, so that nobody knows.
        """
        if not keys:
            return {}
        with self._session() as session:
            found = copies_of(session, self._imap, keys, among_sent=self._options.copies_itself)
        return {
            key: Receipt(key=key, remote_id=message_id, already=True)
            for key, message_id in found.items()
        }

    @contextmanager
    def _session(self) -> Iterator[MailboxSession]:
        session = MailboxSession(self._imap, self._login)
        try:
            yield session
        finally:
            session.close()
