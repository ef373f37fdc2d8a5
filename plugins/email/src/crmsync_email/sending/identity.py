"""In whose name a connection sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_email.addresses import mailbox_of
from crmsync_email.sending.message import Identity

if TYPE_CHECKING:
    from crmsync_email.options import SendingOptions


def identity_of(options: SendingOptions) -> Identity:
    """In whose name a connection may send."""
    return Identity(
        own=mailbox_of(options.address),
        domains=options.own_domains,
        redirect_to=None if options.redirect_to is None else mailbox_of(options.redirect_to),
    )
