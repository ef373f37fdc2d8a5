"""Which folders of a mailbox are meant, on servers that tell and on servers that do not."""

from __future__ import annotations

from typing import Any

import pytest

from crmsync_email.options import MailboxOptions
from crmsync_email.reading.folders import wanted_folders
from crmsync_email.reading.options import ImapOptions
from crmsync_email.reading.session import ListedFolder
from crmsync_email.reading.whose import Ours


def _listed(*names: str, **flagged: str) -> list[ListedFolder]:
    told = [ListedFolder(name=name, flags=frozenset()) for name in names]
    for flag, name in flagged.items():
        told.append(ListedFolder(name=name, flags=frozenset({f"\\{flag}"})))
    return told


def _found(listed: list[ListedFolder], **told: Any) -> list[tuple[str | None, bool]]:
    options = ImapOptions.model_validate({"host": "x"} | told)
    return [(one.name, one.sent) for one in wanted_folders(options, listed)]


@pytest.mark.parametrize(
    "listed",
    [
        _listed("INBOX", sent="[Gmail]/Gesendet"),
        _listed("Gesendet", "INBOX", sent="[Gmail]/Gesendet"),
    ],
)
def test_what_the_server_says_counts_most(listed: list[ListedFolder]) -> None:
    assert _found(listed) == [("INBOX", False), ("[Gmail]/Gesendet", True)]


@pytest.mark.parametrize("name", ["Sent Items", "INBOX.Sent", "Éléments envoyés", "送信済み"])
def test_where_it_says_nothing_a_usual_name_does(name: str) -> None:
    assert _found(_listed("Entwürfe", name)) == [("INBOX", False), (name, True)]


def test_the_config_s_word_is_the_last() -> None:
    listed = _listed("Sent", "Raus", sent="Other")
    assert _found(listed, sent="Raus") == [("INBOX", False), ("Raus", True)]
    assert _found(listed, sent="Weg") == [("INBOX", False), (None, False)]


def test_a_folder_with_two_names_is_read_once() -> None:
    listed = _listed("Kunden", sent="Sent")
    asked = ["INBOX", "inbox", "Kunden", "Sent", "sent", "Fehlt"]
    assert _found(listed, folders=asked) == [
        ("INBOX", False),
        ("Kunden", False),
        ("Sent", True),
        (None, False),
    ]


def test_uses_find_their_folders() -> None:
    listed = _listed(all="[Gmail]/Alle", archive="Ablage")
    assert _found(listed, folders=["all", "Archive"]) == [
        ("[Gmail]/Alle", False),
        ("Ablage", False),
    ]


def test_domains_that_mail_is_sent_from_are_ours_too() -> None:
    told = {
        "address": "Firm <firm@gmail.com>",
        "domains": ["brand.example"],
        "user": "login",
        "password": "env:P",
        "imap": {"host": "x"},
    }
    ours = Ours.of([], MailboxOptions.model_validate(told).own)
    assert ours.include("ann@brand.example")
    assert ours.include("firm@gmail.com")
    assert not ours.include("ann@gmail.com")
