"""Keys: derived once from what a thing is, so that the same thing always has the same key."""

from __future__ import annotations

import hashlib
import json
import re
from email.utils import parseaddr
from typing import TYPE_CHECKING

from crmsync.ledger.values.enrolments import ROUND
from crmsync.model.own_mail import local_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.ledger.values.enrolments import EnrolmentRef

_READABLE = 32  # characters of the rule's name that a key shows
_DOMAIN = re.compile(r"[^\s<>@.]+(\.[^\s<>@.]+)*|\[[^\s<>@]+\]")
_DIGEST = 40  # hexadecimal digits, 160 bits


def once_key(paths: Sequence[str], values: Sequence[str]) -> str:
    """The key of an enrolment under ``once_per``: its values by path, as JSON."""
    return json.dumps(dict(zip(paths, values, strict=True)), ensure_ascii=False, sort_keys=True)


def running_key(subject: str, number: int) -> str:
    """The key of a subject's ``number``-th enrolment in a rule without ``once_per``, as JSON."""
    return json.dumps([subject, number], ensure_ascii=False)


def once_paths(key: str) -> frozenset[str]:
    """The paths that a key was made from; none for a running number."""
    value = json.loads(key)
    return frozenset(value) if isinstance(value, dict) else frozenset()


def once_words(key: str, subject: str) -> str:
    """The values of a key of ``once_per`` by their names; the subject itself needs no name."""
    values = {path: value for path, value in json.loads(key).items() if value != subject}
    return ", ".join(f"{path} {value}" for path, value in values.items()) or "this record"


def in_round(step: str, number: int) -> str:
    """What a step is called in a round of its enrolment: ``brief``, then ``brief#2``."""
    return step if number == 1 else f"{step}{ROUND}{number}"


def round_of(step: str) -> tuple[str, int]:
    """The step's id in its rule, and the round, of what `in_round` has made."""
    name, _, number = step.partition(ROUND)
    return name, int(number or 1)


def effect_key(enrolment: EnrolmentRef, step: str) -> str:
    """The key of a step's effect.

    At most 80 characters out of a-z, 0-9 and hyphen: safe as a file name on any system and as
    an external id in a CRM. The readable part is for people; the digest makes it unique.
    """
    parts = [enrolment.rule, enrolment.subject, enrolment.key, step]
    text = json.dumps(parts, ensure_ascii=False)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    readable = re.sub(r"[^a-z0-9]+", "-", enrolment.rule.lower()).strip("-")[:_READABLE]
    return f"{readable.rstrip('-') or 'rule'}-{digest}"


def message_id(key: str, sender: str) -> str:
    """The Message-ID (RFC 5322) of a mail, without angle brackets; it tells that it is ours.

    Args:
        key: the effect's key.
        sender: the From address, with or without a display name.

    Raises:
        ValueError: the sender has no domain that can stand in a Message-ID.
    """
    wrong = f"“{sender}” is no e-mail address"
    _, at, domain = parseaddr(sender)[1].rpartition("@")
    domain = domain.strip().lower()
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ValueError(wrong) from error
    if not at or not _DOMAIN.fullmatch(domain):
        raise ValueError(wrong)
    return f"{local_part(key.rpartition('-')[2])}@{domain}"
