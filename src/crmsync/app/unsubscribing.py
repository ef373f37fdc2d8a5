"""What check says of the ways out of commercial mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.opting_out import opt_out_field
from crmsync.errors import AuthError, InvalidInputError
from crmsync.rules.language import EmailStep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.app.workspace import Workspace
    from crmsync.rules.language import Recipient, Rule
    from crmsync.rules.reading.load import RuleSet

_CUSTOMER = "contact"


def check_links(workspace: Workspace) -> list[str]:
    """Whether the secrets of the links are there, and long enough."""
    try:
        workspace.unsubscribe_links  # noqa: B018  making them asks for the secrets
    except AuthError as error:
        place = workspace.installation.document.key_place(("unsubscribe", "secret"))
        return [f"{place}: {error}"]
    return []


def doubts_about_unsubscribing(workspace: Workspace, rules: RuleSet) -> Iterator[str]:
    """Commercial mail without a link, and links whose use no CRM would be told of."""
    sending = [rule.name for rule in rules.rules if _sends_commercial_mail(workspace, rule)]
    document, settings = workspace.installation.document, workspace.installation.settings
    if not sending:
        return
    if settings.unsubscribe is None:
        named = ", ".join(f"“{name}”" for name in sending[:3])
        more = f" and {len(sending) - 3} more" if len(sending) > 3 else ""  # noqa: PLR2004  as above
        verb = "sends" if len(sending) == 1 else "send"
        yield (
            f"{document.file}: {named}{more} {verb} commercial mail, and without “public” and "
            "“unsubscribe” it has no link by which customers can unsubscribe at once, as large "
            "mailbox providers ask; docs/unsubscribe.md tells how"
        )
        return
    for name, connection in settings.connections.items():
        tables = {stream.table for stream in connection.streams.values()}
        if _CUSTOMER in tables and opt_out_field(workspace, name) is None:
            yield (
                f"{document.key_place(('connections', name))}: who unsubscribes by a link gets no "
                "more commercial mail from here, but the CRM is not told: no column of its own "
                "stands behind contact.unsubscribed, or nothing can be written there"
            )


def _sends_commercial_mail(workspace: Workspace, rule: Rule) -> bool:
    """Whether a customer may get mail of it that is not plainly service."""
    for step in rule.then:
        if not isinstance(step, EmailStep) or step.email_class == "service":
            continue
        if not _reaches_customers(workspace, rule.subject, step.to):
            continue
        if step.email_class is None and _class_of(workspace, step.template) == "service":
            continue
        return True
    return False


def _reaches_customers(workspace: Workspace, subject: str, to: Recipient | None) -> bool:
    if to is None:
        return False
    table = subject
    for name in (to.path or "").split("."):
        relation = workspace.catalog.relation(table, name)
        table = table if relation is None else relation.target
    by_role = to.role is not None or to.path == "primary_contact"
    return by_role or table == _CUSTOMER or _reaches_customers(workspace, subject, to.otherwise)


def _class_of(workspace: Workspace, template: str) -> str | None:
    try:
        return workspace.templates.email_class(template)
    except InvalidInputError:
        return None  # what is wrong with it is told elsewhere
