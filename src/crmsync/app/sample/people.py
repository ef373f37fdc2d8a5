"""The people of the sample: colleagues, and contacts at customers."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmsync.app.sample.dice import Dice
    from crmsync.app.sample.names import Place

Row = dict[str, object]

MAIL_DOMAIN = "brightwater.example"
_USERS = (
    ("U-01", "Marta Lindqvist", "", "Europe/Zurich", "yes"),
    ("U-02", "Daniel Osei", "", "America/New_York", "yes"),
    ("U-03", "Ingrid Solberg", "U-01", "Europe/Zurich", "yes"),
    ("U-04", "Tomás Herrera", "U-01", "Europe/Madrid", "yes"),
    ("U-05", "Yuki Nakamura", "U-01", "Asia/Tokyo", "yes"),
    ("U-06", "Aisha Rahman", "U-02", "Europe/London", "yes"),
    ("U-07", "Ben Carver", "U-02", "America/Los_Angeles", "yes"),
    ("U-08", "Claire Fournier", "U-02", "Europe/Paris", "yes"),
    ("U-09", "Stefan Brunner", "U-01", "Europe/Zurich", "no"),
    ("U-10", "Lena Fischer", "U-01", "Europe/Zurich", "yes"),
    ("U-11", "Samuel Adeyemi", "U-02", "Europe/London", "yes"),
)
# Whose part of the world it is, by the beginning of the time zone.
OWNERS = {
    "America": ("U-06", "U-07"),
    "Asia": ("U-05",),
    "Atlantic": ("U-04",),
    "Australia": ("U-05",),
    "Europe": ("U-03", "U-03", "U-04", "U-06", "U-08"),
}
WHO_LEFT = "U-09"
SUPPORT = ("U-10", "U-11")
TEAMS = {"success": ("U-01", "U-02"), "support": SUPPORT}


def mailbox(name: str) -> str:
    """A colleague's address."""
    return f"{_plain(name)}@{MAIL_DOMAIN}"


def user_rows() -> list[Row]:
    """The colleagues."""
    return [
        {
            "id": user_id,
            "name": name,
            "email": mailbox(name),
            "manager_id": manager,
            "time_zone": zone,
            "active": active,
        }
        for user_id, name, manager, zone, active in _USERS
    ]


def team_mailboxes(team: str) -> list[str]:
    """The addresses of a team's members."""
    names = {user[0]: user[1] for user in _USERS}
    return [mailbox(names[member]) for member in TEAMS[team]]


@dataclass(frozen=True, kw_only=True)
class Person:
    """A name: its parts, as it is written in full, and how it is spelt in an e-mail address."""

    given: str
    family: str
    full: str
    mail_name: str


def draw_person(place: Place, dice: Dice) -> Person:
    """Somebody from a country."""
    given, given_plain = _both(dice.one_of(place.given))
    family, family_plain = _both(dice.one_of(place.family))
    full = place.full_name.format(given=given, family=family)
    mail_name = f"{given_plain}.{family_plain}"
    return Person(given=given, family=family, full=full, mail_name=mail_name)


def draw_company(place: Place, dice: Dice) -> tuple[str, str]:
    """A company's name, and its domain."""
    stem, plain = _both(dice.one_of(place.companies))
    form = dice.one_of(place.forms)
    latin = [_plain(word).replace(".", "") for word in form.replace("{}", " ").split()]
    word = next((word for word in latin if len(word) > 4), "group")  # noqa: PLR2004  a real word
    return form.format(stem), f"{plain}-{word}.example"


def _both(text: str) -> tuple[str, str]:
    """A name as it is written, and in plain letters."""
    written, _, plain = text.partition("|")
    return written, plain or _plain(written)


def _plain(text: str) -> str:
    text = text.lower().replace("ß", "ss").replace(" ", ".")
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if c.isascii() and (c.isalnum() or c == "."))
