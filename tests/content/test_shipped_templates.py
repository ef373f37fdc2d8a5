from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.shipped import shipped
from crmsync.config.settings import Company
from crmsync.facts.builtin import crmsync_facts
from crmsync.model.catalog import Catalog
from crmsync.model.tables import CANONICAL_TABLES
from crmsync.rules.language import EmailStep, NoteStep, TaskStep
from crmsync.rules.reading.load import load_rules
from crmsync.templating.records import Record
from crmsync.templating.templates import RenderedEmail, Skip, Templates
from crmsync_email.sending.message import inlined
from support.browser import browser, measured

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from crmsync.rules.language import Rule

COMPANY = Company(
    name="Brightwater",
    email="hello@brightwater.example",
    time_zone="Europe/Zurich",
    locale="en_GB",
    postal_address="Brightwater AG, Limmatquai 12, 8001 Zürich",
)
TEMPLATES = Templates(shipped("templates"), {}, COMPANY, shown_as="templates")
CATALOG = Catalog(tables=CANONICAL_TABLES, facts=tuple(fact.spec for fact in crmsync_facts()))
RULES = load_rules(
    shipped("rules"),
    shipped("segments"),
    CATALOG,
    ("success", "support"),
    shown_relative_to=shipped("rules").parent,
).rules
# What every text can name, beside the subject's own table.
VARIABLES = {
    "account": "account",
    "contact": "contact",
    "owner": "user",
    "today": None,
    "now": None,
    "rule": None,
}
LOCALES = ("en_US", "en_GB", "de_DE", "de_CH", "fr_FR", "ja_JP")


def context(**contact: object) -> dict[str, Any]:
    owner = Record("user", {"id": "crm:u1", "name": "Ingrid Solberg"})
    person: dict[str, object] = {"first_name": "Katrin", "last_name": "Schäfer", "locale": None}
    account = Record(
        "account",
        {
            "id": "crm:a1",
            "name": "Müller & Söhne GmbH",
            "customer_since": date(2023, 3, 12),
            "next_anniversary": date(2026, 3, 12),
            "renewal_date": date(2026, 4, 1),
            "recurring_revenue": Decimal("24000.0000"),
            "currency": "EUR",
            "days_since_start": 1093,
            "last_contact": datetime(2026, 2, 20, 9, tzinfo=UTC),
            "last_usage": date(2026, 3, 8),
            "open_tickets": 2,
            "active_users_30d": 7,
            "usage_30d": 1234,
            "usage_previous_30d": 800,
            "latest_nps": Decimal("9.0000"),
        },
        {"owner": lambda: owner},
    )
    return {
        "account": account,
        "contact": Record(
            "contact",
            person
            | {
                "email": "k@mueller.example",
                "last_reply": datetime(2026, 1, 9, 9, tzinfo=UTC),
                "bounced_at": datetime(2026, 3, 3, 9, tzinfo=UTC),
                "bounce_reason": "no such address",
            }
            | contact,
        ),
        "owner": owner,
        "sender": owner,
        "ticket": Record(
            "ticket",
            {
                "subject": "CSV export stops at <10,000> rows",
                "priority": "high",
                "opened_at": datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
            },
        ),
        "promise": Record(
            "promise",
            {"title": "Sandbox", "due": date(2026, 3, 20), "forecast": date(2026, 3, 27)},
        ),
        "today": date(2026, 3, 10),
        "now": datetime(2026, 3, 10, 12, tzinfo=UTC),
        "rule": Record("rule", {"name": "a-rule"}),
    }


def render(name: str, reader: str, **contact: object) -> RenderedEmail:
    mail = TEMPLATES.email(name, context(**contact), reader, "Europe/Berlin")
    assert isinstance(mail, RenderedEmail)
    return mail


class _Words(HTMLParser):
    """The words of an HTML part, and whether its tags are closed in order."""

    _void = frozenset({"meta", "br", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.text += "" if tag == "strong" else " "
        if tag not in self._void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "title" not in self.open:
            self.text += data


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", TEMPLATES.names())
def test_rendered(name: str, locale: str, snapshot: SnapshotAssertion) -> None:
    mail = render(name, locale)
    assert f"{mail.subject}\n[{mail.email_class}, {mail.locale}]\n\n{mail.text}" == snapshot


@pytest.mark.parametrize("locale", ["en_GB", "de_CH"])
@pytest.mark.parametrize("name", TEMPLATES.names())
def test_both_parts_say_the_same(name: str, locale: str) -> None:
    mail = render(name, locale)
    assert mail.html is not None
    page = _Words()
    page.feed(mail.html)
    assert page.open == []
    text = re.sub(r"^(--|\d+\.)(?=\s)", "", mail.text, flags=re.MULTILINE)
    assert page.text.split() == text.split()


def test_an_html_part(snapshot: SnapshotAssertion) -> None:
    assert render("support/still-on-it", "en_GB").html == snapshot
    assert render("renewal/check-in", "de_DE").html == snapshot


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", TEMPLATES.names())
def test_what_advertises_can_be_declined(name: str, locale: str) -> None:
    mail = render(name, locale)
    assert mail.html is not None
    for part in (mail.text, mail.html):
        word = "Abmelden" if mail.locale.startswith("de") else "unsubscribe"
        assert (word in part) == (mail.email_class == "commercial")
        assert (COMPANY.postal_address in part) == (mail.email_class == "commercial")


@pytest.mark.parametrize("locale", ["en_GB", "de_DE"])
@pytest.mark.parametrize("name", TEMPLATES.names())
def test_nobody_is_greeted_without_a_name(name: str, locale: str) -> None:
    nameless = context(first_name=None, last_name=" ")
    assert isinstance(TEMPLATES.email(name, nameless, locale, None), Skip)


def test_names_are_in_the_order_of_the_person() -> None:
    mail = render("renewal/check-in", "de_DE", first_name="Ádám", last_name="Nagy", locale="hu_HU")
    assert mail.text.startswith("Guten Tag Nagy Ádám,\n")


def test_nothing_is_misspelt_in_rules_and_templates() -> None:
    problems: list[str] = []
    used = set()
    for rule in RULES:
        variables = {**VARIABLES, rule.subject: rule.subject}
        for step in rule.then:
            if isinstance(step, EmailStep):
                used.add(step.template)
                names = {**variables, "sender": "user", "unsubscribe_url": None}
                problems += TEMPLATES.check([step.template], names, CATALOG)
    assert problems == []
    assert used == set(TEMPLATES.names()), "a template that no rule uses"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_tasks_and_notes_read_well(rule: Rule, snapshot: SnapshotAssertion) -> None:
    texts: list[str] = []
    variables = {**VARIABLES, rule.subject: rule.subject}
    for step in rule.then:
        if isinstance(step, TaskStep):
            texts += [step.subject, step.body]
        if isinstance(step, NoteStep):
            texts.append(step.text)
    known = context()
    rendered = [TEMPLATES.inline(text, known, "en_GB", "Europe/Zurich") for text in texts]
    assert "\n".join(rendered) == snapshot
    problems = [
        problem
        for text in texts
        for problem in TEMPLATES.check_inline(text, rule.place, variables, CATALOG)
    ]
    assert problems == []


@pytest.mark.parametrize("locale", ["en_GB", "de_DE"])
@pytest.mark.parametrize("name", TEMPLATES.names())
def test_what_advertises_bears_the_link_where_there_is_one(name: str, locale: str) -> None:
    link = "https://crm.example.com/unsubscribe/abc-DEF_1"
    mail = TEMPLATES.email(name, context() | {"unsubscribe_url": link}, locale, "Europe/Berlin")
    assert isinstance(mail, RenderedEmail)
    assert mail.html is not None
    commercial = mail.email_class == "commercial"
    assert (f"\n{link}\n" in mail.text) == commercial
    assert (f'<a href="{link}"' in mail.html) == commercial
    for part in (mail.text, mail.html):
        assert "“unsubscribe”" not in part
        assert "„Abmelden“" not in part


_READABLE, _SMALLEST = 4.5, 13  # contrast (WCAG 2, AA); pixels


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser_each_is_as_wide_as_the_window_and_can_be_read(
    tmp_path: Path, dark: bool
) -> None:
    """As the e-mail connector sends them, on a telephone and on a screen."""
    program = browser()
    if program is None:
        pytest.skip("there is no Chromium here, so no template was looked at in a browser")
    pages = {
        f"{name}.{locale}": inlined(str(render(name, locale).html))
        for name in TEMPLATES.names()
        for locale in ("en_GB", "de_DE")
    }
    told = measured(program, pages, tmp_path, widths=(320, 760), dark=dark)
    assert len(told) == 2 * len(pages)
    for name, page in told.items():
        assert page["beyond"] <= 0, f"{name} must be pushed sideways"
        assert page["contrast"] >= _READABLE, name
        assert page["size"] >= _SMALLEST, name
        assert page["words"] > 20, name
        assert (page["background"] < 0.2) == dark, name
