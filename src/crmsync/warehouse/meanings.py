"""Since when a field of a stream has meant what it means: a new mapping is no change of a record.

Where a mapping is given to a field, taken from it, or made another, the next read finds other
values, and no customer has changed. What was kept of the field before says nothing about it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def meanings_anew(
    before: str | None, fields: Mapping[str, str], now: datetime, *, first: bool
) -> str:
    """What is kept of a stream whose mapping is new.

    Args:
        before: what was kept so far.
        fields: digests of the mapping of each field.
        first: the stream was never read.
    """
    kept = json.loads(before) if before else {}
    found = {}
    for name in {**kept, **fields}:
        digest, since = kept.get(name, ("", None))
        own = fields.get(name, "")
        if digest != own and not first:
            since = now.isoformat()
        found[name] = (own, since)
    return json.dumps(found, sort_keys=True)


def since_when(kept: str | None, field: str) -> datetime | None:
    """Since when a field means what it means; None where it always has."""
    _, since = json.loads(kept).get(field, ("", None)) if kept else ("", None)
    return None if since is None else datetime.fromisoformat(since)
