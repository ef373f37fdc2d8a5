from __future__ import annotations

from typing import Any

import pytest

from crmsync.journeys.threads import continued


def last(**changes: Any) -> dict[str, Any]:
    given = {"message_id": "m3@acme.example", "answers": None, "subject": "Our offer"}
    return given | changes


def test_the_first_answer() -> None:
    assert continued("Your renewal", last()) == (
        "Re: Our offer",
        {"In-Reply-To": "<m3@acme.example>", "References": "<m3@acme.example>"},
    )


def test_the_whole_conversation_is_referred_to() -> None:
    subject, headers = continued(
        "Your renewal", last(answers="m2@acme.example m1@us.example m2@acme.example")
    )
    assert subject == "Re: Our offer"
    assert headers["In-Reply-To"] == "<m3@acme.example>"
    assert headers["References"] == "<m1@us.example> <m2@acme.example> <m3@acme.example>"


def test_a_long_conversation_keeps_its_first_and_its_latest() -> None:
    answers = " ".join(f"m{number}@us.example" for number in reversed(range(200)))
    references = continued("x", last(answers=answers))[1]["References"].split()
    assert len(references) == 20
    assert references[0] == "<m0@us.example>"
    assert references[-2:] == ["<m199@us.example>", "<m3@acme.example>"]


def test_as_crms_keep_message_ids() -> None:
    _, headers = continued("x", last(answers=f"<{'m' * 250}@us.example> <m1@us.example>"))
    assert headers["References"] == "<m1@us.example> <m3@acme.example>", (
        "the longest lines have 998"
    )
    _, headers = continued("x", last(message_id=" <m3@acme.example> ", answers="<m1@us.example>,"))
    assert headers["References"] == "<m1@us.example> <m3@acme.example>"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Re: Our offer", "Re: Our offer"),
        ("AW: Re: RE:  Our offer", "Re: Our offer"),
        ("SV: Antw: Our offer", "Re: Our offer"),
        ("Re[2]: Our offer", "Re: Our offer"),
        ("RE： 提案", "Re: 提案"),
        ("Fwd: Our offer", "Re: Fwd: Our offer"),
        ("Research: x", "Re: Research: x"),
        ("Our\r\nBcc: offer", "Re: Our Bcc: offer"),
        ("", "Your renewal"),
        ("Re:", "Your renewal"),
        (None, "Your renewal"),
    ],
)
def test_the_subject_is_that_of_the_conversation(before: str | None, after: str) -> None:
    assert continued("Your renewal", last(subject=before))[0] == after


@pytest.mark.parametrize(
    "message_id", ["", "no id", "a@b>\r\nBcc: eve@evil.example", "a b@c", "ä@acme.example"]
)
def test_what_is_no_message_id_begins_a_thread(message_id: str) -> None:
    subject, headers = continued("Your renewal", last(message_id=message_id))
    assert all("\n" not in value and "Bcc" not in value for value in headers.values())
    if not headers:
        assert subject == "Your renewal"


def test_without_a_mail_before_it_begins_a_thread() -> None:
    assert continued("Your renewal", None) == ("Your renewal", {})


def test_a_subject_that_was_read_wrong_is_not_written_again() -> None:
    subject, headers = continued("Your renewal", last(subject="\x1b$B$3$s\x1b(B"))
    assert subject == "Your renewal"
    assert headers["In-Reply-To"] == "<m3@acme.example>"
