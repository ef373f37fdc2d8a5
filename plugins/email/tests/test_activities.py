"""A mail as activities: whose it is, when it was written, and what it says of an address."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from crmsync_email.reading.activities import FoundMail, MailActivity, activities_of
from crmsync_email.reading.whose import Ours

_ARRIVED = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_OURS = Ours.of([], ["me@ours.example"])
_HEADERS = {
    "From": "Ann <ann@customer.example>",
    "To": "me@ours.example",
    "Date": "Fri, 20 Nov 2026 10:29:00 +0100",
    "Message-ID": "<m1@customer.example>",
    "Subject": "Re: Your renewal",
}


def _raw(body: str = "Yes, please.\n", **headers: str | None) -> bytes:
    told = _HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}\n" for name, value in told.items() if value is not None]
    return ("".join(lines) + "\n" + body).encode()


def _all(
    raw: bytes, *, sent: bool = False, stored: datetime | None = _ARRIVED
) -> list[MailActivity]:
    return activities_of(FoundMail(raw=raw, stored=stored, sent=sent), _OURS)


def _one(raw: bytes, *, sent: bool = False, stored: datetime | None = _ARRIVED) -> MailActivity:
    (activity,) = _all(raw, sent=sent, stored=stored)
    return activity


def test_a_reply_is_an_inbound_activity_of_who_wrote_it() -> None:
    body = "Yes, please.\n\nOn Fri, 20 Nov 2026 at 08:00, Me <me@ours.example> wrote:\n> Renew?\n"
    raw = _raw(
        body,
        Cc="bob@partner.example",
        In_Reply_To="<crmsync.1@ours.example>",
        References="<first@x> <crmsync.1@ours.example>",
    )
    one = _one(raw)
    assert (one.direction, one.automated, one.text) == ("inbound", False, "Yes, please.")
    assert one.addresses == ("ann@customer.example",)  # not Bob, who has said nothing
    assert one.answers == ("crmsync.1@ours.example", "first@x")
    assert (one.message_id, one.sender) == ("m1@customer.example", "ann@customer.example")
    assert one.at == datetime(2026, 11, 20, 9, 29, tzinfo=UTC)
    assert one.notice is None


@pytest.mark.parametrize("sender", ["Me <ME@ours.example>", "colleague@ours.example"])
def test_mail_from_one_of_us_is_outbound_in_any_folder(sender: str) -> None:
    raw = _raw(From=sender, To="ann@customer.example, me@ours.example", Bcc="bob@partner.example")
    one = _one(raw)
    assert one.direction == "outbound"
    assert one.addresses == ("ann@customer.example", "bob@partner.example")


def test_what_lies_among_sent_mail_is_outbound_whoever_it_names_as_sender() -> None:
    one = _one(_raw(From="sales@brand.example", To="ann@customer.example"), sent=True)
    assert (one.direction, one.addresses) == ("outbound", ("ann@customer.example",))


def test_mail_among_ourselves_is_nobodys_contact() -> None:
    raw = _raw(From="boss@ours.example", References="<m1@customer.example>")
    assert _all(raw) == []


def test_at_a_domain_that_everybody_has_only_the_login_is_ours() -> None:
    ours = Ours.of([], ["firm@gmail.com"])
    assert ours.include("firm@gmail.com")
    assert not ours.include("ann@gmail.com")


def test_the_config_says_which_addresses_are_ours() -> None:
    ours = Ours.of(["@ours.example", "firm@gmail.com"], ["login"])
    assert ours.include("anybody@ours.example")
    assert ours.include("firm@gmail.com")
    assert not ours.include("login")


def test_a_comma_in_an_encoded_name_does_not_make_two_people() -> None:
    one = _one(_raw(From="=?utf-8?q?M=C3=BCller=2C_Ann?= <ann@customer.example>"))
    assert one.addresses == ("ann@customer.example",)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ('"john.doe"@customer.example', "john.doe@customer.example"),
        ('Jo <"jo"@customer.example>', "jo@customer.example"),
        ("Jörg <jörg@köln.example>", "jörg@köln.example"),  # RFC 6532
        ("J\udcf6rg <jo@customer.example>", "jo@customer.example"),  # Latin-1, as some send it
        ("jo@customer.example.", "jo@customer.example"),
        ("jo@customer.example\0", "jo@customer.example"),
    ],
)
def test_addresses_as_programs_write_them(written: str, address: str) -> None:
    raw = f"From: {written}\r\nTo: me@ours.example\r\n\r\nYes.".encode("utf-8", "surrogateescape")
    (activity,) = activities_of(FoundMail(raw=raw, stored=None, sent=False), _OURS)
    assert (activity.addresses, activity.sender) == ((address,), address)


def test_an_address_in_a_name_is_nobodys() -> None:
    one = _one(_raw(From='"me@ours.example" <liar@evil.example>'))
    assert (one.direction, one.addresses) == ("inbound", ("liar@evil.example",))


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ("Fri, 20 Nov 2026 09:00:00 +0000", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        ("Thu, 19 Nov 2026 09:00:00 -0000", datetime(2026, 11, 19, 9, tzinfo=UTC)),
        ("Fri, 20 Nov 2026 09:35:00 +0000", _ARRIVED + timedelta(minutes=5)),
        ("Mon, 20 Nov 2028 09:00:00 +0000", _ARRIVED),
        ("Thu, 01 Jan 1970 00:00:00 +0000", _ARRIVED),
        ("Tue, 1 Nov 2022 09:00:00 +0000", _ARRIVED),
        ("Fri, 99 Foo 2026 09:00:00", _ARRIVED),
        ("", _ARRIVED),
    ],
)
def test_a_clock_that_lies_is_not_believed(said: str, believed: datetime) -> None:
    assert _one(_raw(Date=said)).at == believed


def test_after_a_move_to_another_server_mail_is_as_old_as_it_was() -> None:
    moved = datetime(2027, 5, 1, tzinfo=UTC)
    received = "from a by mx.ours.example; Fri, 20 Nov 2026 09:30:00 +0000"
    assert _one(_raw(Received=received), stored=moved).at == _ARRIVED - timedelta(minutes=1)
    sent = _raw(From="me@ours.example", To="ann@customer.example")
    assert _one(sent, sent=True, stored=moved).at == _ARRIVED - timedelta(minutes=1)


def test_without_any_clock_the_time_is_unknown() -> None:
    assert _one(_raw(Date=None), stored=None).at is None


def test_one_mail_is_one_activity_wherever_it_lies() -> None:
    first = _one(_raw())
    again = _one(b"Received: from x; Sat, 21 Nov 2026 09:30:00 +0000\n" + _raw(), stored=_ARRIVED)
    assert first.id == again.id
    assert _one(_raw(Date="Fri, 20 Nov 2026 10:29:01 +0100")).id != first.id


def test_an_automatic_mail_does_not_take_the_place_of_a_person_s() -> None:
    person = _one(_raw())
    forged = _one(_raw(Auto_Submitted="auto-replied", Subject="Out of office"))
    assert forged.notice == "out_of_office"
    assert forged.id != person.id
    assert forged.id == _one(_raw(Auto_Submitted="auto-replied", Subject="Out of office")).id


def test_a_group_of_ours_that_stands_in_the_writer_s_place_is_not_the_writer() -> None:
    by_group = {
        "From": "'Ann' via Sales <sales@ours.example>",
        "To": "sales@ours.example",
        "X-Original-From": "Ann <ann@customer.example>",
        "List-Id": "<sales.ours.example>",
        "In-Reply-To": "<crmsync.0123456789012345678901234567890123456789@ours.example>",
    }
    one = _one(_raw(**by_group))
    assert (one.direction, one.automated) == ("inbound", False)
    assert (one.sender, one.addresses) == ("ann@customer.example", ("ann@customer.example",))
    assert _all(_raw(**by_group | {"List-Id": ""})) == []
    other = _one(_raw(**by_group | {"From": "Bob <bob@partner.example>"}))
    assert other.sender == "bob@partner.example"


@pytest.mark.parametrize(
    ("changes", "automated"),
    [
        ({}, False),
        (
            {"From": "'Ann' via Sales <sales@ours.example>", "X-Original-From": "a@cust.example"},
            False,
        ),
        ({"List-Id": "Friends <friends.customer.example>"}, True),
        ({"List-Id": "<ours.example.customer.example>"}, True),
        ({"List-Id": "<sales.notours.example>"}, True),
        ({"To": "all@customer.example"}, True),
        ({"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}, True),
        ({"Feedback-ID": "12:34:campaign"}, True),
        ({"Auto-Submitted": "auto-generated"}, True),
        ({"From": "news@ours.example", "To": "ann@customer.example"}, True),
    ],
)
def test_what_comes_through_a_group_of_ours_is_written_to_us(
    changes: dict[str, str], automated: bool
) -> None:
    """A group is an address that several of us read, and no list that the customer is on."""
    by_group = {
        "To": "Sales <sales@ours.example>",
        "List-Id": "Sales <sales.ours.example>",
        "Precedence": "list",
        "List-Unsubscribe": "<mailto:googlegroups-manage+1+unsubscribe@googlegroups.com>",
        "In-Reply-To": "",
        "References": "",
    }
    assert _one(_raw(**by_group | changes)).automated is automated


def test_a_mail_that_cannot_be_taken_apart_keeps_its_headers_and_is_told() -> None:
    nested = "".join(
        f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3_000)
    )
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    one = _one(_raw(f"--b\n{nested}", **headers))
    assert (one.sender, one.subject) == ("ann@customer.example", "Re: Your renewal")
    assert one.id == _one(_raw()).id
    assert one.trouble == "its parts are nested too deep to be taken apart"
    parts = "--b\n\nx\n" * 600
    assert _one(_raw(parts, **headers)).trouble == (
        "of its parts, only the first 500 were looked at"
    )
    assert _one(_raw("--b\n\nx\n", **headers)).trouble is None


@pytest.mark.parametrize(
    ("words", "contact"),
    [
        ("Unsubscribe.\n\nBest regards\nAnn", False),
        ("Bitte abmelden!", False),
        ("Stop.\nWe want to talk about the price first.", True),
        ("Please do not stop.", True),
    ],
)
def test_who_wants_no_more_mail_and_says_nothing_else_is_not_in_contact(
    words: str, contact: bool
) -> None:
    one = _one(_raw(f"{words}\n"))
    assert one.automated == (not contact)
    assert one.notice is None


def test_mails_without_a_message_id_are_told_apart_by_what_they_say() -> None:
    ids = {
        _one(_raw(Message_ID=None)).id,
        _one(_raw("No.\n", Message_ID=None)).id,
        _one(_raw(Message_ID=None, Subject="other")).id,
    }
    assert len(ids) == 3
    assert _one(_raw(Message_ID=None).replace(b"\n", b"\r\n")).id in ids


def test_an_absence_names_who_is_away_and_their_last_day() -> None:
    body = "I am away until 30 November 2026.\n"
    one = _one(_raw(body, Auto_Submitted="auto-replied", Subject="Out of office"))
    assert (one.notice, one.notice_address) == ("out_of_office", ("ann@customer.example",))
    assert one.notice_until == date(2026, 11, 30)
    assert one.automated


def _report(*groups: str) -> bytes:
    fields = "\n".join(f"{group}\n" for group in groups)
    return (
        "From: MAILER-DAEMON@mx.ours.example\nTo: me@ours.example\nMessage-ID: <n1@mx>\n"
        "Date: Fri, 20 Nov 2026 09:29:00 +0000\nSubject: Undelivered Mail Returned to Sender\n"
        "Auto-Submitted: auto-replied\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        "--b\n\nYour mail could not be delivered.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.ours.example\n\n"
        f"{fields}"
        "--b\nContent-Type: message/rfc822\n\nMessage-ID: <crmsync.1@ours.example>\n"
        "To: ann@customer.example\nSubject: Renewal\n\nHello\n--b--\n"
    ).encode()


_DEAD = (
    "Final-Recipient: rfc822; Ann@customer.example\nAction: failed\nStatus: 5.1.1\n"
    "Diagnostic-Code: smtp; 550 5.1.1 <ann@customer.example>: no such user"
)
_FULL = (
    "Final-Recipient: rfc822; bob@customer.example\nAction: failed\nStatus: 5.2.2\n"
    "Diagnostic-Code: smtp; 552 5.2.2 mailbox full"
)


def test_a_bounce_says_who_is_not_there_and_which_mail_it_was() -> None:
    one = _one(_report(_DEAD))
    assert (one.notice, one.notice_address) == ("hard_bounce", ("ann@customer.example",))
    assert one.notice_reason == "no such address"
    assert one.answers == ("crmsync.1@ours.example",)
    assert (one.direction, one.automated) == ("inbound", True)
    assert one.addresses == ("ann@customer.example",)


def test_recipients_who_fare_differently_have_an_activity_each() -> None:
    dead, full = _all(_report(_DEAD, _FULL))
    assert (dead.notice, full.notice) == ("hard_bounce", "soft_bounce")
    assert full.notice_address == ("bob@customer.example",)
    assert full.id == f"{dead.id}.2"


def test_our_own_mail_server_may_tell_of_bounces() -> None:
    raw = _report(_DEAD).replace(b"MAILER-DAEMON@mx.ours", b"MAILER-DAEMON@ours")
    one = _one(raw)
    assert (one.direction, one.notice) == ("inbound", "hard_bounce")


def test_a_bounce_of_our_own_address_is_about_no_customer() -> None:
    (one,) = _all(_report(_DEAD.replace("Ann@customer.example", "me@ours.example")))
    assert (one.notice, one.notice_address) == ("hard_bounce", ())


@pytest.mark.parametrize(("days", "believed"), [(4, True), (6, False)])
def test_a_date_longer_ago_than_mail_servers_try_is_not_believed(days: int, believed: bool) -> None:
    said = _ARRIVED - timedelta(days=days)
    received = f"from a by b; {_ARRIVED:%a, %d %b %Y %H:%M:%S} +0000"
    one = _one(_raw(Date=f"{said:%a, %d %b %Y %H:%M:%S} +0000", Received=received))
    assert one.at == (said if believed else _ARRIVED)


def test_a_complaint_that_hides_who_complained_names_the_mail() -> None:
    raw = (
        "From: fbl@provider.example\nTo: me@ours.example\nSubject: complaint\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        "--b\nContent-Type: message/feedback-report\n\n"
        "Feedback-Type: abuse\nOriginal-Rcpt-To: <redacted>\n\n"
        "--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <crmsync.1@ours.example>\n--b--\n"
    )
    one = _one(raw.encode())
    assert (one.notice, one.notice_address) == ("complaint", ())
    assert one.answers == ("crmsync.1@ours.example",)


def test_a_report_of_success_is_no_bounce() -> None:
    one = _one(_report(_DEAD.replace("failed", "relayed").replace("5.1.1", "2.0.0")))
    assert (one.notice, one.automated) == (None, True)


def test_a_bounce_that_somebody_sends_on_is_none() -> None:
    raw = _report(_DEAD).replace(b"MAILER-DAEMON@mx", b"me@")
    (one,) = _all(raw.replace(b"To: me@", b"To: ann@customer.example, me@"), sent=True)
    assert (one.direction, one.notice) == ("outbound", None)


def test_a_complaint_names_who_complained_where_that_is_told() -> None:
    raw = (
        "From: fbl@provider.example\nTo: me@ours.example\nSubject: complaint\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        "--b\n\nThis is a complaint.\n--b\nContent-Type: message/feedback-report\n\n"
        "Feedback-Type: abuse\nOriginal-Rcpt-To: ann@customer.example\n\n"
        "--b\nContent-Type: message/rfc822\n\nMessage-ID: <crmsync.1@ours.example>\n\nHi\n--b--\n"
    )
    one = _one(raw.encode())
    assert (one.notice, one.notice_address) == ("complaint", ("ann@customer.example",))
    fault = _one(raw.replace("abuse", "auth-failure").encode())
    assert (fault.notice, fault.automated) == (None, True)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"From: " + b"(" * 30_000 + b"\n\nx",
        b"From: " + b"<a@b.c>, " * 20_000 + b"\n\nx",
        b"From: a@b.c\nReferences: " + b"<x@y> " * 100_000 + b"\n\nx",
        b"From: a@b.c\nMessage-ID: <" + b"x" * 100_000 + b">\n\nx",
        b"From: a@b.c\nSubject: \xff\xfe\x00\nMessage-ID: <\xff\x00@x>\n\n\x00\xff\xed\xa0\xbd",
        b"From: \r\n =?utf-8?b?DQpUbzogZXZpbEBldmlsLmV4YW1wbGU=?= <a@b.c>\r\n\r\nx",
    ],
    ids=["empty", "comments", "senders", "references", "a long id", "bytes", "a header in a name"],
)
def test_hostile_headers_harm_nobody(raw: bytes) -> None:
    for one in _all(raw):
        told = [one.subject, one.text or "", one.message_id or "", *one.answers, *one.addresses]
        for text in told:
            assert "\0" not in text
            text.encode()
        assert len(one.answers) <= 30
        assert len(one.message_id or "") < 1_000
        assert not {"evil@evil.example"} & set(one.addresses)
