"""Amazon SES tells of bounces and complaints by a mail whose text is JSON (through SNS).

Source: “Amazon SNS notification contents for Amazon SES”.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync_email.incoming.parts import texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crmsync_email.incoming.parts import Part


@dataclass(frozen=True, kw_only=True)
class Notification:
    """What SES says of one mail.

    Attributes:
        bounced: what its recipients' servers said: address, action, status and diagnostic.
        complained: who complained, in lower case.
        feedback: the kind of complaint.
        message_id: the mail's Message-ID header, or empty.
    """

    bounced: tuple[Mapping[str, str], ...] = ()
    complained: tuple[str, ...] = ()
    feedback: str = ""
    message_id: str = ""


def notification_in(mail: Part) -> Notification | None:
    """The notification that this mail is, or None."""
    text = next((one.text for one in texts(mail)), "").lstrip()
    if not text.startswith("{") or "notificationType" not in text[:200]:
        return None
    # SNS breaks lines that are too long for mail, within the words too.
    unbroken = text.replace("\r", "").replace("\n ", "").replace("\n", "")
    try:
        told, _ = json.JSONDecoder().raw_decode(unbroken)
        return _of(told)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _of(told: Mapping[str, object]) -> Notification:
    bounce, complaint, mail = (_within(told, name) for name in ("bounce", "complaint", "mail"))
    headers = _list(mail, "headers")
    named = (one.get("value", "") for one in headers if one.get("name", "").lower() == "message-id")
    return Notification(
        bounced=tuple(_list(bounce, "bouncedRecipients")),
        complained=tuple(
            one.get("emailAddress", "").lower() for one in _list(complaint, "complainedRecipients")
        ),
        feedback=str(complaint.get("complaintFeedbackType") or "abuse"),
        message_id=next(iter(named), ""),
    )


def _within(told: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _list(told: Mapping[str, object], name: str) -> list[dict[str, str]]:
    value = told.get(name)
    found: Iterable[object] = value if isinstance(value, list) else ()
    return [
        {str(key): str(inner) for key, inner in one.items()}
        for one in found
        if isinstance(one, dict)
    ]
