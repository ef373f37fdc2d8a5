from __future__ import annotations

from datetime import date

import pytest

from crmsync_email.incoming.away import back_on
from crmsync_email.incoming.parts import parsed

_ARRIVED = date(2026, 11, 22)

_SAID = {
    "I am away until 5 January. Best, Ann": date(2027, 1, 6),
    "Back on Monday, December 7th, 2026": date(2026, 12, 7),
    "I will return on December 1st 2026.": date(2026, 12, 1),
    "returning to the office on 2026-12-01": date(2026, 12, 1),
    "through Wed 25 Nov and back on 26 Nov": date(2026, 11, 26),
    "away until 12/25": date(2026, 12, 26),
    "Ich bin bis zum 04.12.2026 nicht im Büro": date(2026, 12, 5),
    "bis einschließlich 30.11.": date(2026, 12, 1),
    "Ich bin ab dem 7. Dezember wieder erreichbar": date(2026, 12, 7),
    "Am Montag, dem 30.11. bin ich wieder da": date(2026, 11, 30),
    "Je suis absent jusqu'au 2 décembre 2026 inclus": date(2026, 12, 3),
    "Estaré de vacaciones hasta el 15 de diciembre": date(2026, 12, 16),
}


@pytest.mark.parametrize("words", _SAID)
def test_the_day_that_is_said(words: str) -> None:
    mail = parsed(f"Content-Type: text/plain; charset=utf-8\n\n{words}".encode())
    assert back_on(mail, arrived=_ARRIVED) == _SAID[words]


@pytest.mark.parametrize(
    "words",
    [
        "I am away.",
        "Out until 03/04/2027",  # March or April
        "I was back on 3 January 2020",
        "until 31 February",
        "away until further notice. Call 030 12.11.2026",
        "Our contract of 5 January 2027 stands.",
        "until 5 January 2036",
    ],
)
def test_never_a_guess(words: str) -> None:
    assert back_on(parsed(f"\n{words}".encode()), arrived=_ARRIVED) is None
