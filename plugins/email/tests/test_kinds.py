from __future__ import annotations

import pytest

from crmsync_email.incoming.kinds import Kind, kind_of
from crmsync_email.incoming.parts import parsed

_ANN = "From: Ann <ann@customer.example>\n"
_MAILS = {
    "a person": (_ANN + "Subject: Re: Your renewal", Kind.HUMAN),
    "a person who writes of bounces": (_ANN + "Subject: Undelivered mail", Kind.HUMAN),
    "sent after a person's approval": (_ANN + "Subject: Hi\nAuto-Submitted: no", Kind.HUMAN),
    "vacation, RFC 3834": (
        _ANN + "Subject: Re: Hi (vacation)\nAuto-Submitted: auto-replied",
        Kind.AWAY,
    ),
    "away by its subject": (_ANN + "Subject: Out of Office: Your renewal", Kind.AWAY),
    "an automatic answer": (_ANN + "Subject: Automatische Antwort: Vertrag", Kind.AUTO_REPLY),
    "a ticket system": (
        _ANN + "Subject: [#123] received\nAuto-Submitted: auto-replied",
        Kind.AUTO_REPLY,
    ),
    "a list": (_ANN + "Subject: News\nList-Id: <news.customer.example>", Kind.LIST),
    "a newsletter": (_ANN + "Subject: News\nList-Unsubscribe: <https://x.example/u>", Kind.LIST),
    "a report": (_ANN + "Subject: Report\nAuto-Submitted: auto-generated", Kind.AUTOMATIC),
    "nobody reads it": ("From: no-reply@customer.example\nSubject: Your invoice", Kind.AUTOMATIC),
    "an invitation": (
        _ANN + "Subject: Accepted: Call\nContent-Type: text/calendar; method=REPLY",
        Kind.CALENDAR,
    ),
    "a bounce of Exim": (
        (
            "From: Mailer-Daemon@mx.example\nSubject: Mail delivery failed\n"
            "Auto-Submitted: auto-replied\nX-Failed-Recipients: ann@customer.example"
        ),
        Kind.BOUNCE,
    ),
}


@pytest.mark.parametrize("name", _MAILS)
def test_kind(name: str) -> None:
    headers, kind = _MAILS[name]
    assert kind_of(parsed(f"{headers}\n\nThank you.\n".encode())) is kind


def test_only_a_persons_mail_is_contact() -> None:
    assert {kind for kind in Kind if not kind.is_automated} == {Kind.HUMAN}
