"""What a rule test expects of one instant: verdicts, actions, and who is held back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, TypeGuard

from crmsync.config.yaml import nearest
from crmsync.model.actions import ActionKind
from crmsync.rules.operators import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from crmsync.config.yaml import Document, Path_, Place, Problems
    from crmsync.model.catalog import Catalog

MATCH, NO_MATCH, UNKNOWN = "match", "no_match", "unknown"
VERDICTS = (MATCH, NO_MATCH, UNKNOWN)
ENROLLED, NOT_ENROLLED = "enrolled", "not_enrolled"
ACTIONS, HELD = "actions", "held"
EXPECTED = (*VERDICTS, ENROLLED, NOT_ENROLLED, ACTIONS, HELD)
NOTHING = "nothing"
CONTAINS = "contains"
# What can be said of an action of each kind; texts may be said in part.
TEXTS = frozenset({"subject", "body", "text", "html"})
ACTION_KEYS: Mapping[str, tuple[str, ...]] = {
    ActionKind.TASK: ("assign_to", "subject", "body", "due"),
    ActionKind.EMAIL: (
        "to",
        "from",
        "subject",
        "text",
        "html",
        "template",
        "locale",
        "class",
    ),
    ActionKind.NOTE: ("text",),
    ActionKind.UPDATE: ("record", "fields"),
}
STEP, REASON = "step", "reason"


def action_keys(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """What can be said of an action of each kind, those included that connectors add."""
    custom = {
        name: ("by", *dict.fromkeys(key for kind in offered.values() for key in kind.takes))
        for name, offered in catalog.kinds.items()
    }
    return {**ACTION_KEYS, **custom}


@dataclass(frozen=True, kw_only=True)
class Contains:
    """A text that is not written out: it must have these in it."""

    parts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ExpectedAction:
    """An action; only what is named is compared.

    Attributes:
        step: the id of the rule's step; None where it is not said.
        values: by key of `ACTION_KEYS`, a text or `Contains`; for ``fields`` a mapping, for
            ``due`` the day as text or None.
    """

    kind: str
    step: str | None
    values: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class ExpectedHold:
    """That something is held back. ``step`` and ``reason`` are None where they are not said."""

    step: str | None = None
    reason: str | Contains | None = None


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """All that is expected of an instant; of subjects that are not named, nothing is.

    Attributes:
        verdicts: record id to ``match``, ``no_match`` or ``unknown``.
        enrolled: record id to whether it is in the rule afterwards.
        actions: record id to all the actions that come for it, in the order of the steps.
        held: record id to all the reasons for which it is held back.
        places: where each of these is said, by key and record id.
    """

    verdicts: Mapping[str, str] = field(default_factory=dict)
    enrolled: Mapping[str, bool] = field(default_factory=dict)
    actions: Mapping[str, tuple[ExpectedAction, ...]] = field(default_factory=dict)
    held: Mapping[str, tuple[ExpectedHold, ...]] = field(default_factory=dict)
    places: Mapping[tuple[str, str], Place] = field(default_factory=dict)


class ExpectationReader:
    """Reads ``expect:``; mistakes are noted, and what has them is left out."""

    def __init__(self, document: Document, problems: Problems, catalog: Catalog) -> None:
        self._document = document
        self._keys = action_keys(catalog)
        self._problems = problems
        self._places: dict[tuple[str, str], Place] = {}

    def read(self, data: Any, at: Path_, subject: str, known: Collection[str]) -> Expectation:  # noqa: ANN401  YAML is anything
        """What is expected of the records ``known`` of the table ``subject``."""
        if not isinstance(data, dict) or not data:
            self._note(at, "“expect” names who is to match: {match: [...], no_match: [...]}")
            return Expectation()
        for key in data:
            if key not in EXPECTED:
                place = self._document.key_place((*at, key))
                self._problems.add(place, f"unknown key “{key}”{nearest(key, EXPECTED)}")
        named = _Named(self, subject, known)
        verdicts = {i: v for v in VERDICTS for i in named.ids(data.get(v, []), (*at, v), VERDICTS)}
        both = (ENROLLED, NOT_ENROLLED)
        return Expectation(
            verdicts=verdicts,
            enrolled={
                i: key == ENROLLED
                for key in both
                for i in named.ids(data.get(key, []), (*at, key), both)
            },
            actions={
                i: tuple(self._actions(said, where))
                for i, said, where in named.items(data.get(ACTIONS, {}), (*at, ACTIONS))
            },
            held={
                i: tuple(self._holds(said, where))
                for i, said, where in named.items(data.get(HELD, {}), (*at, HELD))
            },
            places=self._places,
        )

    def place(self, key: str, record_id: str, at: Path_) -> None:
        """Remember where something was said."""
        self._places[key, record_id] = self._document.place(at)

    def _listed(self, said: object, at: Path_) -> Iterator[tuple[object, Path_]]:
        """One thing, a list of them, or “nothing”."""
        if said == NOTHING:
            return
        if isinstance(said, list):
            yield from ((item, (*at, i)) for i, item in enumerate(said))
        else:
            yield said, at

    def _actions(self, said: object, at: Path_) -> Iterator[ExpectedAction]:
        for item, here in self._listed(said, at):
            given = {item: None} if isinstance(item, str) else item
            kinds = [key for key in given if key in self._keys] if isinstance(given, dict) else []
            if not isinstance(given, dict) or len(kinds) != 1:
                names = ", ".join(self._keys)
                self._note(
                    here, f"an action is one of {names}, or “{NOTHING}”, and not {shown(item)}"
                )
                continue
            (kind,) = kinds
            for key in given.keys() - {kind, STEP}:
                place = self._document.key_place((*here, key))
                self._problems.add(place, f"unknown key “{key}”{nearest(key, (STEP, kind))}")
            values = self._values(kind, given[kind], (*here, kind))
            step = None if given.get(STEP) is None else str(given[STEP])
            yield ExpectedAction(kind=kind, step=step, values=values)

    def _values(self, kind: str, said: object, at: Path_) -> dict[str, object]:
        if said is None:
            return {}
        if not isinstance(said, dict):
            self._note(
                at, f"what is expected of this {kind} is {{key: value}}, and not {shown(said)}"
            )
            return {}
        values: dict[str, object] = {}
        for key, value in said.items():
            here = (*at, key)
            if key not in self._keys[kind]:
                place = self._document.key_place(here)
                hint = nearest(key, self._keys[kind])
                self._problems.add(place, f"nothing is called “{key}” in this {kind}{hint}")
            elif key == "fields":
                values[key] = self._fields(value, here)
            elif key == "due":
                values[key] = self._day(value, here)
            else:
                values[key] = self._text(
                    value, here, in_part=key in TEXTS or kind not in ACTION_KEYS
                )
        return values

    def _fields(self, value: object, at: Path_) -> Mapping[str, object]:
        if isinstance(value, dict):
            return value
        self._note(at, f"“fields” is {{field: value}}, and not {shown(value)}")
        return {}

    def _day(self, value: object, at: Path_) -> str | None:
        try:
            return None if value is None else date.fromisoformat(str(value)).isoformat()
        except ValueError:
            self._note(at, f"“due” is a day such as 2026-03-31, and not {shown(value)}")
            return None

    def _text(self, value: object, at: Path_, *, in_part: bool) -> str | Contains:
        if isinstance(value, str):
            return value
        if in_part and isinstance(value, dict) and value.keys() == {CONTAINS}:
            parts = value[CONTAINS] if isinstance(value[CONTAINS], list) else [value[CONTAINS]]
            if parts and all(isinstance(part, str) and part for part in parts):
                return Contains(parts=tuple(parts))
        form = f"a text or {{{CONTAINS}: TEXT}}" if in_part else "a text"
        self._note(at, f"here stands {form}, and not {shown(value)}")
        return ""

    def _holds(self, said: object, at: Path_) -> Iterator[ExpectedHold]:
        for item, here in self._listed(said, at):
            if isinstance(item, dict) and item.keys() <= {STEP, REASON} and item:
                reason = item.get(REASON)
                yield ExpectedHold(
                    step=None if item.get(STEP) is None else str(item[STEP]),
                    reason=None
                    if reason is None
                    else self._text(reason, (*here, REASON), in_part=True),
                )
            else:
                yield ExpectedHold(reason=self._text(item, here, in_part=True))

    def _note(self, at: Path_, sentence: str) -> None:
        self._problems.add(self._document.place(at), sentence)

    note = _note


class _Named:
    """Reads the ids of records that something is expected of."""

    def __init__(self, reader: ExpectationReader, subject: str, known: Collection[str]) -> None:
        self._reader = reader
        self._subject = subject
        self._known = known
        self._met: set[tuple[tuple[str, ...], str]] = set()

    def ids(self, said: object, at: Path_, rivals: tuple[str, ...]) -> Iterator[str]:
        """The ids of a list, each of them under one of ``rivals`` only."""
        for i, record_id in enumerate(said if isinstance(said, list) else [said]):
            here = (*at, i) if isinstance(said, list) else at
            if not self._is_known(record_id, at):
                continue
            if (rivals, record_id) in self._met:
                self._reader.note(at, f"“{record_id}” is expected twice")
                continue
            self._met.add((rivals, record_id))
            self._reader.place(str(at[-1]), record_id, here)
            yield record_id

    def items(self, said: object, at: Path_) -> Iterator[tuple[str, object, Path_]]:
        """What is said of each id."""
        if not isinstance(said, dict):
            key = at[-1]
            self._reader.note(at, f"“{key}” is {{ID: what comes}}, and not {shown(said)}")
            return
        for record_id, value in said.items():
            if self._is_known(record_id, (*at, record_id)):
                self._reader.place(str(at[-1]), record_id, (*at, record_id))
                yield record_id, value, (*at, record_id)

    def _is_known(self, record_id: object, at: Path_) -> TypeGuard[str]:
        if isinstance(record_id, str) and record_id in self._known:
            return True
        hint = nearest(record_id, self._known)
        self._reader.note(at, f"there is no {self._subject} {shown(record_id)} here{hint}")
        return False
