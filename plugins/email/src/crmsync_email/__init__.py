"""Mail is sent, and what comes back is understood.

This module is loaded at every start, so what is heavy is imported when a connection is opened.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.plugins.contract import ConnectorSpec
from crmsync.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.plugins.contract import ConnectionContext, Connector
    from crmsync_email.options import SendingOptions

_BATCH = 50
_EXAMPLES = Path(__file__).with_name("examples")


def _open(context: ConnectionContext) -> Connector:
    from crmsync_email.opening import opened  # noqa: PLC0415  heavy

    return opened(context)


def _sends(
    name: str,
    description: str,
    options: type[SendingOptions],
    *,
    handling: KeyHandling = KeyHandling.UNSAFE,
    lands_within: timedelta = timedelta(minutes=1),
) -> ConnectorSpec:
    """A connector that sends mail, and does no more.

    UNSAFE where the remote does not tell afterwards what it has taken.
    """
    from crmsync_email.options import NoStreamOptions  # noqa: PLC0415  heavy

    return ConnectorSpec(
        name=name,
        description=description,
        options=options,
        stream_options=NoStreamOptions,
        open=_open,
        actions={ActionKind.EMAIL: handling},
        batch_size=_BATCH,
        lands_within=lands_within,
        remind=options.reminders,
        example=_EXAMPLES / f"{name}.yaml",
    )


@hookimpl
def crmsync_connectors() -> Sequence[ConnectorSpec]:
    """The connectors for mail."""
    from crmsync_email import options  # noqa: PLC0415  heavy

    return [
        ConnectorSpec(
            name="mailbox",
            description="A mailbox is read by IMAP, and mail goes out from it by SMTP.",
            options=options.MailboxOptions,
            stream_options=options.MailboxStreamOptions,
            open=_open,
            actions={ActionKind.EMAIL: KeyHandling.LOOKUP},
            batch_size=_BATCH,
            # How long a server may take to deliver the copy to the mailbox on its own machine.
            lands_within=timedelta(minutes=15),
            remind=options.MailboxOptions.reminders,
            example=_EXAMPLES / "mailbox.yaml",
        ),
        _sends("smtp", "Mail goes out through a mail server.", options.SmtpOptions),
        _sends(
            "postmark",
            "Mail goes out through Postmark.",
            options.PostmarkOptions,
            handling=KeyHandling.LOOKUP,
            # Nobody promises how soon its search knows a mail.
            lands_within=timedelta(minutes=15),
        ),
        _sends("sendgrid", "Mail goes out through SendGrid.", options.SendgridOptions),
        _sends("mailgun", "Mail goes out through Mailgun.", options.MailgunOptions),
        _sends("ses", "Mail goes out through Amazon SES.", options.SesOptions),
    ]
