from __future__ import annotations

import pytest

from crmsync_email.incoming.kinds import Kind, kind_of
from crmsync_email.incoming.parts import parsed

_ANN = "From: Ann <ann@customer.example>\n"
_OURS = "<crmsync.0123456789012345678901234567890123456789@vendor.example>"
_MAILS = {
    "a person": (_ANN + "Subject: Re: Your renewal", Kind.HUMAN),
    "a person who writes of bounces": (_ANN + "Subject: Undelivered mail", Kind.HUMAN),
    "sent after a person's approval": (_ANN + "Subject: Hi\nAuto-Submitted: no", Kind.HUMAN),
    "vacation, RFC 3834": (
        _ANN + "Subject: Re: Hi (vacation)\nAuto-Submitted: auto-replied",
        Kind.AWAY,
    ),
    "away by its subject": (_ANN + "Subject: Out of Office: Your renewal", Kind.AWAY),
    "a receipt that a mail was read": (
        _ANN + "Subject: Read: Your renewal\nIn-Reply-To: <crmsync.1@vendor.example>\n"
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b",
        Kind.AUTOMATIC,
    ),
    "Exchange in Czech": (
        _ANN + "Subject: Automatická odpověď: Your renewal\nAuto-Submitted: auto-generated",
        Kind.AUTO_REPLY,
    ),
    "Exchange in Chinese, without a header": (_ANN + "Subject: 自动回复: Vertrag", Kind.AUTO_REPLY),
    "away, in brackets": (_ANN + "Subject: [Auto-Reply] Out of office", Kind.AWAY),
    "away, and nothing else": (_ANN + "Subject: Abwesenheitsnotiz", Kind.AWAY),
    "a person who answers an automatic reply": (
        _ANN + "Subject: Re: Out of Office: Your renewal",
        Kind.HUMAN,
    ),
    "a person who writes of automatic replies": (
        _ANN + "Subject: Auto-reply feature does not work",
        Kind.HUMAN,
    ),
    "a person who writes of holidays": (_ANN + "Subject: Vacation planner module", Kind.HUMAN),
    "a person who leaves": (_ANN + "Subject: I'm out. We are cancelling.", Kind.HUMAN),
    "an automatic answer": (_ANN + "Subject: Automatische Antwort: Vertrag", Kind.AUTO_REPLY),
    "a ticket system that suppresses answers alone": (
        _ANN + "Subject: [Request received] Re: Your renewal\nX-Auto-Response-Suppress: All\n\n"
        "Your request (1234) has been received and is being reviewed.",
        Kind.AUTO_REPLY,
    ),
    "the same in German": (
        _ANN + "Subject: Ticket 12\nX-Auto-Response-Suppress: OOF\n\nIhre Anfrage ist bei uns "
        "eingegangen.",
        Kind.AUTO_REPLY,
    ),
    "a person who writes with a ticket system": (
        _ANN + "Subject: Re: Your renewal\nX-Auto-Response-Suppress: All\n\nYes, we renew.\n\n"
        "On 20.11.2026 Acme wrote:\n> Your request has been received.",
        Kind.HUMAN,
    ),
    "a person who has received something": (
        _ANN + "Subject: Re: Your renewal\n\nWe received your offer, thank you.",
        Kind.HUMAN,
    ),
    "a report of success, as text": (
        (
            "From: MAILER-DAEMON@mx.example\nSubject: Successful Mail Delivery Report\n"
            "Return-Path: <>\n\n<ann@customer.example>: delivery via mx: 250 2.0.0 Ok"
        ),
        Kind.AUTOMATIC,
    ),
    "Exchange, which has passed it on": (
        (
            "From: postmaster@customer.example\nSubject: Relayed: Your renewal\n\n"
            "Delivery to these recipients is complete: ann@customer.example"
        ),
        Kind.AUTOMATIC,
    ),
    "a ticket system": (
        _ANN + "Subject: [#123] received\nAuto-Submitted: auto-replied",
        Kind.AUTO_REPLY,
    ),
    "a person whose mail an Outlook rule passed on": (
        _ANN + "Subject: Re: Your renewal\nX-MS-Exchange-Inbox-Rules-Loop: ann@customer.example",
        Kind.HUMAN,
    ),
    "a person at a company of that name": (
        "From: Jo <jo@bounce-house.example>\nSubject: Undelivered mail",
        Kind.HUMAN,
    ),
    "an old program's header": (_ANN + "Subject: Hi\nX-Autoreply: yes", Kind.AUTO_REPLY),
    "another old program's": (_ANN + "Subject: Hi\nX-Autoresponder: 1", Kind.AUTO_REPLY),
    "an old program's precedence": (_ANN + "Subject: Hi\nPrecedence: auto_reply", Kind.AUTO_REPLY),
    "a person who answers us from a group's address": (
        _ANN + f"Subject: Re: Hi\nList-Id: <sales.customer.example>\nIn-Reply-To: {_OURS}",
        Kind.HUMAN,
    ),
    "a discussion on a list": (
        _ANN + "Subject: Re: Hi\nList-Id: <talk.example>\nIn-Reply-To: <1@talk.example>",
        Kind.LIST,
    ),
    "an answer by a program for salespeople": (
        _ANN + "Subject: Re: Hi\nList-Unsubscribe: <https://x/>\nIn-Reply-To: <1@vendor.example>",
        Kind.HUMAN,
    ),
    "a person at postmaster": (
        "From: Jo <postmaster@acme.example>\nSubject: Re: Hi\nIn-Reply-To: <1@vendor.example>",
        Kind.HUMAN,
    ),
    "Apple's button": (
        _ANN + "Subject: unsubscribe\nAuto-Submitted: auto-replied\nX-Apple-Unsubscribe: true",
        Kind.COMPLAINT,
    ),
    "an invitation that somebody sends as a file": (
        _ANN + "Subject: Hi\nContent-Type: text/calendar; method=PUBLISH\n"
        "Content-Disposition: attachment; filename=x.ics",
        Kind.HUMAN,
    ),
    "a list of the old kind": (_ANN + "Subject: News\nPrecedence: list", Kind.LIST),
    "an event somebody attached": (
        _ANN + "Subject: Hi\nContent-Type: text/calendar",
        Kind.HUMAN,
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


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("I am away from my desk.", Kind.AWAY),
        ("I will answer when I get back.", Kind.AWAY),
        ("Thank you, we have received your request.", Kind.AUTO_REPLY),
    ],
)
def test_an_automatic_reply_is_an_absence_where_it_says_so(words: str, kind: Kind) -> None:
    mail = f"{_ANN}Subject: Re: Hi\nAuto-Submitted: auto-replied\n\n{words}\n"
    assert kind_of(parsed(mail.encode())) is kind


def test_who_says_when_they_are_back_is_away() -> None:
    mail = (
        f"{_ANN}Subject: Automatisch antwoord: Contract\n\nIk lees mijn mail weer vanaf 7 december."
    )
    assert kind_of(parsed(mail.encode())) is Kind.AWAY


def test_only_a_persons_mail_is_contact() -> None:
    assert {kind for kind in Kind if not kind.is_automated} == {Kind.HUMAN}
