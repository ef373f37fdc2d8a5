"""Who does a task, who gets a mail, and who it is from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.config.settings import Company
    from crmsync.journeys.book import RecordBook
    from crmsync.rules.language import Recipient

    Row = Mapping[str, Any]

TEAM = "team."
_PRIMARY = "primary_contact"


class HeldError(Exception):
    """The step cannot be composed now; its text is the reason, one sentence."""


class LackingError(HeldError):
    """A value that the step requires is empty; its text says which."""


class NeedlessError(HeldError):
    """There is nothing to be done by the step; its text says why."""


def account_of(book: RecordBook, table: str, row: Row) -> Row | None:
    """The account that a record belongs to."""
    if table == "account":
        return row
    found = book.follow(table, row, "account")
    return None if found is None else found[1]


def is_active(user: Row) -> bool:
    """Only a user who is said to be inactive is: many exports do not say."""
    return user.get("active") is not False


def assignee(
    book: RecordBook, table: str, row: Row, paths: Sequence[str], teams: Mapping[str, list[str]]
) -> Row:
    """The first active user of the list.

    Raises:
        HeldError: there is none.
    """
    for path in paths:
        for user in _users(book, table, row, path, teams):
            if is_active(user):
                return user
    raise HeldError(f"no active user among: {', '.join(paths)}")


def _reach(book: RecordBook, table: str, row: Row, path: str) -> tuple[str, Row] | None:
    """The record at the end of a path; what the subject does not have is its account's.

    A ticket has no primary contact, so its account's is meant.
    A deal has an owner: where that is empty it stays empty, and nobody else steps in.
    """
    first = path.partition(".")[0]
    if first != table and book.catalog.relation(table, first) is None:
        account = account_of(book, table, row)
        return None if account is None else book.follow("account", account, path)
    return book.follow(table, row, path)


def _users(
    book: RecordBook, table: str, row: Row, path: str, teams: Mapping[str, list[str]]
) -> list[Row]:
    if path.startswith(TEAM):
        members = [name.casefold() for name in teams.get(path.removeprefix(TEAM), [])]
        users = book.rows.get("user", {}).values()
        # A colleague of another system has another id there, so only the subject's counts.
        found = [
            user
            for user in users
            if user["connection"] == row["connection"]
            and str(user.get("email") or "").casefold() in members
        ]
        return sorted(found, key=lambda user: members.index(str(user["email"]).casefold()))
    reached = _reach(book, table, row, path)
    return [] if reached is None or reached[0] != "user" else [reached[1]]


def recipient(book: RecordBook, table: str, row: Row, to: Recipient) -> tuple[str, Row]:
    """The contact, or the colleague, to whom a mail goes; with the table it is from.

    Raises:
        HeldError: there is none, and nobody is named by ``otherwise``.
    """
    found = _find(book, table, row, to)
    if isinstance(found, tuple):
        return found
    if to.otherwise is not None:
        return recipient(book, table, row, to.otherwise)
    raise HeldError(found)


def _find(book: RecordBook, table: str, row: Row, to: Recipient) -> tuple[str, Row] | str:
    """The record, or the reason why there is none."""
    account = account_of(book, table, row)
    if to.role is not None:
        wanted = to.role.casefold()
        contacts = book.contacts(None if account is None else account["id"])
        fitting = [c for c in contacts if str(c.get("role") or "").casefold() == wanted]
        if len(fitting) == 1:
            return "contact", fitting[0]
        return f"{len(fitting) or 'no'} contacts of the account have the role “{to.role}”"
    path = to.path or ""
    reached = _reach(book, table, row, path)
    whose, _, last = path.rpartition(".")
    if last == _PRIMARY:
        owner = _reach(book, table, row, whose) if whose else ("account", account)
        if owner is not None and owner[1] is not None:
            return _primary(book, owner[1], reached)
    return f"there is no {path}" if reached is None else reached


def _primary(
    book: RecordBook, account: Row, reached: tuple[str, Row] | None
) -> tuple[str, Row] | str:
    """The account's own primary contact, or the reason why there is none.

    A CRM goes on naming a person who has moved to another customer: what is this account's is not
    told to them.
    """
    if reached is not None:
        home = reached[1].get("account")
        if home in {None, account["id"]}:
            return reached
        other = book.row("account", home)
        where = home if other is None else f"{record_name(other)} ({home})"
        return f"its primary contact {record_name(reached[1])} belongs to another account, {where}"
    named = account.get(_PRIMARY)
    if named is not None:
        return f"its primary contact {named} is not among the contacts that were read"
    count = len(book.contacts(account["id"]))
    if count > 1:
        return f"the account has {count} contacts and none of them is marked as primary"
    return "the account has no contact"


def address(row: Row) -> str:
    """``Name <mailbox>`` of a contact or a colleague.

    Raises:
        HeldError: no e-mail address is known.
    """
    mailbox = str(row.get("email") or "").strip()
    if "@" not in mailbox:
        who = display_name(row) or row["id"]
        if mailbox:
            raise HeldError(f"“{mailbox}” of {who} is no e-mail address; mend it in the CRM")
        raise HeldError(f"no e-mail address is known of {who}")
    # Encoding is the transport's work: here the name stays as people read it.
    name = re.sub(r'(["\\])', r"\\\1", display_name(row))
    return f'"{name}" <{mailbox}>' if name else mailbox


def display_name(row: Row) -> str:
    """The whole name in one line, as the CRM shows it or put together."""
    parts = ["name"] if row.get("name") else ["first_name", "last_name"]
    return " ".join(word for part in parts for word in str(row.get(part) or "").split())


def sender(book: RecordBook, table: str, row: Row, path: str, company: Company) -> tuple[str, Row]:
    """The From address, and the colleague behind it as a row.

    Raises:
        HeldError: there is no active colleague at the end of the path.
    """
    us = {"id": "company", "name": company.name, "email": company.email}
    if path == "company":
        return address(us), us
    try:
        user = assignee(book, table, row, (path,), {})
    except HeldError:
        raise HeldError(f"there is no active {path} in whose name it could be sent") from None
    return address(user), user


def record_name(row: Row) -> str:
    """What a person would call a record, in one line: its name, subject or title, else its id."""
    titled = " ".join(str(row.get("subject") or row.get("title") or "").split())
    return display_name(row) or titled or str(row["id"])
