"""Reading a mailbox: what is new, once, and nothing is changed; at dovecot where it is there."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from mailboxes import mail, new_user, opened, password_login, read, rows, subjects
from structlog.testing import capture_logs
from wire_proxy import WireProxy

from crmsync.errors import AuthError, RejectedError, TransientError
from crmsync_email.reading.mailbox import Bounds
from crmsync_email.reading.options import ImapOptions
from crmsync_email.reading.session import MailboxSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from mail_servers import Mailboxes

    from crmsync.model.pages import Page

_SMALL = Bounds(mail=64 * 2**10, page_mails=3, page_bytes=2**20)
_SENT = "Gesendetes"


def test_each_mail_of_inbox_and_sent_is_read_once(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number) for number in range(1, 8)])
    mailboxes.put(user, [mail(8, sender=user).replace(b"me@ours", b"bob@customer")], _SENT)
    pages = read(mailboxes.imap, user, bounds=_SMALL)
    assert len(pages) == 4
    assert subjects(pages) == [f"number {number}" for number in range(1, 9)]
    assert [row["direction"] for row in rows(pages)] == ["inbound"] * 7 + ["outbound"]
    assert read(mailboxes.imap, user, cursor=pages[-1].cursor) == []
    mailboxes.put(user, [mail(9)])
    assert subjects(read(mailboxes.imap, user, cursor=pages[-1].cursor)) == ["number 9"]


def test_after_each_page_a_reading_can_end(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number) for number in range(1, 11)])
    pages = read(mailboxes.imap, user, bounds=_SMALL)
    for number, page in enumerate(pages, start=1):
        rest = read(mailboxes.imap, user, bounds=_SMALL, cursor=page.cursor)
        assert subjects(pages[:number]) + subjects(rest) == subjects(pages)


def test_nothing_is_marked_read_or_moved(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1), mail(2)])
    read(mailboxes.imap, user)
    with mailboxes.client(user) as client:
        status = client.folder_status("INBOX", ["MESSAGES", "UNSEEN", "RECENT"])
    assert (status[b"MESSAGES"], status[b"UNSEEN"], status[b"RECENT"]) == (2, 2, 2)


def test_a_mail_in_two_folders_is_one_activity(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    with mailboxes.client(user) as client:
        client.create_folder("Kunden")
        client.select_folder("INBOX")
        client.copy([1], "Kunden")
    found = rows(read(mailboxes.imap, user, folders=["inbox", "Kunden"]))
    assert len(found) == 2
    assert found[0] == found[1]


def test_a_mailbox_that_was_made_anew_is_read_again_and_doubles_nothing(
    mailboxes: Mailboxes,
) -> None:
    user = new_user()
    with mailboxes.client(user) as client:
        client.create_folder("Kunden")
    mailboxes.put(user, [mail(1), mail(2)], "Kunden")
    before = read(mailboxes.imap, user, folders="Kunden")
    with mailboxes.client(user) as client:
        client.delete_folder("Kunden")
        client.create_folder("Kunden")
    mailboxes.put(user, [mail(3), mail(1)], "Kunden")
    with capture_logs() as told:
        after = read(mailboxes.imap, user, folders="Kunden", cursor=before[-1].cursor)
        read(mailboxes.imap, user, folders="Kunden", cursor=after[-1].cursor)
    assert [(one["event"], one["folder"]) for one in told] == [("folder_made_anew", "Kunden")]
    assert subjects(after) == ["number 3", "number 1"]
    assert rows(after)[1]["id"] == rows(before)[0]["id"]


def test_a_mailbox_whose_changes_count_from_anew_is_read_again(mailboxes: Mailboxes) -> None:
    """From a backup, say: its UIDs stand for other mails, though none has a higher one."""
    user = new_user()
    mailboxes.put(user, [mail(1), mail(2)])
    (page,) = read(mailboxes.imap, user)
    told = json.loads(str(page.cursor))
    assert told["folders"]["INBOX"][2] > 0
    told["folders"]["INBOX"][2] += 1_000
    mailboxes.put(user, [mail(3)])
    assert subjects(read(mailboxes.imap, user, cursor=page.cursor)) == ["number 3"]
    assert len(subjects(read(mailboxes.imap, user, cursor=json.dumps(told)))) == 3


def test_a_cursor_of_before_changes_were_counted_goes_on(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    (page,) = read(mailboxes.imap, user)
    told = json.loads(str(page.cursor))
    told["folders"] = {name: place[:2] for name, place in told["folders"].items()}
    mailboxes.put(user, [mail(2)])
    assert subjects(read(mailboxes.imap, user, cursor=json.dumps(told))) == ["number 2"]


def test_drafts_and_mail_from_before_the_beginning_are_left_out(mailboxes: Mailboxes) -> None:
    user = new_user()
    with mailboxes.client(user) as client:
        client.append("INBOX", mail(1), flags=[rb"\Draft"])
    mailboxes.put(user, [mail(2)])
    assert subjects(read(mailboxes.imap, user)) == ["number 2"]
    assert subjects(read(mailboxes.imap, user, since="2100-01-01")) == []


def test_mail_that_is_gone_costs_one_look(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    (page,) = read(mailboxes.imap, user)
    mailboxes.put(user, [mail(2)])
    with mailboxes.client(user) as client:
        client.select_folder("INBOX")
        client.delete_messages([2])
        client.expunge()
    (empty,) = read(mailboxes.imap, user, cursor=page.cursor)
    assert empty.records.num_rows == 0
    assert read(mailboxes.imap, user, cursor=empty.cursor) == []


def test_what_is_asked_for_anew_is_read_anew(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    (page,) = read(mailboxes.imap, user)
    (again,) = read(mailboxes.imap, user, cursor=page.cursor, ours="ann@customer.example")
    assert again.records.num_rows == 0 or rows([again])[0]["direction"] == "outbound"
    assert subjects(read(mailboxes.imap, user, cursor="{broken")) == ["number 1"]


def test_columns_that_are_mapped_later_are_read_for_all_mails(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    (page,) = read(mailboxes.imap, user, columns=["subject"])
    assert rows([page])[0]["text"] is None
    assert read(mailboxes.imap, user, columns=["subject"], cursor=page.cursor) == []
    (again,) = read(mailboxes.imap, user, columns=["subject", "text"], cursor=page.cursor)
    assert rows([again])[0]["text"] == "Hello"


def test_with_nothing_new_a_folder_costs_one_round_trip(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    pages = read(mailboxes.imap, user)
    with WireProxy(mailboxes.imap) as proxy:
        assert read(proxy.port, user, cursor=pages[-1].cursor) == []
        words = [line.split()[1] for line in proxy.commands if len(line.split()) > 1]
    assert words.count(b"STATUS") == 2
    assert all(b"HIGHESTMODSEQ" in line for line in proxy.commands if b"STATUS" in line)
    assert not {b"EXAMINE", b"SELECT", b"UID", b"FETCH"} & set(words)
    assert len(words) <= 2 + 4  # CAPABILITY, AUTHENTICATE, LIST and LOGOUT beside it


def test_a_folder_that_is_missing_is_told_when_the_others_were_read(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    found: list[Page] = []
    with (
        opened(mailboxes.imap, user, folders=["Kunden", "inbox"]) as reading,
        pytest.raises(RejectedError, match="the mailbox has no folder “Kunden”; has it been ren"),
    ):
        found.extend(reading.pages())
    assert subjects(found) == ["number 1"]


def test_a_folder_that_vanishes_under_the_reader_loses_nothing(mailboxes: Mailboxes) -> None:
    user = new_user()
    with mailboxes.client(user) as client:
        client.create_folder("Kunden")
    mailboxes.put(user, [mail(number) for number in range(1, 10)], "Kunden")
    found = []
    with opened(mailboxes.imap, user, folders="Kunden", bounds=_SMALL) as reading:
        pages = reading.pages()
        found.append(next(pages))
        with mailboxes.client(user) as client:
            client.delete_folder("Kunden")
        with pytest.raises((TransientError, RejectedError)):
            found.extend(pages)
    with mailboxes.client(user) as client:
        client.create_folder("Kunden")
    mailboxes.put(user, [mail(number) for number in range(1, 10)], "Kunden")
    again = read(mailboxes.imap, user, folders="Kunden", cursor=found[-1].cursor)
    assert subjects(again) == [f"number {number}" for number in range(1, 10)]


def _read_into(found: list[Page], port: int, user: str, **options: object) -> None:
    with opened(port, user, bounds=_SMALL, **options) as reading:
        found.extend(reading.pages())


@pytest.mark.parametrize("cut", range(200, 4_400, 400))
def test_a_connection_that_breaks_anywhere_loses_nothing(mailboxes: Mailboxes, cut: int) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number, body="Hello\n" * 40) for number in range(1, 10)])
    found: list[Page] = []
    with WireProxy(mailboxes.imap) as proxy:
        proxy.cut_after = cut
        with pytest.raises(TransientError, match=r"the mail server 127\.0\.0\.1"):
            _read_into(found, proxy.port, user)
    cursor = found[-1].cursor if found else None
    found += read(mailboxes.imap, user, cursor=cursor, bounds=_SMALL)
    assert subjects(found) == [f"number {number}" for number in range(1, 10)]


def test_a_server_that_says_goodbye_is_told_in_its_own_words(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = lambda line: (
            b"* BYE Server shutting down for backup\r\n" if b"EXAMINE" in line else None
        )
        with pytest.raises(TransientError, match=r"ended the connection: .*shutting down for back"):
            read(proxy.port, user)


def _refusing(*uids: bytes) -> Callable[[bytes], bytes | None]:
    """The server gives no command that names one of these mails."""

    def refuse(line: bytes) -> bytes | None:
        words = line.split()
        asked = words[3].split(b",") if b"BODY.PEEK" in line else []
        if not set(uids) & set(asked):
            return None
        return words[0] + b" NO [SERVERBUG] Internal error occurred.\r\n"

    return refuse


def test_one_mail_that_the_server_cannot_give_does_not_stop_the_others(
    mailboxes: Mailboxes,
) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number) for number in range(1, 6)])
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = _refusing(b"3")
        pages = read(proxy.port, user)
    found = rows(pages)
    assert [row["subject"] for row in found if row["id"]] == [f"number {n}" for n in (1, 2, 4, 5)]
    (told,) = (row for row in found if not row["id"])
    assert (told["_origin"], told["_row"]) == ("INBOX", 3)
    assert "does not give this mail: " in str(told["_problem"])
    assert "Internal error" in str(told["_problem"])
    assert read(mailboxes.imap, user, cursor=pages[-1].cursor) == []


def test_the_newest_mail_can_be_the_damaged_one(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(1)])
    (page,) = read(mailboxes.imap, user)
    mailboxes.put(user, [mail(2)])
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = _refusing(b"2")
        (told,) = rows(read(proxy.port, user, cursor=page.cursor))
    assert told["_row"] == 2


def test_a_server_that_gives_nothing_now_is_not_taken_for_one_with_damaged_mails(
    mailboxes: Mailboxes,
) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number) for number in range(1, 4)])
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = _refusing(b"1", b"2", b"3")
        with pytest.raises(
            TransientError, match=r"gives no mail of the folder “INBOX” now.*Internal"
        ):
            read(proxy.port, user)


def test_a_mail_that_the_server_passes_over_is_told(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number) for number in range(1, 5)])
    with WireProxy(mailboxes.imap) as proxy:
        # The server says OK, and gives all but the third.
        proxy.change = lambda line: (
            line.replace(b"1,2,3,4", b"1,2,4") if b"BODY.PEEK" in line else line
        )
        found = rows(read(proxy.port, user))
    assert [row["subject"] for row in found if row["id"]] == [f"number {n}" for n in (1, 2, 4)]
    assert [row["_row"] for row in found if row["_problem"]] == [3]


def test_mail_that_is_taken_away_while_it_is_read_is_no_problem(mailboxes: Mailboxes) -> None:
    user = new_user()
    mailboxes.put(user, [mail(number) for number in range(1, 5)])

    def take_away(line: bytes) -> bytes | None:
        if b"BODY.PEEK" in line:
            with mailboxes.client(user) as client:
                client.select_folder("INBOX")
                client.delete_messages([2])
                client.expunge()
        return None

    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = take_away
        found = rows(read(proxy.port, user))
    assert [row["_problem"] for row in found] == [None] * len(found)
    assert {row["subject"] for row in found} >= {"number 1", "number 3", "number 4"}


def test_whatever_breaks_while_mail_arrives_and_mailboxes_are_made_anew(
    mailboxes: Mailboxes,
) -> None:
    user, dice = new_user(), random.Random(20261123)
    with mailboxes.client(user) as client:
        client.create_folder("Kunden")
    known: dict[object, object] = {}
    written, cursor = 0, None
    for _ in range(25):
        for _ in range(dice.randrange(4)):
            written += 1
            mailboxes.put(user, [mail(written)], dice.choice(["INBOX", "Kunden"]))
        if dice.random() < 0.2:
            with mailboxes.client(user) as client:
                client.rename_folder("Kunden", f"Alt{written}")
                client.create_folder("Kunden")
                client.select_folder(f"Alt{written}")
                if client.search():
                    client.copy(client.search(), "Kunden")
        found: list[Page] = []
        with WireProxy(mailboxes.imap) as proxy, suppress(TransientError):
            proxy.cut_after = dice.choice([None, dice.randrange(100, 6_000)])
            _read_into(found, proxy.port, user, folders=["inbox", "Kunden"], cursor=cursor)
        cursor = found[-1].cursor if found else cursor
        known |= {row["id"]: row["subject"] for row in rows(found)}
    for page in read(mailboxes.imap, user, folders=["inbox", "Kunden"], cursor=cursor):
        known |= {row["id"]: row["subject"] for row in rows([page])}
    assert sorted(map(str, known.values())) == sorted(f"number {n + 1}" for n in range(written))


def test_of_a_mail_of_50_mb_only_the_beginning_is_fetched(mailboxes: Mailboxes) -> None:
    user = new_user()
    big = mail(1, body="Hello\r\n" + "x" * 70 + "\r\n") + (b"y" * 70 + b"\r\n") * 700_000
    mailboxes.put(user, [big, mail(2)])
    with WireProxy(mailboxes.imap) as proxy:
        proxy.cut_after = 2**20
        pages = read(proxy.port, user)
    assert subjects(pages) == ["number 1", "number 2"]
    assert str(rows(pages)[0]["text"]).startswith("Hello")


@pytest.mark.parametrize("size", [300_000, 5_000_000])
def test_a_text_behind_a_large_attachment_is_found(mailboxes: Mailboxes, size: int) -> None:
    user = new_user()
    file = b"JVBERi0x" * 9 + b"\r\n"
    parts = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + file * (size // len(file))
        + b"--b\r\nContent-Type: text/plain\r\n\r\nWe renew.\r\n--b--\r\n"
    )
    mailboxes.put(user, [mail(1).replace(b"\r\n\r\nHello\n", b"\r\n" + parts), mail(2)])
    with WireProxy(mailboxes.imap) as proxy:
        proxy.cut_after = 2**20
        pages = read(proxy.port, user)
    assert [row["text"] for row in rows(pages)] == ["We renew.", "Hello"]


def test_hostile_mail_is_read_and_what_comes_after_it_too(mailboxes: Mailboxes) -> None:
    user = new_user()
    nested = "".join(
        f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(3_000)
    ).encode()
    hostile = [
        mail(1).replace(b"Subject", b"X-Long: " + b"x" * 300_000 + b"\r\nSubject"),
        mail(2).replace(b"\r\n\r\n", b"\r\n" + b"X-Many: y\r\n" * 50_000 + b"\r\n"),
        mail(3).replace(b"Subject: number 3\r\n\r\n", b"Subject: number 3\r\n" + nested),
        mail(4).replace(b"Hello", b"\xff\xfe\x80 Hello"),
        b"\r\n",
        b"no header at all",
        mail(7),
    ]
    mailboxes.put(user, hostile)
    found = rows(read(mailboxes.imap, user))
    mails = [row for row in found if row["id"]]
    assert len(mails) == 7
    assert mails[-1]["subject"] == "number 7"
    (told,) = [row for row in found if row["_problem"]]
    assert (told["_origin"], told["_row"]) == ("INBOX", 3)
    assert str(told["_problem"]).startswith("the mail counts, but its parts are nested too deep")


def test_a_wrong_password_is_told_without_it(mailboxes: Mailboxes) -> None:
    options = ImapOptions.model_validate(
        {"host": "127.0.0.1", "port": mailboxes.imap, "security": "none"}
    )
    with pytest.raises(AuthError) as told:
        MailboxSession(options, password_login("me@ours.example", "wrong-61c"))
    assert "does not accept the password of me@ours.example" in str(told.value)
    assert "61c" not in str(told.value)
