from __future__ import annotations

import base64
import quopri

import pytest

from crmsync_email.incoming.bounces import bounces_in
from crmsync_email.incoming.complaints import read_complaint
from crmsync_email.incoming.kinds import Kind, kind_of
from crmsync_email.incoming.notices import addresses_in, read_notice, recipient_in
from crmsync_email.incoming.parts import parsed
from crmsync_email.incoming.reasons import Reason, reason_of

_REPORT = """\
From: MAILER-DAEMON@mx.example
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; Ann@Customer.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {diagnostic}

--b
Content-Type: message/rfc822

Message-ID: <key-1@crmsync.example>
To: ann@customer.example

Dear Ann
--b--
"""


def _report(status: str, diagnostic: str, action: str = "failed") -> bytes:
    return _REPORT.format(status=status, diagnostic=diagnostic, action=action).encode()


@pytest.mark.parametrize(
    ("status", "diagnostic", "hard", "reason"),
    [
        ("5.1.1", "550 5.1.1 User unknown", True, Reason.NO_SUCH_ADDRESS),
        ("5.1.1", "550 5.1.1 Address rejected", True, Reason.NO_SUCH_ADDRESS),
        ("5.4.4", "Host or domain name not found", True, Reason.NO_SUCH_DOMAIN),
        ("5.2.2", "552 5.2.2 Mailbox over quota", False, Reason.MAILBOX_FULL),
        ("5.7.1", "554 5.7.1 blocked using zen.spamhaus.org", False, Reason.BLOCKED),
        ("5.7.26", "550-5.7.26 Unauthenticated email refused", False, Reason.NOT_AUTHENTIC),
        ("5.0.0", "550 Unknown user (in reply to end of DATA)", False, Reason.FILTERED),
        ("5.0.0", "550 something", False, Reason.UNKNOWN),
        ("5.0.350", "550 5.0.350 Remote: 550 5.1.1 no such user", True, Reason.NO_SUCH_ADDRESS),
        ("5.0.350", "550 5.0.350 Remote: 554 spam", False, Reason.SPAM),
        ("5.1.2", "550 5.1.2 Domain lookup: SERVFAIL", False, Reason.NO_SUCH_DOMAIN),
        (
            "5.0.0",
            "550 Verification failed for <me@ours.example>: No such user here",
            False,
            Reason.SENDER_REFUSED,
        ),
        ("5.0.0", "550 <ann@customer.example>: User unknown", True, Reason.NO_SUCH_ADDRESS),
        ("5.0.0", "550 No Such User Here", False, Reason.NO_SUCH_ADDRESS),
        ("5.0.0", "550 Utilisateur inconnu", False, Reason.NO_SUCH_ADDRESS),
        ("5.6.1", "550 5.6.1 attachment name unknown", False, Reason.NO_SUCH_ADDRESS),
        ("5.0.0", "552 La boîte aux lettres de Ann est pleine", False, Reason.MAILBOX_FULL),
        ("5.4.3", "Host not found, try again", False, Reason.SERVER),
        (
            "4.4.3",
            "Name service error for name=a.example: Host not found",
            False,
            Reason.NO_SUCH_DOMAIN,
        ),
        ("5.4.3", "Host not found", False, Reason.NO_SUCH_DOMAIN),
        ("4.1.2", "450 4.1.2 Host unknown", False, Reason.NO_SUCH_DOMAIN),
        ("5.4.4", "Invalid domain", True, Reason.NO_SUCH_DOMAIN),
        ("5.0.0", "521 mx.a.example does not accept mail", True, Reason.NO_MAIL_THERE),
        ("5.3.2", "521 5.3.2 mx.a.example", True, Reason.NO_MAIL_THERE),
        ("5.0.0", "554-No SMTP service 554-Bad DNS PTR record", False, Reason.BLOCKED),
        ("5.0.0", "554-No SMTP service 554 IP address is black listed", False, Reason.BLOCKED),
        ("5.1.1", "550 5.1.1 She has blocked your address", False, Reason.SENDER_REFUSED),
        (
            "5.1.0",
            "5.1.0 - Unknown address error 550-'5.7.1 Access denied' (delivery attempts: 0)",
            False,
            Reason.POLICY,
        ),
    ],
)
def test_why_and_whether_the_address_is_dead(
    status: str, diagnostic: str, hard: bool, reason: Reason
) -> None:
    (bounce,) = bounces_in(read_notice(parsed(_report(status, diagnostic))))
    assert (bounce.address, bounce.hard, bounce.reason) == ("ann@customer.example", hard, reason)


def test_the_mail_that_did_not_arrive_is_known_by_its_message_id() -> None:
    original = read_notice(parsed(_report("5.1.1", "550 5.1.1 User unknown"))).original
    assert original.message_id == "<key-1@crmsync.example>"
    assert original.recipients == ("ann@customer.example",)


def test_a_delay_is_soft_and_a_delivery_is_no_bounce() -> None:
    delayed = read_notice(parsed(_report("4.1.1", "450 4.1.1 User unknown", "delayed")))
    assert [one.hard for one in bounces_in(delayed)] == [False]
    assert bounces_in(read_notice(parsed(_report("2.0.0", "250 ok", "delivered")))) == ()


def test_each_recipient_of_a_text_has_what_is_said_of_them() -> None:
    mail = parsed(
        b"From: Mail Delivery System <Mailer-Daemon@mx.example>\n"
        b"Subject: Mail delivery failed: returning message to sender\n"
        b"X-Failed-Recipients: ann@a.example, bob@b.example\n\n"
        b"The following address(es) failed:\n\n"
        b"  ann@a.example\n"
        b"    SMTP error after RCPT TO:<ann@a.example>:\n"
        b"    550 5.1.1 <ann@a.example>... User Unknown\n"
        b"  bob@b.example\n"
        b"    SMTP error after RCPT TO:<bob@b.example>:\n"
        b"    552 5.2.2 <bob@b.example>... Mailbox Full\n\n"
        b"------ This is a copy of the message, including all the headers. ------\n\n"
        b"Message-Id: <key-2@crmsync.example>\nTo: ann@a.example\n\nHi\n"
    )
    notice = read_notice(mail)
    told = [(one.address, one.hard) for one in bounces_in(notice)]
    assert told == [("ann@a.example", True), ("bob@b.example", False)]
    assert notice.original.message_id == "<key-2@crmsync.example>"


def test_a_notice_that_was_passed_on_is_read() -> None:
    inner = _report("5.1.1", "550 5.1.1 User unknown")
    mail = parsed(
        b"From: Gateway <postmaster@mx.example>\nSubject: Returned mail\n"
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\n\nSee below.\n"
        b"--o\nContent-Type: message/rfc822\n\n" + inner + b"\n--o--\n"
    )
    assert [one.address for one in bounces_in(read_notice(mail))] == ["ann@customer.example"]


def test_amazon_tells_in_json() -> None:
    body = (
        b'{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":'
        b'[{"emailAddress":"Ann@a.example","action":"failed","status":"5.1.1","diagnosticCode":'
        b'"smtp; 550 5.1.1 user unknown"}]},"mail":{"headers":[{"name":"Message-ID","value":'
        b'"<key-3@crmsync.example>"}]}}\n--\nIf you wish to stop receiving notifications'
    )
    mail = parsed(b"From: no-reply@sns.amazonaws.com\nSubject: AWS Notification\n\n" + body)
    assert kind_of(mail) is Kind.BOUNCE
    notice = read_notice(mail)
    assert [(one.address, one.hard) for one in bounces_in(notice)] == [("ann@a.example", True)]
    assert notice.original.message_id == "<key-3@crmsync.example>"


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("rfc822; bo.o'neil@a.example", "bo.o'neil@a.example"),
        ("rfc822;<Bo@a.example>", "bo@a.example"),
        ('rfc822; "bo.smith"@a.example', "bo.smith@a.example"),
        (r"utf-8; b\x{F6}@a.example", "bö@a.example"),
        ("bo@a.example", "bo@a.example"),
        ("rfc822; bo@a.example (Bo Smith)", "bo@a.example"),
        ("x400; /c=se/s=smith", ""),
    ],
)
def test_all_behind_the_type_is_the_address(told: str, address: str) -> None:
    assert recipient_in(told) == address


def test_an_apostrophe_in_a_text_belongs_to_the_address() -> None:
    assert addresses_in("'bo@a.example' and bo.o'neil@a.example failed") == (
        "bo@a.example",
        "bo.o'neil@a.example",
    )


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_status_that_is_encoded_is_read(encoding: str) -> None:
    plain = _report("5.1.1", "550 5.1.1 User unknown").decode()
    begin = plain.index("Reporting-MTA")
    end = plain.index("\n--b", begin)
    fields = plain[begin:end].encode()
    coded = base64.encodebytes(fields) if encoding == "base64" else quopri.encodestring(fields)
    head = plain[:begin].rstrip() + f"\nContent-Transfer-Encoding: {encoding}\n\n"
    mail = parsed((head + coded.decode() + plain[end:]).encode())
    assert [(one.address, one.hard) for one in bounces_in(read_notice(mail))] == [
        ("ann@customer.example", True)
    ]


def test_a_notice_in_the_form_for_addresses_in_all_letters() -> None:
    text = _report("5.1.1", "550 5.1.1 User unknown").decode().replace("rfc822; Ann", "utf-8; Änn")
    text = text.replace("delivery-status", "global-delivery-status")
    text = text.replace("MAILER-DAEMON", "somebody").replace("Undelivered", "Returned")
    mail = parsed(text.encode())
    assert kind_of(mail) is Kind.BOUNCE
    assert [one.address for one in bounces_in(read_notice(mail))] == ["änn@customer.example"]


@pytest.mark.parametrize(
    "words",
    [
        "Delivery failed: parcel for ann@customer.example, recipient unknown at address",
        "Incident: emails to ann@customer.example could not be delivered. user unknown",
    ],
)
def test_parcels_are_not_delivered_either(words: str) -> None:
    head = "From: Parcels <noreply@parcels.example>\nSubject: Delivery failed\n\n"
    assert kind_of(parsed(f"{head}{words}\n".encode())) is Kind.AUTOMATIC
    shown = "\n\n--- Original message ---\nMessage-ID: <1@us.example>\nTo: ann@customer.example\n"
    assert kind_of(parsed(f"{head}{words}{shown}".encode())) is Kind.BOUNCE


def test_everybody_who_complained_is_named() -> None:
    mail = parsed(
        b"From: feedback@provider.example\n"
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        b"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
        b"Original-Rcpt-To: <ann@a.example>\nOriginal-Rcpt-To: bob@a.example\n--b--\n"
    )
    assert read_complaint(mail).addresses == ("ann@a.example", "bob@a.example")


@pytest.mark.parametrize(
    ("feedback", "of_a_person"),
    [
        ("abuse", True),
        ("opt-out", True),
        ("auth-failure", False),
        ("not-spam", False),
        ("virus", False),
        ("dmarc", False),
    ],
)
def test_a_complaint_tells_who_and_of_what(feedback: str, of_a_person: bool) -> None:
    text = (
        "From: feedback@provider.example\nSubject: complaint\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        "--b\nContent-Type: message/feedback-report\n\n"
        f"Feedback-Type: {feedback}\nOriginal-Rcpt-To: <Ann@a.example>\n\n"
        "--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <key-4@crmsync.example>\n--b--\n"
    )
    mail = parsed(text.encode())
    assert kind_of(mail) is Kind.COMPLAINT
    told = read_complaint(mail)
    assert (told.feedback, told.is_of_a_person) == (feedback, of_a_person)
    assert told.addresses == ("ann@a.example",)
    assert told.original.message_id == "<key-4@crmsync.example>"


def test_words_in_other_languages() -> None:
    assert reason_of("Empfänger ist unbekannt") is Reason.NO_SUCH_ADDRESS
    assert reason_of("Das Postfach ist voll") is Reason.MAILBOX_FULL
    assert reason_of("El usuario no existe") is Reason.NO_SUCH_ADDRESS
