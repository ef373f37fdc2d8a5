"""What an author wrote is told from what they quote, and from what stands below each mail."""

from __future__ import annotations

import time

import pytest

from crmsync_email.incoming.parts import parsed
from crmsync_email.incoming.replies import own_words

_WROTE = "On Mon, 2 Mar 2026 at 10:00, Jo Meyer <jo@vendor.example> wrote:\n"
_HEAD = "From: Jo <jo@vendor.example>\nSent: Monday, 2 March 2026\nTo: Bo\nSubject: x\n\nHi Bo\n"


def _own_words(text: str, kind: str = "plain") -> str:
    head = f"Content-Type: text/{kind}; charset=utf-8\n\n"
    return own_words(parsed(f"{head}{text}".encode()))


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Yes.\n\n-- \nBo Smith\nAcme Ltd\n+41 44 000 00 00\n", "Yes."),
        ("Yes we can.\n\nBest regards,\nBo Smith\nCEO, Acme Ltd\n", "Yes we can."),
        ("Ja, gern.\n\nMit freundlichen Grüßen\nBo Schmid\n", "Ja, gern."),
        ("Oui.\n\nCordialement,\nBo\n", "Oui."),
        ("Sí.\n\nUn saludo\nBo\n", "Sí."),
        ("Yes\n\nSent from my Galaxy\n", "Yes"),
        (f"Ja\n\nVon meinem iPhone gesendet\n\n> {_WROTE}> \n> Hi Bo\n", "Ja"),
        (f"Yes\n\nGet Outlook for iOS<https://aka.ms/x>\n{'_' * 32}\n{_HEAD}", "Yes"),
        (f"FYI\n\n---------- Forwarded message ---------\n{_HEAD}", "FYI"),
    ],
)
def test_a_signature_is_left_out(text: str, own: str) -> None:
    assert _own_words(text) == own


@pytest.mark.parametrize(
    "text",
    [
        "We have two questions:\n--\nfirst\n--\nsecond",
        "Thanks,\nthat's fine but we must cancel.",
        "Regards the renewal: we cancel.\nPlease confirm.",
        "No.\nCheers to the team, but we sent it from our system\nyesterday.",
        "Best regards,\nBo",
        "Our form asks:\nFrom: which date?\nTo: which date?\nPlease answer.",
        "Our margin must be\n> 5 percent\notherwise no.",
        "word " * 300 + "end",
    ],
)
def test_words_of_the_author_stay(text: str) -> None:
    assert _own_words(text) == text.strip()


def test_answers_among_what_they_answer_are_all_kept() -> None:
    among = "> Shall we renew?\nYes.\n> On which day?\nTuesday.\n"
    assert _own_words(among).split() == ["Yes.", "Tuesday."]
    assert _own_words(_WROTE + among).split() == ["Yes.", "Tuesday."]
    assert _own_words(f"See below.\n\n{_WROTE}{among}").split() == [
        *("See", "below."),
        *("Yes.", "Tuesday."),
    ]


def test_a_quote_alone_is_no_reply() -> None:
    assert _own_words("> Hi Bo\n> your renewal\n") == ""


def test_what_nobody_sees_is_not_what_they_wrote() -> None:
    assert _own_words('<p style="display: none">Summary</p><p>Yes</p>', "html") == "Yes"


@pytest.mark.parametrize(
    "text",
    [
        *("On " * 3_000, "Le " * 2_700, "> " * 4_000, "\nBest regards," * 600),
        "Licences" + " " * 40 + "12\nSeats\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t7",
        ("Yes" + " " * 500 + "no\n") * 15,
        "Yes.\n\n" + ("\n" + "-" * 40) * 100 + "\nno",
        "Yes.\nBest regards" + " " * 7_000 + "Bo?",
        "Yes." + " \t\n" * 2_000 + "no",
    ],
    ids=range(9),
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    _own_words(text)
    assert time.process_time() - began < 1
