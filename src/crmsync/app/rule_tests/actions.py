"""What a run would do for a subject, in the words in which a test expects it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING

from crmsync.app.rule_tests.virtual import global_id, local_id
from crmsync.journeys.keys import round_of
from crmsync.ledger.states import State
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    CustomAction,
    SendEmail,
    UpdateFields,
    name_of,
)
from crmsync.rules.language import EmailStep
from crmsync.rules.unit_tests.expectations import STEP, Contains

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.app.deciding import Decided
    from crmsync.journeys.compose import Composed
    from crmsync.rules.language import Rule, Step
    from crmsync.rules.unit_tests.expectations import ExpectedAction


@dataclass(frozen=True, kw_only=True)
class ActualAction:
    """An action that would go out.

    Attributes:
        values: by the keys that a test can name; who is meant stands there as an id.
        addresses: by ``to`` and ``from``, how else these may be named.
        place: of the rule's step.
    """

    kind: str
    step: str
    values: Mapping[str, object]
    addresses: Mapping[str, tuple[str, ...]]
    place: str


def actual_actions(rule: Rule, subject: str, decided: Decided) -> list[ActualAction]:
    """What goes out for a subject, in the order of the rule's steps."""
    steps = {step.id: step for step in rule.then}
    order = list(steps)
    ready = [
        action
        for action in decided.plan.actions
        if action.subject == subject and action.state == State.READY
    ]
    return [
        _actual(action.step, steps[round_of(action.step)[0]], decided.composed[action.key])
        for action in sorted(ready, key=lambda action: order.index(round_of(action.step)[0]))
    ]


def _actual(name: str, step: Step, composed: Composed) -> ActualAction:
    action = composed.action
    addresses: dict[str, tuple[str, ...]] = {}
    values: dict[str, object]
    match action:
        case CreateTask():
            due = None if action.due is None else action.due.isoformat()
            colleague = composed.colleague or {}
            values = {
                "assign_to": local_id(str(colleague.get("id"))),
                "subject": action.subject,
                "body": action.body,
                "due": due,
            }
        case SendEmail():
            reader = composed.contact or composed.colleague or {}
            values = {
                "to": local_id(str(reader.get("id"))),
                "from": local_id(composed.sender or ""),
                "subject": action.subject,
                "text": action.text,
                "html": action.html,
                "template": step.template if isinstance(step, EmailStep) else None,
                "locale": composed.locale,
                "class": action.email_class,
            }
            addresses = {
                key: (address, parseaddr(address)[1])
                for key, address in (("to", action.recipient), ("from", action.sender))
            }
        case AddNote():
            values = {"text": action.text}
        case CustomAction():
            values = {"by": composed.connection, **action.texts}
        case UpdateFields():
            record = global_id(action.record.id)
            values = {"record": local_id(record), "fields": dict(action.changes)}
    return ActualAction(
        kind=name_of(action),
        step=name,
        values=values,
        addresses=addresses,
        place=str(step.place),
    )


def lines_of_actions(
    expected: Sequence[ExpectedAction], actual: Sequence[ActualAction]
) -> tuple[list[str], list[str]]:
    """Both in words, alike where they fit; of an action that was expected, what was named."""
    wanted: list[str] = []
    came: list[str] = []
    kinds = [one.kind for one in expected], [one.kind for one in actual]
    matcher = difflib.SequenceMatcher(None, *kinds, autojunk=False)
    for tag, i, end, j, last in matcher.get_opcodes():
        if tag == "equal":
            for one, other in zip(expected[i:end], actual[j:last], strict=True):
                pair = _pair(one, other)
                wanted += pair[0]
                came += pair[1]
            continue
        for one in expected[i:end]:
            wanted += [f"  {one.kind}:", *_expected_lines(one)]
        for other in actual[j:last]:
            came += [f"  {other.kind}:", *_whole(other)]
    if not expected:
        wanted.append("  nothing")
    if not actual:
        came.append("  nothing")
    return wanted, came


def _pair(expected: ExpectedAction, actual: ActualAction) -> tuple[list[str], list[str]]:
    wanted = [f"  {expected.kind}:"]
    came = [f"  {actual.kind}:"]
    said = dict(expected.values)
    have = dict(actual.values)
    if expected.step is not None:
        said, have = {STEP: expected.step, **said}, {STEP: actual.step, **have}
    for key, value in said.items():
        if isinstance(value, dict):
            changes = have[key]
            known = changes if isinstance(changes, dict) else {}
            wanted += _lines(key, value)
            came += _lines(key, {name: known.get(name) for name in value})
            continue
        fits = _fits(value, have.get(key), actual.addresses.get(key, ()))
        came += _lines(key, value if fits else have.get(key))
        wanted += _lines(key, value)
    return wanted, came


def _fits(expected: object, actual: object, addresses: Sequence[str]) -> bool:
    if isinstance(expected, Contains):
        return isinstance(actual, str) and all(part in actual for part in expected.parts)
    if isinstance(expected, str) and isinstance(actual, str):
        return _tidy(expected) == _tidy(actual) or expected in addresses
    return expected == actual


def _tidy(text: str) -> str:
    """Ends of lines and of the text are nobody's concern, and seen by nobody."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _expected_lines(expected: ExpectedAction) -> Iterator[str]:
    for key, value in expected.values.items():
        yield from _lines(key, value)


def _whole(actual: ActualAction) -> Iterator[str]:
    for key, value in actual.values.items():
        if value is not None and key != "html":
            yield from _lines(key, value)


def _lines(key: str, value: object) -> list[str]:
    match value:
        case Contains():
            return [f"    {key}: something with “{part}”" for part in value.parts]
        case dict():
            return [
                f"    {key}:",
                *(f"      {name}: {_plain(value[name])}" for name in sorted(value)),
            ]
        case str() if "\n" in value.strip():
            return [f"    {key}:", *(f"      {line}" for line in _tidy(value).splitlines())]
        case str():
            return [f"    {key}: {_tidy(value)}"]
        case _:
            return [f"    {key}: {_plain(value)}"]


def _plain(value: object) -> str:
    """As it would be written in YAML; “none” for nothing."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
