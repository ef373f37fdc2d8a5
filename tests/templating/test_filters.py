from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import InvalidInputError
from crmsync.templating.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.templating.templates import Templates

    Make = Callable[[dict[str, str]], Templates]

# Midnight has passed in Tokyo and in Zurich, not yet in London.
NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def person(**fields: object) -> Record:
    return Record("contact", {"first_name": None, "last_name": None, "locale": None} | fields)


@pytest.fixture
def write(make_templates: Make) -> Callable[..., str]:
    templates = make_templates({})

    def write(expression: str, *, locale: str = "en_GB", zone: str = "UTC", **values: Any) -> str:
        known = {"now": NOW, "today": date(2026, 3, 1), **values}
        return templates.inline(f"{{{{ {expression} }}}}", known, locale, zone)

    return write


@pytest.mark.parametrize(
    ("expression", "locale", "zone", "written"),
    [
        ("day | date", "en_US", "UTC", "Mar 3, 2026"),
        ("day | date", "de_CH", "UTC", "03.03.2026"),
        ("day | date('short')", "en_GB", "UTC", "03/03/2026"),
        ("day | date('long')", "de_DE", "UTC", "3. März 2026"),
        ("day | date('full')", "fr_FR", "UTC", "mardi 3 mars 2026"),
        ("day | date('day')", "en_US", "UTC", "March 3"),
        ("day | date('day')", "de_DE", "UTC", "3. März"),
        ("day | date('MMM y')", "en_GB", "UTC", "Mar 2026"),
        ("day | date('long')", "ja_JP", "UTC", "2026年3月3日"),
        ("now | date", "en_GB", "Europe/London", "1 Mar 2026"),
        ("now | date", "en_GB", "Asia/Tokyo", "2 Mar 2026"),
        ("now | date", "en_GB", "Nowhere/Atall", "2 Mar 2026"),  # the company's, in Zurich
        ("now | datetime", "de_DE", "Europe/Berlin", "02.03.2026, 00:30"),
        ("now | datetime('long')", "en_GB", "Europe/London", "1 March 2026, 23:30"),
        ("now | datetime('HH:mm')", "en_GB", "Asia/Kolkata", "05:00"),
        ("day", "en_GB", "UTC", "3 Mar 2026"),
        ("now", "de_DE", "Asia/Tokyo", "02.03.2026, 08:30"),
    ],
)
def test_dates(
    write: Callable[..., str], expression: str, locale: str, zone: str, written: str
) -> None:
    assert write(expression, locale=locale, zone=zone, day=date(2026, 3, 3)) == written


@pytest.mark.parametrize(
    ("value", "locale", "written"),
    [
        (date(2026, 3, 13), "en_GB", "in 12 days"),
        (date(2026, 3, 2), "en_GB", "in 1 day"),
        (date(2026, 3, 1), "en_GB", "today"),
        (date(2026, 3, 1), "de_DE", "heute"),
        (date(2026, 3, 1), "uk_UA", "через 0 днів"),
        (date(2026, 2, 26), "en_GB", "3 days ago"),
        (date(2027, 3, 1), "de_DE", "in 365 Tagen"),
        (datetime(2026, 3, 3, 1, tzinfo=UTC), "en_GB", "in 2 days"),
        (timedelta(days=5), "en_GB", "in 5 days"),
        (-4, "en_GB", "4 days ago"),
    ],
)
def test_days(write: Callable[..., str], value: object, locale: str, written: str) -> None:
    assert write("value | days", locale=locale, value=value) == written


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "written"),
    [
        (Decimal("12500.0000"), "EUR", "en_GB", "€12,500"),
        (Decimal("12500.5000"), "EUR", "en_GB", "€12,500.50"),
        (Decimal("12500.5000"), "EUR", "de_DE", "12.500,50\xa0€"),
        (Decimal("12500.5000"), "CHF", "de_CH", "CHF\xa012’500.50"),
        (Decimal(1500000), "JPY", "en_US", "¥1,500,000"),
        (Decimal(-3), "usd", "en_US", "-$3"),
        (0, "USD", "en_US", "$0"),
    ],
)
def test_money(
    write: Callable[..., str], amount: object, currency: str, locale: str, written: str
) -> None:
    assert write("a | money(c)", locale=locale, a=amount, c=currency) == written


@pytest.mark.parametrize(
    ("expression", "locale", "written"),
    [
        ("1234567 | number", "en_GB", "1,234,567"),
        ("1234567 | number", "de_DE", "1.234.567"),
        ("2.5 | number", "de_DE", "2,5"),
        ("2.5 | number(2)", "en_GB", "2.50"),
        ("0.256 | percent", "en_GB", "26%"),
        ("0.256 | percent(1)", "de_DE", "25,6\xa0%"),
        ('1 | plural("open ticket", "open tickets")', "en_GB", "1 open ticket"),
        ('1200 | plural("ticket", "tickets")', "en_GB", "1,200 tickets"),
        ('0 | plural("ticket", "tickets")', "en_GB", "0 tickets"),
        ('0 | plural("ticket", "tickets", zero="no tickets")', "en_GB", "no tickets"),
        ('3 | plural("день", "дня", few="дня", many="дней")', "ru_RU", "3 дня"),
        ('5 | plural("день", "дня", few="дня", many="дней")', "ru_RU", "5 дней"),
        ('"x" | shout', "en_GB", "X"),
    ],
)
def test_numbers(write: Callable[..., str], expression: str, locale: str, written: str) -> None:
    assert write(expression, locale=locale) == written


@pytest.mark.parametrize(
    ("who", "locale", "written"),
    [
        (person(first_name="Zoë", last_name="Roth"), "en_GB", "Zoë Roth"),
        (person(first_name="Ádám", last_name="Nagy"), "hu_HU", "Nagy Ádám"),
        (person(first_name="Ádám", last_name="Nagy", locale="hu_HU"), "en_GB", "Nagy Ádám"),
        (person(first_name="Zoë", last_name="Roth", locale="de"), "hu_HU", "Zoë Roth"),
        (person(first_name="美咲", last_name="佐藤"), "en_GB", "佐藤美咲"),
        (person(first_name="민준", last_name="김"), "en_GB", "김민준"),
        (person(first_name="Misaki", last_name="Sato"), "ja_JP", "Sato Misaki"),
        (person(first_name="Zoë", last_name=" "), "en_GB", "Zoë"),
        (person(last_name="Roth"), "en_GB", "Roth"),
        (person(last_name="Roth", name="Z. Roth"), "en_GB", "Z. Roth"),
        (Record("user", {"name": "Ann Meier"}), "en_GB", "Ann Meier"),
    ],
)
def test_names(write: Callable[..., str], who: Record, locale: str, written: str) -> None:
    assert write("who | name", locale=locale, who=who) == written


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("nothing | date", "nothing is empty"),
        ("who.email | date", "who.email is empty"),
        ("who.email | money('EUR')", "who.email is empty"),
        ("3 | money(who.email)", "who.email is empty"),
        ("3 | money", "“| money” needs a currency"),
        ("3 | money('Euro')", "“Euro” is not a currency code"),
        ("'x' | money('EUR')", "“| money” needs a number, and was given “x”"),
        ("true | number", "“| number” needs a number"),
        ("(1e300 * 1e300) | number", "“| number” cannot write inf"),
        ("3 | date", "“| date” needs a date, and was given “3”"),
        ("naive | datetime", "was given a time without a zone"),
        ("day | datetime", "“| datetime” needs an instant"),
        ("day | date('medum')", "has no style “medum”; did you mean “medium”?"),
        ("who | name", "who has no name"),
        ("'x' | name", "“| name” needs a person"),
        ("missing | name", "“missing” is not known here"),
        ("who", "who is a whole record"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(
    write: Callable[..., str], expression: str, sentence: str
) -> None:
    values = {
        "nothing": None,
        "who": person(email=None),
        "naive": datetime(2026, 1, 1),  # noqa: DTZ001  that is the point
        "day": date(2026, 1, 1),
    }
    with pytest.raises(InvalidInputError) as caught:
        write(expression, **values)
    assert sentence in str(caught.value)


def test_the_builtin_filters_cannot_be_replaced(make_templates: Make) -> None:
    assert make_templates({}).inline("{{ 'a' | shout }}", {}, None, None) == "A"
