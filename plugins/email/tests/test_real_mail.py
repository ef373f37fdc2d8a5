"""Real bounces, complaints and replies, against what other projects say of them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from crmsync_email.incoming.bounces import bounces_in
from crmsync_email.incoming.complaints import read_complaint
from crmsync_email.incoming.kinds import Kind, kind_of
from crmsync_email.incoming.notices import read_notice
from crmsync_email.incoming.parts import parsed
from crmsync_email.incoming.replies import body_of, own_words, reply_in

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_NO_BOUNCES = {"feedback", "vacation", "delivered"}


def _judged(hard: set[bool]) -> str:
    if len(hard) == 1:
        return "hard" if hard == {True} else "soft"
    return "mixed"


def test_bounces_are_hard_or_soft_as_others_judge(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared_data / "bounces_sisimai"
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    table: Counter[tuple[str, str]] = Counter()
    for name, label in labels.items():
        if not _NO_BOUNCES & {one["reason"] for one in label}:
            mail = parsed((folder / "mail" / name).read_bytes())
            theirs = _judged({one["hardbounce"] for one in label})
            ours = _judged({one.hard for one in bounces_in(read_notice(mail))})
            table[theirs, ours] += 1
    with capsys.disabled():
        rows = [f"  {theirs:6} {ours:6} {table[theirs, ours]:4}" for theirs, ours in sorted(table)]
        sys.stdout.write("\n".join(["\nBounces, as sisimai judges and as we do:", *rows, ""]))
    hard = {ours: count for (theirs, ours), count in table.items() if theirs == "hard"}
    soft = {ours: count for (theirs, ours), count in table.items() if theirs == "soft"}
    assert sum(hard.values()) > 50
    assert sum(soft.values()) > 150
    assert hard["hard"] >= 0.9 * sum(hard.values())
    assert soft["soft"] >= 0.95 * sum(soft.values())


def test_complaints_and_vacations_are_all_recognised(shared_data: Path) -> None:
    folder = shared_data / "bounces_sisimai"
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    kinds = {"feedback": Kind.COMPLAINT, "vacation": Kind.AWAY}
    expected = {
        name: kinds[label[0]["reason"]]
        for name, label in labels.items()
        if label[0]["reason"] in kinds
    }
    assert len(expected) > 8
    mails = {name: parsed((folder / "mail" / name).read_bytes()) for name in expected}
    assert {name: kind_of(mail) for name, mail in mails.items()} == expected
    told = [read_complaint(mails[name]) for name in expected if expected[name] is Kind.COMPLAINT]
    assert all(one.addresses or one.original.message_id for one in told)


def test_no_bounce_is_taken_for_a_persons_mail(shared_data: Path) -> None:
    folder = shared_data / "bounces_sisimai" / "mail"
    kinds = Counter(kind_of(parsed(file.read_bytes())) for file in folder.iterdir())
    assert kinds[Kind.BOUNCE] >= 295
    # One that a person passed on, and one of a list manager that bears no sign of it.
    assert kinds[Kind.HUMAN] <= 2


def test_mail_of_people_is_no_bounce(shared_data: Path) -> None:
    folder = shared_data / "bounces_sisimai" / "not_bounces"
    mails = sorted(folder.glob("is-not-bounce-*.eml"))
    assert len(mails) >= 2
    assert {kind_of(parsed(file.read_bytes())) for file in mails} == {Kind.HUMAN}


def test_replies_of_twelve_mail_clients(shared_data: Path) -> None:
    files = sorted((shared_data / "email_reply_talon" / "standard_replies").glob("*.eml"))
    assert len(files) == 12
    wrong = []
    for file in files:
        told = file.with_name(f"{file.stem}_reply_text")
        expected = told.read_text(encoding="utf-8") if told.exists() else "Hello"
        lines = [line.rstrip() for line in expected.strip().splitlines()]
        mail = parsed(file.read_bytes())
        # talon leaves signatures in: that is not asked here.
        if reply_in(body_of(mail)).splitlines() != lines or own_words(mail) != "Hello":
            wrong.append(file.name)
    assert wrong == []


def test_replies_in_html_alone(shared_data: Path) -> None:
    files = sorted((shared_data / "email_reply_talon" / "html_replies").glob("*.html"))
    assert len(files) == 9
    head = b"Content-Type: text/html; charset=utf-8\n\n"
    replies = {file.name: own_words(parsed(head + file.read_bytes())) for file in files}
    assert all(reply.startswith("Hi. I am fine.") for reply in replies.values()), replies
    quoting = [name for name, reply in replies.items() if reply.split()[-1] != "Alex"]
    assert quoting == ["windows_mail.html"]  # nothing but Russian words mark its quote
