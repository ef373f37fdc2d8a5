"""The mail itself: what others' parsers read in it is what was meant."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import parsedate_to_datetime
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sending_under_test import mail

from crmsync.errors import AuthError, RejectedError
from crmsync.testing.samples import START
from crmsync_email.addresses import mailbox_of
from crmsync_email.options import Dkim
from crmsync_email.sending.headers import token_line
from crmsync_email.sending.message import Identity, Mail, inlined, mail_of
from crmsync_email.sending.signing import Signer

OWN = Identity(
    own=mailbox_of("Example Company <hello@example.com>"), domains=frozenset({"example.com"})
)
UNSUBSCRIBE = f"<https://example.com/unsubscribe?token={'x' * 700}>"


def made(**changes: Any) -> Mail:
    return mail_of(mail(**changes), OWN)


def parsed(content: bytes) -> EmailMessage:
    """As the standard library reads it, which notes all that breaks the rules."""
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert part.defects == [], part.defects
        for name, value in part.items():
            assert value.defects == (), (name, value.defects)
    return message


def read(**changes: Any) -> EmailMessage:
    return parsed(made(**changes).content)


def name_in(sent: Mail, header: str) -> str:
    """A display name as RFC 2047 says: no space between encoded words.

    The standard library's newer parser puts one there, its older one does not.
    """
    older = message_from_bytes(sent.content, policy=compat32)
    phrase = re.sub(r"\r?\n", "", str(older[header])).rpartition("<")[0].strip()
    if phrase.startswith('"'):
        return re.sub(r"\\(.)", r"\1", phrase[1:-1])
    return str(make_header(decode_header(phrase)))


def test_a_plain_mail() -> None:
    message = read()
    assert message["From"] == "Ada Sender <ada@example.com>"
    assert message["To"] == "Bo Recipient <bo@customer.example>"
    assert message["Message-ID"] == "<key-1@example.com>"
    assert parsedate_to_datetime(message["Date"]) == START.replace(microsecond=0)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Reply-To"] is None
    assert message.get_content_type() == "text/plain"


def test_both_parts_are_alternatives_text_first() -> None:
    message = read(html="<p>Hello, Bö</p>")
    assert message.get_content_type() == "multipart/alternative"
    types = [part.get_content_type() for part in message.iter_parts()]
    assert types == ["text/plain", "text/html"]
    html = message.get_body(("html",))
    assert html is not None
    assert html.get_content().strip() == "<p>Hello, Bö</p>"


def test_nothing_but_ascii_and_no_long_lines_travel() -> None:
    content = made(subject="Straße " * 60, text="Grüße " * 500, html=f"<p>{'x' * 5000}</p>").content
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")


def test_a_sender_of_another_domain_gets_the_answers() -> None:
    message = read(sender="Ada Sender <ada@elsewhere.example>")
    assert message["From"] == "Ada Sender <hello@example.com>"
    assert message["Reply-To"] == "Ada Sender <ada@elsewhere.example>"
    nameless = read(sender="ada@elsewhere.example")
    assert nameless["From"] == "Example Company <hello@example.com>"
    assert nameless["Reply-To"] == "ada@elsewhere.example"


def test_a_reply_to_that_was_given_stays() -> None:
    message = read(sender="Ada <ada@elsewhere.example>", headers={"Reply-To": "team@example.com"})
    assert message.get_all("Reply-To") == ["team@example.com"]


def test_domains_are_compared_as_dns_does() -> None:
    identity = Identity(own=OWN.own, domains=frozenset({"xn--mller-kva.example"}))
    message = parsed(mail_of(mail(sender="Ada <ada@MÜLLER.example>"), identity).content)
    assert message["From"].addresses[0].addr_spec == "ada@xn--mller-kva.example"


def test_long_urls_stay_whole() -> None:
    headers = {
        "List-Unsubscribe": UNSUBSCRIBE,
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    content = made(headers=headers).content
    assert UNSUBSCRIBE.encode() in content
    assert parsed(content)["List-Unsubscribe"] == UNSUBSCRIBE


def test_many_references_are_folded_between_ids() -> None:
    references = " ".join(f"<{number:040}@customer.example>" for number in range(20))
    content = made(headers={"References": references, "In-Reply-To": references[-60:]}).content
    head = content.partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 80
    assert parsed(content)["References"] == references


def test_a_line_that_no_server_takes_is_refused() -> None:
    with pytest.raises(RejectedError, match="a line so long"):
        made(headers={"List-Unsubscribe": f"<https://example.com/{'x' * 1000}>"})


NAMES = {
    "comma": "Schäfer, Katrin",
    "plain comma": "Example, Inc.",
    "quotes": 'Ada "the Count" \\ Lovelace',
    "encoded word in disguise": "=?utf-8?q?Bcc=3A_x=40evil.example?=",
    "chinese": "王小明 " * 12,
    "long": "Donaudampfschifffahrtsgesellschaft " * 8,
    "one word": "x" * 500,
    "emoji": "👩‍👩‍👧‍👦 Family",
    "angle": "evil <x@evil.example>",
    "at": "ada@evil.example",
    "colon": "Undisclosed: recipients;",
    "parentheses": "Ada (admin) Lovelace",
    "combining": "e\u0301gal",
    "right to left": "שלום עולם",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_hostile_names_stay_names(name: str) -> None:
    quoted = name.strip().replace("\\", "\\\\").replace('"', '\\"')
    for field, header in (("sender", "From"), ("recipient", "To")):
        sent = made(**{field: f'"{quoted}" <bo@example.com>'})
        (address,) = parsed(sent.content)[header].addresses
        assert address.addr_spec == "bo@example.com"
        assert name_in(sent, header) == " ".join(name.split())


ADDRESSES = {
    "plus": ("bo+renewal@example.com", "bo+renewal@example.com"),
    "quoted": ('"bo smith"@example.com', '"bo smith"@example.com'),
    "quoted at": ('"bo@home"@example.com', '"bo@home"@example.com'),
    "quoted quote": (r'"bo\"x"@example.com', r'"bo\"x"@example.com'),
    "idn": ("bo@bücher.example", "bo@xn--bcher-kva.example"),
    "idn 2008": ("bo@faß.example", "bo@xn--fa-hia.example"),
    "capitals": ("Bo@Example.COM", "Bo@example.com"),
    "ideographic stop": ("bo@例え。jp", "bo@xn--r8jz45g.jp"),
    "underscore": ("bo@my_host.example", "bo@my_host.example"),
    "literal": ("bo@[192.0.2.1]", "bo@[192.0.2.1]"),
}


@pytest.mark.parametrize(("written", "meant"), ADDRESSES.values(), ids=ADDRESSES)
def test_unusual_addresses(written: str, meant: str) -> None:
    sent = made(recipient=f"Bo <{written}>")
    assert sent.recipient.address == meant
    assert sent.content.isascii()
    assert f"<{meant}>".encode() in sent.content
    if "literal" not in written and "[" not in written:
        assert parsed(sent.content)["To"].addresses[0].domain == meant.rpartition("@")[2]


def test_letters_before_the_at_travel_as_they_are() -> None:
    sent = made(recipient="Jörg <jörg@köln.example>")
    assert sent.is_international
    assert "<jörg@xn--kln-sna.example>".encode() in sent.content


WRONG = [
    "",
    "nobody",
    "@example.com",
    "bo@",
    "bo@example..com",
    "bo smith@example.com",
    "bo@exam ple.com",
    "a@example.com, b@example.com",
    "bo@example.com>, <eve@evil.example",
    "<bo@example.com> eve@evil.example",
    "bo@-example-.com",
    f"{'x' * 65}@example.com",
    f"bo@{'x' * 64}.example",
    "bo@example.com\r\nBcc: eve@evil.example",
    "Bo\nBcc: eve@evil.example <bo@example.com>",
    "bo\u2028@example.com",
    "bo\ud800@example.com",
]


@pytest.mark.parametrize("text", WRONG)
@pytest.mark.parametrize("field", ["sender", "recipient"])
def test_what_is_not_one_address_is_refused(field: str, text: str) -> None:
    with pytest.raises(RejectedError) as told:
        made(**{field: text})
    assert not re.search(r"[\x00-\x1f\x7f\u2028\ud800]", str(told.value)), "it can be shown"


@pytest.mark.parametrize(
    "headers",
    [
        {"Bcc": "eve@evil.example"},
        {"cc": "eve@evil.example"},
        {"Content-Type": "text/html"},
        {"DKIM-Signature": "x"},
        {"Resent-To": "eve@evil.example"},
        {"From": "eve@evil.example"},
        {"X-A: b": "c"},
        {"X A": "c"},
        {"": "c"},
        {"X-Ä": "c"},
        {"X-A\r\nBcc": "eve@evil.example"},
        {"X-A": "b\r\nBcc: eve@evil.example"},
        {"X-A": "b\rBcc: eve@evil.example"},
        {"X-A": "b", "x-a": "c"},
    ],
)
def test_headers_that_a_mail_may_not_bring(headers: dict[str, str]) -> None:
    with pytest.raises(RejectedError):
        made(headers=headers)


@pytest.mark.parametrize("text", ["no at", "a@b c", "<a@b>", "a@b>\r\nBcc: x", "ä@example.com"])
def test_what_is_no_message_id_is_refused(text: str) -> None:
    with pytest.raises(RejectedError):
        made(message_id=text)


_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\x85")
)
_WORDS = _TEXT.map(lambda text: " ".join(text.split())).filter(bool)


@settings(max_examples=150, deadline=None)
@given(subject=_WORDS, name=_WORDS, text=_TEXT)
@example(subject="=?utf-8?q?a?=", name="=?utf-8?b?YQ==?=", text="=?")
@example(subject="a " * 99 + "a", name=", " * 60 + ",", text="\n.\n")
@example(subject="é" * 200, name='"' * 90, text="From me")
@example(subject="x" * 1500, name="x" * 1500, text="x" * 3000)
def test_any_words_arrive_as_they_are(subject: str, name: str, text: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    try:
        sent = made(subject=subject, sender=f'"{quoted}" <ada@example.com>', text=text)
    except RejectedError as error:
        pytest.fail(str(error))
    message = parsed(sent.content)
    assert message["Subject"] == subject
    assert message["From"].addresses[0].addr_spec == "ada@example.com"
    assert name_in(sent, "From") == name
    assert [str(one) for one in message["To"].addresses] == ["Bo Recipient <bo@customer.example>"]
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    lines = sent.content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    for line in lines:
        assert len(line) <= 998
        for word in re.findall(rb"=\?utf-8\?.*?\?=", line):
            assert len(word) <= 75, "RFC 2047, 2"


@settings(max_examples=100, deadline=None)
@given(value=st.text(), where=st.sampled_from(["subject", "sender", "recipient", "X-Topic"]))
@example(value="a\r\nBcc: eve@evil.example", where="subject")
@example(value="a\nBcc: eve@evil.example <bo@example.com>", where="sender")
@example(value="a\r Bcc: eve@evil.example", where="X-Topic")
def test_nothing_becomes_another_header(value: str, where: str) -> None:
    changes = {"headers": {where: value}} if where == "X-Topic" else {where: value}
    try:
        message = message_from_bytes(made(**changes).content, policy=default)
    except RejectedError:
        return
    known = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Reply-To"}
    known |= {"X-Topic", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"}
    assert {*message.keys()} <= known
    assert len(message["To"].addresses) == 1


def test_rules_become_attributes_and_dark_mode_stays() -> None:
    html = inlined(
        "<html><head><style>p { color: red } @media (prefers-color-scheme: dark)"
        " { p { color: white !important } }</style></head><body><p>Hello</p></body></html>"
    )
    assert re.search(r'<p style="color: ?red;?">Hello</p>', html)
    assert "prefers-color-scheme: dark" in html


def test_style_sheets_of_strangers_are_not_fetched() -> None:
    html = (
        '<html><head><link rel="stylesheet" href="http://127.0.0.1:9/x.css">'
        "<style>p{margin:0}</style></head><body><p>x</p></body></html>"
    )
    assert re.search(r'<p style="margin: ?0;?">', inlined(html))


def test_html_without_rules_stays_as_it_is() -> None:
    assert inlined("<p>a &amp; b") == "<p>a &amp; b"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _dkim(tmp_path: Any, text: bytes) -> Signer:
    (tmp_path / "key").write_bytes(text)
    given = {"domain": "example.com", "selector": "crm", "key": f"file:{tmp_path / 'key'}"}
    return Signer(Dkim.model_validate(given))


def test_a_signature_that_others_verify(tmp_path: Any, key: rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])
    sent = made(
        subject="Grüße",
        html="<p>Hello</p>",
        headers={"List-Unsubscribe": UNSUBSCRIBE, "List-Unsubscribe-Post": "One-Click"},
    )
    signed = _dkim(tmp_path, pem).signed(sent.content)
    assert signed.endswith(sent.content)
    asked = []

    def dns(name: bytes, **_: object) -> bytes:
        asked.append(name)
        return record

    assert dkim.verify(signed, dnsfunc=dns)
    assert asked == [b"crm._domainkey.example.com."]
    assert not dkim.verify(signed.replace(b"Subject:", b"Subject: x"), dnsfunc=dns)
    for name in (b"List-Unsubscribe", b"List-Unsubscribe-Post", b"From", b"Message-ID"):
        assert re.search(rb"h=[^;]*\b" + name + rb"\b", signed[:1000], re.IGNORECASE)
    assert parsed(signed)["Subject"] == "Grüße"


@pytest.mark.parametrize("domain", ["example.com", "mail.example.com"])
def test_a_signature_speaks_for_its_domain_and_those_below_it(tmp_path: Any, domain: str) -> None:
    assert list(_dkim(tmp_path, b"").doubts({domain})) == []


def test_a_signature_for_another_domain_is_doubted(tmp_path: Any) -> None:
    (told,) = _dkim(tmp_path, b"").doubts({"example.com", "notexample.com"})
    assert told.startswith("mail from notexample.com is signed for example.com, so by DMARC")


def test_a_key_that_cannot_sign_is_told_without_it(tmp_path: Any) -> None:
    with pytest.raises(AuthError, match="RSA private key in PEM form") as told:
        _dkim(tmp_path, b"not-a-key-81c6").signed(made().content)
    assert "not-a-key" not in repr(told.value)
    assert told.value.__suppress_context__


@pytest.mark.parametrize("part", ["text", "html"])
def test_half_a_character_in_a_text_is_told_in_a_sentence(part: str) -> None:
    with pytest.raises(RejectedError) as told:
        made(**{part: "<style>p {color: red}</style><p>Yes \ud83d no</p>"})
    assert str(told.value) == (
        "the mail to Bo Recipient <bo@customer.example> cannot be written: half a character stands "
        "in its text (\\ud83d)"
    )


def test_a_header_s_name_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="cannot have a header"):
        token_line("X:", "a")
