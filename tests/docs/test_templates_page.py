"""What docs/templates.md shows is what comes out."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crmsync.config.settings import Company
from crmsync.templating.filters import BUILTIN_FILTERS
from crmsync.templating.records import Record
from crmsync.templating.templates import RenderedEmail, Templates

PAGE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
COMPANY = Company(name="Brightwater", email="hello@brightwater.example", locale="en_GB")
ROWS = re.findall(r"^\| `(.+?)` \| (\w\w_\w\w) \| (.+?) \|$", PAGE, flags=re.MULTILINE)


def context() -> dict[str, Any]:
    owner = Record("user", {"name": "Ingrid Solberg"})
    account = {
        "renewal_date": date(2026, 4, 1),
        "recurring_revenue": Decimal("24000.0000"),
        "currency": "EUR",
        "open_tickets": 2,
        "usage_30d": 1234,
    }
    return {
        "account": Record("account", account, {"owner": lambda: owner}),
        "contact": Record("contact", {"first_name": "Katrin", "last_name": "Schäfer"}),
        "sender": owner,
        "today": date(2026, 3, 10),
        "now": datetime(2026, 3, 10, 12, tzinfo=UTC),
    }


def test_the_template(tmp_path: Path) -> None:
    source = re.search(r"```jinja\n(.*?)```", PAGE, flags=re.DOTALL)
    shown = re.search(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    assert source is not None
    assert shown is not None
    (tmp_path / "t.txt").write_text(source[1], encoding="utf-8")
    mail = Templates(tmp_path, {}, COMPANY).email("t", context(), "en_GB", "Europe/Zurich")
    assert isinstance(mail, RenderedEmail)
    assert f"{mail.subject}\n\n{mail.text}" == shown[1]


@pytest.mark.parametrize(("expression", "locale", "written"), ROWS)
def test_a_filter(tmp_path: Path, expression: str, locale: str, written: str) -> None:
    text = "{{ " + expression.replace(r"\|", "|") + " }}"
    found = Templates(tmp_path, {}, COMPANY).inline(text, context(), locale, "Europe/Zurich")
    assert found.replace("\xa0", " ") == written


def test_every_filter_is_shown() -> None:
    shown = {match for row in ROWS for match in re.findall(r"\| (\w+)", row[0])}
    assert shown == set(BUILTIN_FILTERS)
