"""Opens connections: the options of each connector, as what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_email.mailbox import MailboxConnector
from crmsync_email.options import (
    MailboxOptions,
    MailgunOptions,
    PostmarkOptions,
    SendgridOptions,
    SesOptions,
    SmtpOptions,
    placed,
)
from crmsync_email.sending.providers.http import HttpConnector
from crmsync_email.sending.providers.mailgun import Mailgun
from crmsync_email.sending.providers.postmark import Postmark
from crmsync_email.sending.providers.sendgrid import Sendgrid
from crmsync_email.sending.providers.ses import Ses
from crmsync_email.sending.signing import Signer
from crmsync_email.sending.smtp import SmtpConnector, SmtpSender

if TYPE_CHECKING:
    from crmsync.plugins.contract import ConnectionContext, Connector


def opened(context: ConnectionContext) -> Connector:
    """An open connection, by its options.

    Raises:
        AuthError: a secret is not where its reference points.
    """
    clock = context.clock
    match context.options:
        case SmtpOptions() as options:
            signer = None if options.dkim is None else Signer(options.dkim)
            server = placed(options, context.folder)
            return SmtpConnector(SmtpSender(options, server, options, clock, signer=signer))
        case MailboxOptions() as options:
            signer = None if options.dkim is None else Signer(options.dkim)
            return MailboxConnector(context, signer=signer)
        case PostmarkOptions() as options:
            postmark = Postmark(options)
            return HttpConnector(postmark, options, clock, finds=postmark)
        case SendgridOptions() as options:
            sendgrid = Sendgrid(options)
            return HttpConnector(sendgrid, options, clock, lists=sendgrid)
        case MailgunOptions() as options:
            mailgun = Mailgun(options)
            return HttpConnector(mailgun, options, clock, lists=mailgun)
        case SesOptions() as options:
            ses = Ses(options, clock)
            return HttpConnector(ses, options, clock, lists=ses)
        case other:
            raise TypeError(f"no connector for mail has {type(other).__name__}")
