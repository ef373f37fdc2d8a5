"""The search API: what it refuses, and what it finds."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from crmsync_hubspot.simulator.bodies import maybe_text
from crmsync_hubspot.simulator.errors import PortalError, bad_json
from crmsync_hubspot.simulator.values import instant_of, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from crmsync_hubspot.simulator.definitions import ObjectType, Property
    from crmsync_hubspot.simulator.portal import Portal
    from crmsync_hubspot.simulator.records import Record

MOST_ROWS, WINDOW = 200, 10_000
_GROUPS, _FILTERS, _ALL_FILTERS = 5, 6, 18
# Characters of a search's body; the documentation means the query by it, too.
LONGEST = 3000
_ONE = frozenset({"EQ", "NEQ", "LT", "LTE", "GT", "GTE", "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"})
_MANY = frozenset({"IN", "NOT_IN"})
_NONE = frozenset({"HAS_PROPERTY", "NOT_HAS_PROPERTY"})
# Fewer than these are looked through one by one.
_FEW = 1000
_EVER = (-(2**62), 2**62)
_WORDS = re.compile(r"[^\s,;:/@]+")

Value = str | float | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search answers with.

    Attributes:
        after: where the next page begins; None on the last one.
    """

    total: int
    records: list[Record]
    properties: list[str]
    after: int | None


def searched(portal: Portal, kind: ObjectType, body: Mapping[str, Any], size: int) -> Found:
    """Answer a search.

    Raises:
        PortalError: it is refused.
    """
    limit = _number(body, "limit", 10)
    if not 0 <= limit <= MOST_ROWS:
        raise _problem(f"limit must be between 0 and {MOST_ROWS}, it was {limit}")
    after = _after(body)
    if after + limit > WINDOW:
        raise _problem(
            f"The search window is limited to {WINDOW} results: after {after} and limit {limit} "
            "lead beyond it"
        )
    groups = [_group(portal, kind, one) for one in _checked_groups(body)]
    query = _query(kind, portal, body)
    order = _order(portal, kind, _list(body, "sorts"))
    matches = [
        one
        for one in _candidates(portal, kind, groups)
        if query(one) and (not groups or any(group.holds(one) for group in groups))
    ]
    order(matches)
    limit = min(limit, size)
    page = matches[after : after + limit]
    following = after + len(page)
    more = following < len(matches) and bool(page)
    return Found(
        total=len(matches),
        records=page,
        properties=_texts(body, "properties"),
        after=following if more else None,
    )


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Conditions that hold together, and what they say of the id and of the last change."""

    tests: list[Callable[[Record], bool]]
    changed: tuple[int, int]
    ids: tuple[int, int]
    chosen: frozenset[int] | None

    def holds(self, one: Record) -> bool:
        return all(test(one) for test in self.tests)


def _candidates(portal: Portal, kind: ObjectType, groups: list[_Group]) -> Iterable[Record]:
    """The records that may match, as the index knows them; by their ids."""
    table, now = portal.tables[kind.name], portal.now()
    ids: set[int] = set()
    for group in groups:
        if group.chosen is not None:
            ids |= group.chosen
            continue
        within: Collection[int] = table.ids_between(*group.ids)
        if group.changed != _EVER and len(within) > _FEW:
            changed = table.changed_between(*group.changed)
            within = changed if len(changed) < len(within) else within
        ids.update(within)
    if not groups:
        ids.update(table.ids_between(*_EVER))
    for record_id in sorted(ids):
        one = table.seen(record_id, now)
        if one is not None and one.archived is None:
            yield one


def _checked_groups(body: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    groups = _list(body, "filterGroups")
    if len(groups) > _GROUPS:
        raise _problem(f"Too many filter groups: {len(groups)}, at most {_GROUPS} are supported")
    found = []
    for group in groups:
        filters = group.get("filters") if isinstance(group, dict) else None
        if not isinstance(filters, list) or not all(isinstance(one, dict) for one in filters):
            raise bad_json("filters of a filter group must be a list of objects")
        if len(filters) > _FILTERS:
            raise _problem(
                f"Too many filters in a group: {len(filters)}, at most {_FILTERS} are supported"
            )
        found.append(filters)
    if sum(map(len, found)) > _ALL_FILTERS:
        raise _problem(
            f"Too many filters: {sum(map(len, found))}, at most {_ALL_FILTERS} are supported"
        )
    return found


def _group(portal: Portal, kind: ObjectType, filters: list[dict[str, Any]]) -> _Group:
    changed, ids = _EVER, _EVER
    chosen: frozenset[int] | None = None
    tests = []
    for one in filters:
        name = one.get("propertyName")
        if isinstance(name, str) and name.startswith("associations."):
            tests.append(_association(portal, kind, one))
            continue
        definition = kind.live(name) if isinstance(name, str) else None
        if definition is None:
            raise _problem(f"Unknown property in a filter: {name}")
        tests.append(_test(portal, kind, definition, one))
        if name == kind.modified:
            changed = _narrowed(changed, one)
        elif name == "hs_object_id":
            ids = _narrowed(ids, one)
            if one["operator"] == "IN":
                told = frozenset(int(v) for v in one["values"] if v.isdecimal())
                chosen = told if chosen is None else chosen & told
        elif definition.unique and one["operator"] in {"EQ", "IN"}:
            told = _by_unique(portal, kind, definition.name, one)
            chosen = told if chosen is None else chosen & told
    return _Group(tests=tests, changed=changed, ids=ids, chosen=chosen)


def _by_unique(portal: Portal, kind: ObjectType, name: str, one: dict[str, Any]) -> frozenset[int]:
    table = portal.tables[kind.name]
    values = one["values"] if one["operator"] == "IN" else [one["value"]]
    found = (table.with_value(name, value) for value in values)
    # What the index still knows under an older value is looked for among the lagging ones.
    return frozenset(i for i in found if i is not None) | table.lagging()


def _narrowed(bounds: tuple[int, int], one: dict[str, Any]) -> tuple[int, int]:
    low, high = bounds
    value = instant_of(str(one.get("value") or ""))
    match one["operator"]:
        case "EQ" if value is not None:
            return max(low, value), min(high, value)
        case "GT" | "GTE" if value is not None:
            return max(low, value), high
        case "LT" | "LTE" if value is not None:
            return low, min(high, value)
        case "BETWEEN" if value is not None:
            upper = instant_of(str(one.get("highValue") or ""))
            return max(low, value), min(high, high if upper is None else upper)
    return bounds


def _test(
    portal: Portal, kind: ObjectType, definition: Property, one: dict[str, Any]
) -> Callable[[Record], bool]:
    operator = maybe_text(one, "operator")
    name = definition.name
    if operator in _NONE:
        if one.get("value") is not None or one.get("values"):
            raise _problem(f"{operator} of {name} takes no value")
        wanted = operator == "HAS_PROPERTY"
        return lambda r: (portal.value(kind, r, name) is not None) == wanted
    if operator in _MANY:
        values = one.get("values")
        if not isinstance(values, list) or not values:
            raise _problem(f"{operator} of {name} needs values, a list")
        if not all(isinstance(value, str) for value in values):
            raise bad_json("values must be texts")
        return _within(portal, kind, definition, frozenset(values), wanted=operator == "IN")
    if operator == "BETWEEN":
        low, high = _operand(definition, one, "value"), _operand(definition, one, "highValue")
        return lambda r: (
            (v := _read(portal, kind, definition, r)) is not None and low <= v <= high  # type: ignore[operator]  # of one type
        )
    if operator not in _ONE:
        raise _problem(f"Unknown operator in a filter of {name}: {operator}")
    return _compared(portal, kind, definition, operator, one)


def _compared(
    portal: Portal, kind: ObjectType, definition: Property, operator: str, one: dict[str, Any]
) -> Callable[[Record], bool]:
    if operator in {"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"}:
        pattern = str(_operand(definition, one, "value", plain=True)).casefold()
        wanted = operator == "CONTAINS_TOKEN"
        return lambda r: _has_token(portal.value(kind, r, definition.name), pattern) == wanted
    value = _operand(definition, one, "value")
    if definition.name == kind.modified:
        return _by_change(operator, float(value))
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "EQ": lambda a, b: bool(a == b),
        "LT": lambda a, b: bool(a < b),
        "LTE": lambda a, b: bool(a <= b),
        "GT": lambda a, b: bool(a > b),
        "GTE": lambda a, b: bool(a >= b),
    }
    if operator == "NEQ":
        return lambda r: _read(portal, kind, definition, r) != value
    chosen = compare[operator]
    return lambda r: (v := _read(portal, kind, definition, r)) is not None and chosen(v, value)


def _by_change(operator: str, value: float) -> Callable[[Record], bool]:
    match operator:
        case "EQ":
            return lambda r: r.updated == value
        case "NEQ":
            return lambda r: r.updated != value
        case "LT":
            return lambda r: r.updated < value
        case "LTE":
            return lambda r: r.updated <= value
        case "GT":
            return lambda r: r.updated > value
    return lambda r: r.updated >= value


def _within(
    portal: Portal,
    kind: ObjectType,
    definition: Property,
    values: frozenset[str],
    *,
    wanted: bool,
) -> Callable[[Record], bool]:
    """In a list: texts are compared in small letters, and a list with others does not match."""

    def holds(one: Record) -> bool:
        told = portal.value(kind, one, definition.name)
        if told is None:
            return not wanted
        return ((told.casefold() if definition.type == "string" else told) in values) == wanted

    return holds


def _association(portal: Portal, kind: ObjectType, one: dict[str, Any]) -> Callable[[Record], bool]:
    other = portal.type(str(one["propertyName"]).partition(".")[2])
    operator = maybe_text(one, "operator")
    value = one.get("value")
    if operator == "EQ" and isinstance(value, str) and value.isdecimal():
        return lambda r: int(value) in portal.links.of(kind.name, r.id, other.name)
    if operator in _NONE:
        wanted = operator == "HAS_PROPERTY"
        return lambda r: bool(portal.links.of(kind.name, r.id, other.name)) == wanted
    raise _problem(f"Unknown operator in a filter of {one['propertyName']}: {operator}")


def _operand(
    definition: Property, one: dict[str, Any], name: str, *, plain: bool = False
) -> str | float:
    told = one.get(name)
    if told is None:
        raise _problem(f"{one.get('operator')} of {definition.name} needs {name}")
    if not isinstance(told, str):
        raise bad_json(f"{name} must be a text")
    if plain:
        return told
    value = _comparable(definition, told)
    if value is None:
        raise _problem(f"{told} is no value of {definition.name}, a {definition.type}")
    return value


def _comparable(definition: Property, text: str) -> str | float | None:
    if definition.type in {"datetime", "date"}:
        at = instant_of(text)
        return None if at is None else float(at)
    if definition.type == "number":
        # Ids do not fit into a float's digits one day; they are compared as whole numbers.
        return int(text) if text.lstrip("-").isdecimal() else number_of(text)
    return text.casefold()


def _read(portal: Portal, kind: ObjectType, definition: Property, one: Record) -> Value:
    if definition.name == "hs_object_id":
        return one.id
    if definition.name == kind.created:
        return one.created
    text = portal.value(kind, one, definition.name)
    return None if text is None else _comparable(definition, text)


def _has_token(text: str | None, pattern: str) -> bool:
    if text is None:
        return False
    whole = text.casefold()
    if "*" in pattern:
        return any(fnmatch.fnmatchcase(word, pattern) for word in [whole, *_WORDS.findall(whole)])
    return pattern in _WORDS.findall(whole) or pattern == whole


def _query(kind: ObjectType, portal: Portal, body: Mapping[str, Any]) -> Callable[[Record], bool]:
    query = body.get("query")
    if query is not None and not isinstance(query, str):
        raise bad_json("query must be a text")
    if not query:
        return lambda _: True
    names = [one.name for one in kind.properties.values() if one.searchable]
    words = query.casefold().split()

    def holds(one: Record) -> bool:
        told = " ".join(portal.value(kind, one, name) or "" for name in names).casefold()
        return all(word in told for word in words)

    return holds


def _order(
    portal: Portal,
    kind: ObjectType,
    sorts: list[Any],
) -> Callable[[list[Record]], None]:
    if len(sorts) > 1:
        raise _problem(f"Only one sort is supported, there were {len(sorts)}")
    # “By default, the oldest first”: by the time at which they were made.
    name, descending = _sort(sorts[0]) if sorts else (kind.created, False)
    definition = kind.live(name)
    if definition is None:
        raise _problem(f"Unknown property in sorts: {name}")

    def arranged(records: list[Record]) -> None:
        if name == "hs_object_id" and not descending:
            return
        keyed = [(_read(portal, kind, definition, one), one) for one in records]
        empty = [one for value, one in keyed if value is None]
        told: list[tuple[Any, Record]] = [pair for pair in keyed if pair[0] is not None]
        told.sort(key=lambda pair: (pair[0], pair[1].id), reverse=descending)
        records[:] = [one for _, one in told] + empty

    return arranged


def _sort(told: Any) -> tuple[str, bool]:  # noqa: ANN401  JSON is anything
    """A sort: an object, the same as a text, or a name alone."""
    if isinstance(told, str) and told.startswith("{"):
        try:
            told = orjson.loads(told)
        except orjson.JSONDecodeError:
            raise _problem(f"{told} is no sort") from None
    if isinstance(told, dict):
        name, direction = told.get("propertyName"), told.get("direction", "ASCENDING")
        if isinstance(name, str) and direction in ("ASCENDING", "DESCENDING"):
            return name, direction == "DESCENDING"
    elif isinstance(told, str) and told:
        return told.removeprefix("-"), told.startswith("-")
    raise _problem(f"{told} is no sort")


def _after(body: Mapping[str, Any]) -> int:
    told = body.get("after")
    if told is None or told == "":
        return 0
    if isinstance(told, int):
        told = str(told)
    if not (isinstance(told, str) and told.isdecimal()):
        raise _problem(f"after must be the text of a number, it was {told}")
    return int(told)


def _number(body: Mapping[str, Any], name: str, default: int) -> int:
    told = body.get(name, default)
    if isinstance(told, bool) or not isinstance(told, int):
        raise bad_json(f"{name} must be a number")
    return told


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    told = body.get(name)
    if told is None:
        return []
    if not isinstance(told, list):
        raise bad_json(f"{name} must be a list")
    return told


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    told = _list(body, name)
    if not all(isinstance(one, str) for one in told):
        raise bad_json(f"{name} must be a list of texts")
    return told


def _problem(words: str) -> PortalError:
    return PortalError("There was a problem with the request.", details=[{"message": words}])
