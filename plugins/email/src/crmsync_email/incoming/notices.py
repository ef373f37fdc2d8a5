"""Notices of mail systems: which recipients they speak of, and what they say of each.

Half of them are delivery status notifications (RFC 3464). The rest are texts in the words of the
program that wrote them, from qmail to Exchange, with the original mail behind a dividing line.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from email.message import Message
from functools import cache
from typing import TYPE_CHECKING

from crmsync_email.incoming.parts import (
    content_type,
    decoded,
    header,
    mail_in,
    parsed,
    parts,
    texts,
)
from crmsync_email.incoming.phrases import any_of
from crmsync_email.incoming.ses import notification_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync_email.incoming.parts import Part
    from crmsync_email.incoming.ses import Notification


@dataclass(frozen=True, kw_only=True)
class Original:
    """What a notice shows of the mail it speaks of; empty where it does not show it."""

    message_id: str = ""
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What a notice says of one recipient.

    Attributes:
        address: the recipient, in lower case; empty where the notice names nobody.
        action: ``failed``, ``delayed``, ``delivered``, ``relayed``, ``expanded`` or empty.
        status: the enhanced status code (RFC 3463) of the delivery status part, or empty.
        told: what the remote answered, where the notice quotes it in a field of its own.
        around: what the notice itself says of the recipient.
    """

    address: str
    action: str = ""
    status: str = ""
    told: str = ""
    around: str = ""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A mail system's notice.

    Attributes:
        said: its own words, without the original mail.
        failures: one for each recipient it names.
        original: the mail it speaks of.
        standard: whether it has a delivery status part (RFC 3464).
    """

    said: str
    failures: tuple[Failure, ...] = ()
    original: Original = field(default_factory=Original)
    standard: bool = False


def read_notice(mail: Part) -> Notice:
    """Take a mail for a notice, and read what it says; a notice that was passed on as well."""
    told = notification_in(mail)
    if told is not None:
        return _of_ses(told)
    notice = _read(mail)
    if any(one.address for one in notice.failures):
        return notice
    inner = next((one for part in parts(mail) if (one := mail_in(part)) is not None), None)
    passed_on = inner is not None and inner.get_content_type() == "multipart/report"
    return _read(inner) if inner is not None and passed_on else notice


def _of_ses(told: Notification) -> Notice:
    return Notice(
        said="",
        failures=tuple(
            Failure(
                address=one.get("emailAddress", "").lower(),
                action=one.get("action", "failed"),
                status=one.get("status", ""),
                told=one.get("diagnosticCode", "").removeprefix("smtp;").strip(),
            )
            for one in told.bounced
        ),
        original=Original(message_id=told.message_id),
        standard=True,
    )


def _read(mail: Part) -> Notice:
    whole = "\n".join(text.text for text in texts(mail))
    said, rest = _divided(whole)
    groups = [group for part in parts(mail) for group in _status_groups(part)] or _typed(said)
    failures = tuple(_of_status(groups, said)) or tuple(_of_text(mail, said))
    return Notice(
        said=said, failures=failures, original=original_of(mail, rest), standard=bool(groups)
    )


def _typed(said: str) -> list[Part]:
    """Fields of a delivery status that stand in the text, as Amazon WorkMail writes them."""
    groups: list[Part] = []
    for found in _FIELD.finditer(said):
        name, value = found.group(1).lower(), found.group(2)
        if name == "final-recipient" or not groups:
            groups.append(Message())
        groups[-1][name] = value
    return [one for one in groups if one.get("Final-Recipient")]


_FIELD = re.compile(
    r"^(final-recipient|action|status|diagnostic-code|remote-mta):[ \t]*(\S.*)",
    re.IGNORECASE | re.MULTILINE,
)


@cache
def _divider() -> re.Pattern[str]:
    return re.compile(rf"^[ \t>*_=-]*(?:{any_of('dividers')})", re.IGNORECASE | re.MULTILINE)


def _divided(text: str) -> tuple[str, str]:
    """What the notice says, and the original that it shows."""
    found = _divider().search(text)
    return (text[: found.start()], text[found.start() :]) if found else (text, "")


def _status_groups(part: Part) -> list[Part]:
    """The groups of fields of a delivery status part that speak of a recipient."""
    if content_type(part) not in {"message/delivery-status", "message/global-delivery-status"}:
        return []
    payload = part.get_payload()
    groups = (
        [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []
    )
    if header(part, "Content-Transfer-Encoding").lower() in {"base64", "quoted-printable"}:
        groups = _encoded_groups(part, groups)
    return [one for one in groups if one.get("Final-Recipient") or one.get("Original-Recipient")]


def _encoded_groups(part: Part, groups: list[Part]) -> list[Part]:
    """The groups of a part that RFC 3464 does not allow to be encoded, and that is."""
    encoded: Part = Message()
    encoded["Content-Transfer-Encoding"] = header(part, "Content-Transfer-Encoding")
    encoded.set_payload("\n".join(one.as_string() for one in groups).strip())
    text = decoded(encoded).replace("\r\n", "\n")
    return [parsed(f"{one.strip()}\n\n".encode()) for one in text.split("\n\n")]


_LOCAL = r"(?:[^\s<>;,:\"'()\[\]@]|(?<=\w)'(?=\w))"  # an apostrophe within a word belongs to it
_ADDRESS = re.compile(
    rf"(?<![^\s<>;,:\"'()\[\]]){_LOCAL}{{1,64}}@[A-Za-z0-9À-\uffff][A-Za-z0-9À-\uffff.-]{{0,253}}[A-Za-z0-9À-\uffff]"
)


def addresses_in(value: str) -> tuple[str, ...]:
    """The addresses in a text, in lower case."""
    return tuple(one.lower() for one in _ADDRESS.findall(value))


_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")  # RFC 6533, 3: “b\x{F6}@example.com”
_QUOTED = re.compile(r'"([^"@\s]+)"@')


def recipient_in(value: str) -> str:
    """The address of such a field as Final-Recipient, in lower case; empty where there is none.

    Behind the type, all is the address: it is not searched for, since names with an apostrophe
    would lose what stands before it.
    """
    typed = value.partition(";")[2] or value
    plain = _ESCAPED.sub(lambda found: chr(min(int(found[1], 16), sys.maxunicode)), typed)
    bare = _QUOTED.sub(r"\1@", plain.strip().strip("<>").strip()).lower()
    if re.fullmatch(r'(?:"[^"]{1,64}"|[^\s<>;,:"()\[\]]{1,64})@[^\s<>;,:"()\[\]@]+', bare):
        return bare
    return next(iter(addresses_in(plain)), "")


def _of_status(groups: list[Part], said: str) -> Iterator[Failure]:
    for group in groups[:_MOST_RECIPIENTS]:
        final = recipient_in(header(group, "Final-Recipient"))
        address = recipient_in(header(group, "Original-Recipient")) or final
        kind, _, diagnostic = header(group, "Diagnostic-Code").partition(";")
        told = diagnostic.strip() or kind.strip()
        own = _spoken_of((final, address), said) if len(groups) > 1 else said
        yield Failure(
            address=address,
            action=header(group, "Action").split(" ")[0].lower(),
            status=header(group, "Status").split(" ")[0],
            told=told,
            around=f"{own}\n{header(group, 'Remote-MTA')}",
        )


def _spoken_of(addresses: tuple[str, ...], said: str) -> str:
    """The lines around the places where a notice names one of these recipients."""
    lines = said.splitlines()
    near: set[int] = set()
    for at, line in enumerate(lines):
        if any(address and address in line.lower() for address in addresses):
            near.add(at)
            for further in range(at + 1, min(at + 8, len(lines))):
                if not lines[further].strip() or _ADDRESS.match(lines[further].strip(" <\"'")):
                    break
                near.add(further)
    return "\n".join(lines[at] for at in sorted(near))


def _of_text(mail: Part, said: str) -> Iterator[Failure]:
    """Recipients that stand at the beginning of a line, as programs name them."""
    named = addresses_in(header(mail, "X-Failed-Recipients"))
    if not named:
        known = set(addresses_in(f"{header(mail, 'From')} {header(mail, 'To')}"))
        named = tuple(one for one in _listed(said) if one not in known)
        strangers = set(addresses_in(said)) - known
        if not named and len(strangers) == 1:
            named = tuple(strangers)
    for address in list(dict.fromkeys(named))[:_MOST_RECIPIENTS]:
        alone = len(set(named)) == 1
        yield Failure(address=address, around=said if alone else _spoken_of((address,), said))
    if not named:
        yield Failure(address="", around=said)


_LISTED = re.compile(
    r"^[ \t>*-]{0,40}(?:<<<[ \t].*|"
    r"(?:\d{3}[ -].*?|rcpt to|to|recipient|address|mail to|addressed to)"
    rf"[ \t]*:?[ \t]*)?[<\"']?({_ADDRESS.pattern})",
    re.IGNORECASE | re.MULTILINE,
)
_MOST_RECIPIENTS = 50  # of one notice; crmsync writes to one person at a time


def _listed(said: str) -> list[str]:
    return [found.group(1).lower().rstrip(".") for found in _LISTED.finditer(said)]


_MESSAGE_ID = re.compile(r"^message-id:\s*(<[^<>\s]{3,900}>)", re.IGNORECASE | re.MULTILINE)
_TO = re.compile(r"^to:\s*(.{3,900})", re.IGNORECASE | re.MULTILINE)


def original_of(mail: Part, rest: str = "") -> Original:
    """The mail that a notice speaks of: what it encloses, or what its text shows at the end."""
    for part in parts(mail):
        inner = mail_in(part)
        if inner is not None:
            return _shown("\n".join(f"{name}: {header(inner, name)}" for name in _SHOWN))
        if content_type(part) == "text/rfc822-headers":
            return _shown(decoded(part))
    return _shown(rest)


_SHOWN = ("Message-ID", "To")


def _shown(text: str) -> Original:
    message_id, to = _MESSAGE_ID.search(text), _TO.search(text)
    return Original(
        message_id=message_id.group(1) if message_id else "",
        recipients=addresses_in(to.group(1)) if to else (),
    )
