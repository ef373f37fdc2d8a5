from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from crmsync.config.settings import Company
from crmsync.templating.records import Record
from crmsync.templating.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MakeTemplates = "Callable[[dict[str, str]], Templates]"


@pytest.fixture
def make_templates(tmp_path: Path) -> Callable[[dict[str, str]], Templates]:
    def make(files: dict[str, str]) -> Templates:
        folder = tmp_path / "templates"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        company = Company(name="Acme", email="hello@acme.example", time_zone="Europe/Zurich")
        return Templates(folder, {"shout": str.upper}, company, shown_as="templates")

    return make


@pytest.fixture
def context() -> dict[str, object]:
    owner = Record("user", {"id": "crm:u1", "name": "Ann Meier", "email": "ann@acme.example"})
    account = Record(
        "account",
        {
            "id": "crm:a1",
            "name": "Müller & Söhne",
            "owner": "crm:u1",
            "industry": None,
            "renewal_date": date(2026, 3, 13),
            "recurring_revenue": Decimal("12500.0000"),
            "currency": "EUR",
        },
        {"owner": lambda: owner, "parent": lambda: None},
    )
    contact = Record(
        "contact", {"id": "crm:c1", "first_name": "Zoë", "last_name": "Roth", "name": "Zoë Roth"}
    )
    return {
        "account": account,
        "contact": contact,
        "owner": owner,
        "sender": owner,
        "today": date(2026, 3, 1),
        "now": datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
        "rule": "renewal-at-risk",
    }
