"""Complaints: somebody called a mail spam, and their provider says so (ARF, RFC 5965)."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING

from crmsync_email.incoming.notices import Original, addresses_in, original_of, recipient_in
from crmsync_email.incoming.parts import content_type, decoded, header, parsed, parts
from crmsync_email.incoming.ses import notification_in

if TYPE_CHECKING:
    from crmsync_email.incoming.parts import Part


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """A provider's report of a mail.

    Attributes:
        feedback: such as ``abuse``, ``opt-out``, ``auth-failure`` or ``not-spam``.
        addresses: who complained, in lower case; many providers do not say, then the original's
            Message-ID has to tell.
        original: the mail that is complained of.
    """

    feedback: str
    addresses: tuple[str, ...]
    original: Original

    @property
    def is_of_a_person(self) -> bool:
        """Whether somebody does not want such mail, rather than a server having found a fault."""
        return self.feedback not in {"auth-failure", "not-spam", "virus", "dmarc"}


def read_complaint(mail: Part) -> Complaint:
    """Read a mail of the kind “complaint”."""
    notification = notification_in(mail)
    if notification is not None and notification.complained:
        return Complaint(
            feedback=notification.feedback,
            addresses=notification.complained,
            original=Original(message_id=notification.message_id),
        )
    if header(mail, "X-Apple-Unsubscribe"):
        return Complaint(
            feedback="opt-out",
            addresses=addresses_in(header(mail, "From")),
            original=original_of(mail),
        )
    fields = _fields(mail)
    named = ("original-rcpt-to", "removal-recipient")
    told = (recipient_in(value) for name, value in fields if name in named)
    original = original_of(mail)
    addresses = [one for one in told if one] or list(original.recipients)
    return Complaint(
        feedback=(dict(fields).get("feedback-type") or "abuse").lower(),
        addresses=tuple(dict.fromkeys(addresses)),
        original=original,
    )


def _fields(mail: Part) -> list[tuple[str, str]]:
    """The report's fields; that of the recipients may stand there more than once."""
    for part in parts(mail):
        if content_type(part) != "message/feedback-report":
            continue
        payload = part.get_payload()
        inner = payload[0] if isinstance(payload, list) and payload else None
        fields = inner if isinstance(inner, Message) else parsed(decoded(part).encode())
        return [(name.lower(), " ".join(str(value).split())) for name, value in fields.items()]
    return []
