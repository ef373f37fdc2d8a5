from __future__ import annotations

import email
import mailbox
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from crmsync.errors import RejectedError
from crmsync.model.actions import Receipt, SendEmail
from crmsync_files import maildir
from crmsync_files.connector import FilesConnector

Connect = Callable[..., FilesConnector]

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def mail(key: str = "m1", **changes: Any) -> SendEmail:
    values: dict[str, Any] = {
        "key": key,
        "message_id": "abc.123@example.com",
        "sender": "Ann Example <ann@example.com>",
        "recipient": "bo@example.org",
        "subject": "Your renewal",
        "text": "Hello Bo,\n\nhow are you?\n",
        "at": AT,
    }
    return SendEmail(**(values | changes))


def delivered(folder: Path) -> EmailMessage:
    (path,) = (folder / "outbox" / "new").iterdir()
    message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def raw(folder: Path) -> bytes:
    (path,) = (folder / "outbox" / "new").iterdir()
    return path.read_bytes()


def test_a_mail_lies_in_a_maildir(folder: Path, connect: Connect) -> None:
    (receipt,) = connect().apply([mail(headers={"Reply-To": "team@example.com"})])
    assert isinstance(receipt, Receipt)
    assert not receipt.already
    assert (folder / receipt.remote_id).is_file()
    box = mailbox.Maildir(folder / "outbox", create=False)
    (key,) = box.keys()
    assert box.get_message(key)["Subject"] == "Your renewal"
    assert sorted(path.name for path in (folder / "outbox").iterdir()) == ["cur", "new", "tmp"]
    assert list((folder / "outbox" / "tmp").iterdir()) == []
    message = delivered(folder)
    assert {name: str(value) for name, value in message.items()} == {
        "From": "Ann Example <ann@example.com>",
        "To": "bo@example.org",
        "Subject": "Your renewal",
        "Date": "Sun, 01 Mar 2026 09:30:00 +0000",
        "Message-ID": "<abc.123@example.com>",
        "X-Crmsync-Key": "m1",
        "Auto-Submitted": "auto-generated",
        "Reply-To": "team@example.com",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }
    assert message.get_content() == "Hello Bo,\n\nhow are you?\n"
    assert b"\r" not in raw(folder)


def test_html_is_an_alternative(folder: Path, connect: Connect) -> None:
    connect().apply([mail(text="Grüezi\n", html="<p>Grüezi</p>")])
    message = delivered(folder)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
    assert [part.get_content() for part in message.iter_parts()] == ["Grüezi\n", "<p>Grüezi</p>\n"]


@pytest.mark.parametrize("flags", ["", ":2,", ":2,S", ":2,FRS"])
@pytest.mark.parametrize("part", ["new", "cur"])
def test_a_mail_is_delivered_once_wherever_it_was_moved(
    folder: Path, connect: Connect, part: str, flags: str
) -> None:
    (first,) = connect().apply([mail()])
    (path,) = (folder / "outbox" / "new").iterdir()
    path.rename(folder / "outbox" / part / (path.name + flags))
    again, twice = connect().apply([mail(at=AT + timedelta(days=1)), mail()])
    assert again == twice
    assert isinstance(again, Receipt)
    assert again.already
    assert again.remote_id == f"outbox/{part}/{path.name}{flags}"
    assert isinstance(first, Receipt)
    assert len(list((folder / "outbox").rglob("*crmsync*"))) == 1
    assert connect().find(["m1", "m2"]) == {"m1": again}


def test_the_same_key_twice_in_a_batch(folder: Path, connect: Connect) -> None:
    one, two = connect().apply([mail(), mail()])
    assert isinstance(one, Receipt)
    assert isinstance(two, Receipt)
    assert (one.already, two.already) == (False, True)
    assert len(list((folder / "outbox" / "new").iterdir())) == 1


def test_what_an_interruption_left_half_written_is_no_delivery(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            connect().apply([mail()])
    (staged,) = (path for path in (folder / "outbox").iterdir() if path.is_file())
    staged.write_bytes(staged.read_bytes()[:50])
    assert mailbox.Maildir(folder / "outbox", create=False).keys() == []
    (receipt,) = connect().apply([mail()])
    assert isinstance(receipt, Receipt)
    assert not receipt.already
    assert delivered(folder).get_content() == "Hello Bo,\n\nhow are you?\n"
    assert not staged.exists()


def test_strange_files_in_the_outbox_are_left_alone(folder: Path, connect: Connect) -> None:
    connect().apply([mail("other")])
    for name in ("README", "1.2.3", f"5.{maildir.digest_of('m1')}", ".crmsync", "a.crmsync"):
        (folder / "outbox" / "new" / name).write_text("strange")
    (receipt,) = connect().apply([mail()])
    assert isinstance(receipt, Receipt)
    assert not receipt.already


def test_names_and_subjects_in_any_script(folder: Path, connect: Connect) -> None:
    connect().apply(
        [
            mail(
                sender="Łucja “Team” <l@example.com>",
                recipient='"田中, 太郎" <tanaka@example.org>',
                subject="更新 – Müller 🙂 " + "x" * 300,
            )
        ]
    )
    message = delivered(folder)
    assert message["To"].addresses[0].display_name == "田中, 太郎"
    assert message["To"].addresses[0].addr_spec == "tanaka@example.org"
    assert message["Subject"] == "更新 – Müller 🙂 " + "x" * 300
    raw(folder).split(b"\n\n")[0].decode("ascii")  # headers are ASCII


def test_the_domain_of_an_address_is_ascii(folder: Path, connect: Connect) -> None:
    connect().apply([mail(recipient="Bo <bo@bücher.example>")])
    assert b"To: Bo <bo@xn--bcher-kva.example>" in raw(folder)


def test_a_long_url_in_a_header_stays_whole(folder: Path, connect: Connect) -> None:
    url = "<https://example.com/unsubscribe?token=" + "a1b2c3d4" * 40 + ">"
    connect().apply(
        [
            mail(
                headers={
                    "List-Unsubscribe": url,
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                }
            )
        ]
    )
    assert f"List-Unsubscribe: {url}\n".encode() in raw(folder)


def test_lines_of_any_length_fit_the_limit(folder: Path, connect: Connect) -> None:
    text = "x" * 5000 + "\nö" * 3 + "\n"
    connect().apply([mail(text=text, html="<p>" + "é " * 3000 + "</p>")])
    assert max(len(line) for line in raw(folder).split(b"\n")) <= 998
    first, _ = delivered(folder).iter_parts()
    assert first.get_content() == text


@pytest.mark.parametrize(
    "text", ["From here on\n.\n..\n", "tab\tand  spaces  \n", "東京\n", "nul \x00 here\n", "", "x"]
)
def test_bodies_survive(folder: Path, connect: Connect, text: str) -> None:
    connect().apply([mail(text=text)])
    assert delivered(folder).get_content().removesuffix("\n") == text.removesuffix("\n")


def test_another_zone_in_the_date(folder: Path, connect: Connect) -> None:
    connect().apply([mail(at=AT.astimezone(timezone(timedelta(hours=2))))])
    assert delivered(folder)["Date"].datetime == AT


def test_a_person_s_own_auto_submitted_wins(folder: Path, connect: Connect) -> None:
    connect().apply([mail(headers={"auto-submitted": "no"})])
    assert delivered(folder).get_all("Auto-Submitted") == ["no"]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "a\nBcc: eve@example.com"},
        {"subject": "a\rb"},
        {"subject": "a\x00b"},
        {"subject": "a\u2028b"},
        {"sender": "Ann\r\nBcc: eve@example.com <ann@example.com>"},
        {"recipient": "bo@example.org\nBcc: eve@example.com"},
        {"recipient": "bo@example.org, eve@example.com"},
        {"recipient": "Acme, Inc. <bo@example.org>"},
        {"recipient": "Bo"},
        {"recipient": ""},
        {"recipient": "@example.org"},
        {"recipient": "bo@"},
        {"recipient": "bo@exa mple.org"},
        {"recipient": "bø@example.org"},
        {"recipient": "bo@" + "ü" * 80 + ".example"},
        {"sender": "ann@example.com <eve@example.com> <x@example.com>"},
        {"message_id": "a b@example.com"},
        {"message_id": "a>\nX: y@example.com"},
        {"message_id": "no-at"},
        {"headers": {"X-Topic": "a\r\nBcc: eve@example.com"}},
        {"headers": {"X-Topic: a\r\nBcc": "eve@example.com"}},
        {"headers": {"X Topic": "a"}},
        {"headers": {"": "a"}},
        {"headers": {"from": "eve@example.com"}},
        {"headers": {"X-Crmsync-Key": "other"}},
        {"key": "a\nb"},
        {"subject": "half \ud800"},
        {"text": "half \ud800"},
        {"html": "half \ud800"},
    ],
)
def test_what_cannot_stand_in_a_mail_is_refused(
    folder: Path, connect: Connect, changes: dict[str, Any]
) -> None:
    error, receipt = connect().apply([mail(**changes), mail("sound")])
    assert isinstance(error, RejectedError)
    assert "mail" in str(error).lower() or "Message-ID" in str(error)
    assert "\n" not in str(error)
    assert isinstance(receipt, Receipt)
    assert len(list((folder / "outbox").rglob("*.crmsync"))) == 1
