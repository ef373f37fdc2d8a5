"""What proves that a mail was sent: its copy, wherever in our mailbox it has gone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from mailboxes import mail, new_user, password_login
from wire_proxy import WireProxy

from crmsync.errors import TransientError
from crmsync_email.reading.checking import findings
from crmsync_email.reading.copies import copies_of
from crmsync_email.reading.options import ImapOptions
from crmsync_email.reading.session import MailboxSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mail_servers import Mailboxes

_DIGESTS = [f"{number:040x}" for number in range(4)]
_KEYS = [f"renewal-{digest}" for digest in _DIGESTS]


def _sent(digest: str) -> bytes:
    return mail().replace(b"<m1@customer", b"<crmsync." + digest.encode() + b"@ours")


@contextmanager
def _session(port: int, user: str, **told: object) -> Iterator[tuple[MailboxSession, ImapOptions]]:
    options = ImapOptions.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none"} | told
    )
    session = MailboxSession(options, password_login(user))
    try:
        yield session, options
    finally:
        session.close()


def _found(port: int, user: str) -> Mapping[str, str]:
    with _session(port, user) as (session, options):
        return copies_of(session, options, _KEYS, among_sent=True)


def test_copies_are_found_where_servers_people_and_rules_put_them(mailboxes: Mailboxes) -> None:
    user = new_user()
    with mailboxes.client(user) as client:
        client.create_folder("Trash")
    mailboxes.put(user, [_sent(_DIGESTS[0])], "Gesendetes")
    mailboxes.put(user, [_sent(_DIGESTS[1])], "INBOX")
    mailboxes.put(
        user, [_sent(_DIGESTS[3] + "0"), mail().replace(b"<m1", b"<x.crmsync." + b"0" * 39)]
    )
    assert _found(mailboxes.imap, user) == {
        _KEYS[0]: f"crmsync.{_DIGESTS[0]}@ours.example",
        _KEYS[1]: f"crmsync.{_DIGESTS[1]}@ours.example",
    }


def test_copies_are_found_in_a_folder_of_ones_own_whatever_another_one_says(
    mailboxes: Mailboxes,
) -> None:
    user = new_user()
    with mailboxes.client(user) as client:
        client.create_folder("Locked")
        client.create_folder("Sent by crmsync")
    mailboxes.put(user, [_sent(_DIGESTS[0])], "Sent by crmsync")
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = lambda line: (
            line.split()[0] + b" NO [NOPERM] Not yours\r\n"
            if b"EXAMINE" in line and b"Locked" in line
            else None
        )
        assert list(_found(proxy.port, user)) == [_KEYS[0]]


def test_a_copy_that_the_servers_search_does_not_know_is_found(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number) for number in range(20)] + [_sent(_DIGESTS[2])])
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = lambda line: (
            b"* SEARCH\r\n" + line.split()[0] + b" OK done\r\n"
            if b"HEADER" in line.split()[3:4]
            else None
        )
        assert list(_found(proxy.port, user)) == [_KEYS[2]]


def test_a_copy_whose_message_id_the_server_has_replaced_is_found(mailboxes: Mailboxes) -> None:
    user = new_user()
    own = f"crmsync.{_DIGESTS[0]}@ours.example"
    mailboxes.put(user, [b"X-Crmsync-Message-ID: <" + own.encode() + b">\r\n" + mail()])
    assert _found(mailboxes.imap, user) == {_KEYS[0]: own}


def test_where_a_folder_cannot_be_looked_into_nobody_knows(mailboxes: Mailboxes) -> None:
    user = new_user()
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = lambda line: (
            line.split()[0] + b" NO [NOPERM] Not yours\r\n" if b"EXAMINE" in line else None
        )
        with pytest.raises(
            TransientError, match=r"whether a mail was sent cannot be told.*Not you"
        ):
            _found(proxy.port, user)


def test_where_the_server_passes_over_a_mail_nobody_knows(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number) for number in range(1, 4)])
    with WireProxy(mailboxes.imap) as proxy:
        proxy.change = lambda line: line.replace(b"1,2,3", b"1,3") if b"BODY" in line else line
        with pytest.raises(TransientError, match="does not tell of all mails"):
            _found(proxy.port, user)


def _told(port: int, user: str, **options: object) -> list[str]:
    with _session(port, user, **options) as (session, told):
        return [one.sentence for one in findings(session, told, [user])]


def test_a_sound_mailbox_is_found_sound(mailboxes: Mailboxes) -> None:
    assert _told(mailboxes.imap, new_user()) == []


def test_what_is_missing_is_told_in_the_words_of_who_looks_after_mailboxes(
    mailboxes: Mailboxes,
) -> None:
    user = new_user()
    with mailboxes.client(user) as client:
        client.create_folder("Kunden")
    told = _told(mailboxes.imap, user, folders=["inbox", "Kunde", "archive"], sent="Gesendet")
    assert told == [
        "the mailbox has no folder “Gesendet”; did you mean “Gesendetes”?",
        "the mailbox has no folder “Kunde”; did you mean “Kunden”?",
        (
            "the mail server does not say which folder is the “archive”; write its name under "
            "“folders” instead"
        ),
    ]


def test_where_nothing_tells_which_folder_is_sent_that_is_told(mailboxes: Mailboxes) -> None:
    user = new_user()
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = lambda line: (
            b'* LIST () "." INBOX\r\n* LIST () "." Verschickt\r\n'
            + line.split()[0]
            + b" OK done\r\n"
            if b"LIST" in line
            else None
        )
        (told,) = _told(proxy.port, user)
    assert "nothing tells in which folder sent mail lies" in told
    assert "“INBOX”, “Verschickt”" in told


def test_where_nothing_tells_which_mail_is_ours_that_is_told(mailboxes: Mailboxes) -> None:
    (told,) = _told(mailboxes.imap, "firm")
    assert "nothing tells which mail is from us" in told
