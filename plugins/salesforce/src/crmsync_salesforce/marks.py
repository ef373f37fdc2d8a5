"""Marks that find a task again, for orgs that have no field for keys.

A mark stands below a task's text, on a line of its own. No query can search in that text, so the
tasks that this connection's user has made in the last months are read, and their marks are compared
here.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

from simple_salesforce.format import format_soql

from crmsync_salesforce import soql

SOUGHT = timedelta(days=90)
_DIGITS = 32
_MARK = re.compile(rf"^\s*\[crmsync ([0-9a-f]{{{_DIGITS}}})\]\s*$", re.MULTILINE)


def mark(key: str) -> str:
    """The mark of an action's key; it tells nothing of the key."""
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGITS]


def marked(text: str, key: str) -> str:
    """A task's text with its mark."""
    line = f"[crmsync {mark(key)}]"
    return f"{text}\n\n{line}" if text else line


def mark_in(text: str | None) -> str | None:
    """The last line of a text that is a mark; None where none is. People write below it."""
    found: list[str] = _MARK.findall(text or "")
    return found[-1] if found else None


def made_by(user: str, *, now: datetime, name: str = "Task", text: str = "Description") -> str:
    """The query for the tasks, or else, that a user has made of late, also those deleted since."""
    where = format_soql(
        "WHERE CreatedById = {} AND CreatedDate >= {:literal}", user, soql.instant(now - SOUGHT)
    )
    return soql.everything(name, ("Id", text), where)


def marked_records(
    records: Iterable[dict[str, Any]], keys: Sequence[str], *, text: str = "Description"
) -> dict[str, str]:
    """The ids of those records that bear the mark of a key, by key."""
    sought = {mark(key): key for key in keys}
    found: dict[str, str] = {}
    for record in records:
        known = mark_in(record[text])
        if known in sought:
            found.setdefault(sought[known], str(record["Id"]))
    return found
