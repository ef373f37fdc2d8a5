"""The facts that come with crmsync; they enter by the same hook as anybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.facts.calendar import calendar_facts
from crmsync.facts.commerce import commerce_facts
from crmsync.facts.contact import contact_facts
from crmsync.facts.mail import mail_facts
from crmsync.facts.service import service_facts
from crmsync.facts.usage import usage_facts
from crmsync.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.plugins.contract import Fact


@hookimpl
def crmsync_facts() -> Sequence[Fact]:
    """All of them."""
    return (
        *contact_facts(),
        *mail_facts(),
        *service_facts(),
        *commerce_facts(),
        *usage_facts(),
        *calendar_facts(),
    )
