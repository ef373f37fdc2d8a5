"""Mail that nobody honest writes: nothing crashes, and nothing takes long."""

from __future__ import annotations

import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync_email.incoming.away import back_on
from crmsync_email.incoming.bounces import bounces_in
from crmsync_email.incoming.complaints import read_complaint
from crmsync_email.incoming.kinds import kind_of
from crmsync_email.incoming.notices import read_notice
from crmsync_email.incoming.parts import parsed, texts
from crmsync_email.incoming.replies import own_words

_SECONDS = 5.0  # of CPU; each takes less than half of it on a slow machine


def _understood(raw: bytes) -> None:
    mail = parsed(raw)
    kind_of(mail)
    bounces_in(read_notice(mail))
    read_complaint(mail)
    back_on(mail, arrived=date(2026, 11, 22))
    own_words(mail)


def _nested(depth: int) -> bytes:
    opening = (f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return "".join(opening).encode() + b"\nhello\n"


def _html(text: str) -> bytes:
    return b"Content-Type: text/html\n\n" + text.encode()


_NOTICE = b"From: postmaster@x.example\nSubject: failure\n\n"
_HOSTILE = {
    "deep nesting": _nested(5_000),
    "mails in mails": b"Content-Type: message/rfc822\n\n" * 5_000 + b"hello",
    "thousands of parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 50_000,
    "thousands of headers": b"X-A: b\n" * 200_000 + b"\nhello",
    "a header of 4 MB": b"Subject: " + b"x " * 2_000_000 + b"\n\nhello",
    "encoded words": b"Subject: " + b"=?utf-8?q?x?= " * 100_000 + b"\n\nhello",
    "50 MB": b"Subject: big\n\n" + b"hello world\n" * 4_200_000,
    "one line of 5 MB": b"\n" + b"x" * 5_000_000,
    "unknown charset": b"Content-Type: text/plain; charset=x-no\n\nh\xe9llo",
    "wrong charset": b"Content-Type: text/plain; charset=utf-8\n\nh\xe9llo",
    "wrong base64": b"Content-Transfer-Encoding: base64\n\n%%%%=",
    "no boundary": b"Content-Type: multipart/mixed\n\nhello",
    "nothing": b"",
    "zeros": b"\0" * 100_000,
    "blank lines": b"\n" * 500_000,
    "blanks in a line": b"\nLicences" + b" " * 5_000 + b"12" + b"\t" * 50 + b"3\n",
    "On On On": b"\n" + b"On " * 50_000 + b"wrote:",
    "quotes of quotes": b"\n" + b">" * 200_000,
    "attributions": b"\n" + b"1.1.2020 a@b:\n> x\n" * 20_000,
    "addresses": _NOTICE + b"a@b " * 50_000,
    "addresses in lines": _NOTICE + b"<a@b.c>: x\n" * 20_000,
    "different addresses": _NOTICE + b"".join(b"<a%d@b.c>: x\n" % n for n in range(12_000)),
    "a long local part": _NOTICE + b"a" * 200_000 + b"@",
    "user user user": _NOTICE + b"user " * 40_000,
    "until until": b"Auto-Submitted: auto-replied\n\n" + b"until 5 May 5 May " * 20_000,
    "open tags": _html("<a " * 60_000),
    "open comments": _html("<!--" * 50_000),
    "script in script": _html("<script>" * 25_000),
    "entities": _html("&amp" * 50_000),
    "deep quotes": _html("<blockquote>" * 16_000 + "x"),
    "json": b'\n{"notificationType":' + b"[" * 100_000,
    "json of other shapes": b'\n{"notificationType": "x", "bounce": [], "mail": {"headers": 3}}',
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_nothing_crashes_or_takes_long(name: str) -> None:
    before = time.process_time()
    _understood(_HOSTILE[name])
    assert time.process_time() - before < _SECONDS


@settings(max_examples=150)
@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_bytes_are_a_mail(head: bytes, body: bytes) -> None:
    _understood(head + b"\n\n" + body)


_PIECES = st.sampled_from(
    [
        *(b"Content-Type: ", b"multipart/report; boundary=b", b"message/delivery-status", b"\n"),
        *(b"--b\n", b"--b--\n", b"message/rfc822", b"text/html", b"text/plain; charset=\xff", b":"),
        *(b"Final-Recipient: rfc822; a@b.c\n", b"Action: failed\n", b"Status: 5.1.1\n", b"550 "),
        *(b"From: MAILER-DAEMON\n", b"Subject: =?utf-8?b?4pi?=\n", b"Return-Path: <>\n", b"> "),
        *(b"message/feedback-report", b"Content-Transfer-Encoding: base64\n", b"until 31.12."),
        *(b"\x1b$B", b"\n\n", b"@", b"<p>"),
    ]
)


@settings(max_examples=200)
@given(st.lists(_PIECES, max_size=40))
def test_any_pieces_of_mail_are_a_mail(pieces: list[bytes]) -> None:
    _understood(b"".join(pieces))


def test_of_a_mail_with_a_broken_charset_the_words_are_read() -> None:
    (text,) = texts(parsed(_HOSTILE["wrong charset"]))
    assert text.text == "héllo"
