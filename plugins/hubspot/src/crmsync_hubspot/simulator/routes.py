"""Which API a path belongs to, whatever its version."""

from __future__ import annotations

from urllib.parse import unquote

# The date-based version that answers as the older ones do; later ones are others.
_DATED = "2026-03"
_VERSIONED = {
    ("crm", "v3"): {"objects", "properties", "pipelines", "owners"},
    ("crm", "v4"): {"associations", "objects"},
}


def route_of(path: str) -> tuple[str, ...]:
    """What is asked for: the API's name, and what follows its version; empty for none.

    The APIs with a date for a version have it behind their name, the older ones before it.
    The associations of one record are ``links``, and those of many ``associations``.
    """
    parts = tuple(unquote(part) for part in path.split("/") if part)
    head = parts[:2]
    if head in _VERSIONED and parts[2:3] and parts[2] in _VERSIONED[head]:
        found = parts[2:]
        single = head == ("crm", "v4") and parts[2] == "objects"
        return _single(found) if single else found
    if head == ("crm", "associations") and parts[2:3] == ("v4",):
        return ("associations", *parts[3:])
    if parts[:1] == ("crm",) and len(parts) > 2 and parts[2] == _DATED:  # noqa: PLR2004  a place
        found = (parts[1], *parts[3:])
        return _single(found) if parts[1] == "objects" and "associations" in parts[4:] else found
    known = parts[1:2] in {("v3",), (_DATED,)}
    if parts[:1] == ("crm-object-schemas",) and known and parts[2:3] == ("schemas",):
        return parts[2:]
    if parts[:1] == ("account-info",) and known:
        return ("account", *parts[2:])
    if parts[:1] == ("communication-preferences",) and parts[1:2] in {("v4",), (_DATED,)}:
        return ("preferences", *parts[2:])
    if parts[:1] == ("oauth",) and known:
        return ("oauth", *parts[2:])
    return ()


def _single(found: tuple[str, ...]) -> tuple[str, ...]:
    if len(found) > 3 and found[3] == "associations":  # noqa: PLR2004  a place
        return ("links", *found[1:])
    return ()
