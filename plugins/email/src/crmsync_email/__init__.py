"""Mail is sent, and what comes back is understood.

This module is loaded at every start, so what is heavy is imported when a connection is opened.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.plugins.contract import ConnectorSpec
from crmsync.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.plugins.contract import ConnectionContext, Connector


def _open_smtp(context: ConnectionContext) -> Connector:
    from crmsync_email.options import SmtpOptions  # noqa: PLC0415  heavy
    from crmsync_email.sending.smtp import SmtpConnector, SmtpSender  # noqa: PLC0415  heavy

    options = context.options
    assert isinstance(options, SmtpOptions)  # noqa: S101  the spec names that model
    return SmtpConnector(SmtpSender(options, options, options, context.clock))


def _open_mailbox(context: ConnectionContext) -> Connector:
    from crmsync_email.mailbox import MailboxConnector  # noqa: PLC0415  heavy

    return MailboxConnector(context)


@hookimpl
def crmsync_connectors() -> Sequence[ConnectorSpec]:
    """The connectors for mail."""
    from crmsync_email.options import (  # noqa: PLC0415  heavy
        MailboxOptions,
        MailboxStreamOptions,
        NoStreamOptions,
        SmtpOptions,
    )

    return [
        ConnectorSpec(
            name="mailbox",
            description="A mailbox is read by IMAP, and mail goes out from it by SMTP.",
            options=MailboxOptions,
            stream_options=MailboxStreamOptions,
            open=_open_mailbox,
            actions={ActionKind.EMAIL: KeyHandling.LOOKUP},
            batch_size=50,
            # How long a server may take to deliver the copy to the mailbox on its own machine.
            lands_within=timedelta(minutes=15),
        ),
        ConnectorSpec(
            name="smtp",
            description="Mail goes out through a mail server.",
            options=SmtpOptions,
            stream_options=NoStreamOptions,
            open=_open_smtp,
            # A mail server does not tell what it has taken.
            actions={ActionKind.EMAIL: KeyHandling.UNSAFE},
            batch_size=50,
        ),
    ]
