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
    "I am out of the office from 23 November to 4 December 2026.": date(2026, 12, 5),
    "I'll be away between 23/11/2026 and 27/11/2026": date(2026, 11, 28),
    "Out of office Nov 23 - Dec 4": date(2026, 12, 5),
    "I am on leave from Mon 23 to Fri 27 November, and travelling then": date(2026, 11, 28),
    "Je suis absente du 23 novembre au 4 décembre 2026": date(2026, 12, 5),
    "Ich bin bis 4.12 im Urlaub": date(2026, 12, 5),
    "Jestem na urlopie do 4 grudnia": date(2026, 12, 5),
    "Wracam 7 grudnia.": date(2026, 12, 7),
    "Jsem mimo kancelář do 4. prosince": date(2026, 12, 5),
    "Olen lomalla 4.12.2026 asti": date(2026, 12, 5),
    "Voltarei no dia 7 de dezembro": date(2026, 12, 7),
    "Ik ben weer vanaf 7 december op kantoor": date(2026, 12, 7),
    "12月4日まで休暇をいただいております": date(2026, 12, 5),
    "我在休假，直到2026年12月7日为止": date(2026, 12, 8),
    "I am travelling until 2026/12/04": date(2026, 12, 5),
    "I am away until Friday, 27 November. Back on Monday 30 November.": date(2026, 11, 30),
    "I'm on vacation until 27 November 2026. Our sale runs until 31 March 2027.": date(
        2026, 11, 28
    ),
    "I'm away until 4 December. My colleague is there until 23 December.": date(2026, 12, 5),
    "I am away until 5 January.\n\n> Your contract renews on 1 February, until then": date(
        2027, 1, 6
    ),
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
        # Somebody has forgotten to switch it off.
        "I am out of the office until 20 November.",
        "Ich bin bis 20.11. im Urlaub.",
        "I am away until 23 August.",
        "I was away until 12 November; I will be back on 22 November",
        "I was out until 20 November. Our spring sale runs until 31 March 2027.",
        "I'm out of office. The offer for attendees is valid until 31 December 2026!",
        "Ich bin unterwegs und ab 16.30 Uhr wieder da.",
        "We answer in 2-4 days. We have shipped 12 to 5 December addresses.",
    ],
)
def test_never_a_guess(words: str) -> None:
    assert back_on(parsed(f"\n{words}".encode()), arrived=_ARRIVED) is None
