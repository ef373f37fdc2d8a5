"""The files of rule tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.model.tables import FieldType
from crmsync.rules.operators import DAY_PATTERN, INSTANT_PATTERN
from crmsync.rules.schema.conditions import described
from crmsync.rules.schema.files import Parts
from crmsync.rules.schema.names import Schema, mapping, offered
from crmsync.rules.unit_tests.expectations import (
    ACTION_KEYS,
    ACTIONS,
    CONTAINS,
    ENROLLED,
    EXPECTED,
    HELD,
    NOT_ENROLLED,
    NOTHING,
    REASON,
    STEP,
    TEXTS,
    VERDICTS,
    action_keys,
)
from crmsync.rules.unit_tests.load import NEEDED_TEST_KEYS, STAGE_KEYS, TEST_KEYS
from crmsync.rules.unit_tests.memory_history import KNOWN_SINCE, UNTIL, WAS
from crmsync.rules.unit_tests.memory_rows import HISTORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.catalog import Catalog
    from crmsync.rules.schema.names import Names

_TEXT: Schema = {"type": "string"}
_SOME_TEXT: Schema = {"type": "string", "minLength": 1}


def rule_test_schema(catalog: Catalog, names: Names) -> Schema:
    """The schema of a file in ``rules/tests/``: one test, or a list of them."""
    parts = Parts(catalog, names)
    table = {"enum": list(catalog.tables)}
    known: dict[str, Schema] = {
        "rule": {**offered(names.rules, _TEXT), "description": "What is tested."},
        "name": {"description": "What the test shows."},
        "at": {
            "type": "string",
            "pattern": rf"^(?:{DAY_PATTERN}|{INSTANT_PATTERN})$",
            "description": "The present of this test, for example 2026-03-01T09:00.",
        },
        "new_rule": {
            "type": "boolean",
            "description": "Whether the rule runs for the first time, so that “existing” counts.",
        },
        "advance": {**parts.values.duration(), "description": "How much later this is."},
        "records": {
            **mapping({name: _records(parts, name) for name in catalog.tables}, ()),
            "description": "Table to records.",
        },
        "deleted": {
            **mapping(dict.fromkeys(catalog.tables, _one_or_more(_TEXT)), ()),
            "description": "Table to the ids of records that are gone.",
        },
        "unread": {
            **_one_or_more(table),
            "description": "Tables whose stream was never read.",
        },
        "done": {
            "type": "object",
            "additionalProperties": _one_or_more(_TEXT),
            "description": "Id to the steps whose tasks people have done by then.",
        },
        "expect": _expect(parts),
    }
    stage = parts.definitions.ref("later", lambda: _later(known))
    known["later"] = {**_one_or_more(stage), "description": "What comes later, in this order."}
    properties = {key: known.get(key, {}) for key in TEST_KEYS}
    either = [{"required": ["expect"]}, {"required": ["later"]}]
    test = parts.definitions.ref(
        "test", lambda: mapping(properties, NEEDED_TEST_KEYS, anyOf=either)
    )
    return parts.definitions.whole("Tests of a rule of crmsync", _one_or_more(test))


def _later(known: dict[str, Schema]) -> Schema:
    reached = [{"required": ["advance"]}, {"required": ["at"]}]
    return mapping({key: known.get(key, {}) for key in STAGE_KEYS}, (), oneOf=reached)


def _expect(parts: Parts) -> Schema:
    some = {
        "anyOf": [
            _TEXT,
            mapping({CONTAINS: {"anyOf": [_SOME_TEXT, _list(_SOME_TEXT, least=1)]}}, [CONTAINS]),
        ]
    }
    text = parts.definitions.ref("text", lambda: some)
    actions = parts.definitions.ref("actions", lambda: _actions(text, action_keys(parts.catalog)))
    held = {"anyOf": [text, mapping({STEP: {}, REASON: _or_null(text)}, (), minProperties=1)]}
    ids = _one_or_more(_TEXT)
    known: dict[str, Schema] = {
        **dict.fromkeys((*VERDICTS, ENROLLED, NOT_ENROLLED), ids),
        ACTIONS: {
            "type": "object",
            "additionalProperties": actions,
            "description": "Id to all that comes for it; what is named is compared.",
        },
        HELD: {
            "type": "object",
            "additionalProperties": _one_or_more(held),
            "description": "Id to why it is held back.",
        },
    }
    properties = {key: known[key] for key in EXPECTED}
    return {
        **mapping(properties, (), minProperties=1),
        "description": "What is expected at this time.",
    }


def _actions(text: Schema, keys: Mapping[str, Sequence[str]]) -> Schema:
    kinds = [
        mapping({STEP: {}, kind: _or_null(mapping(_values(kind, known, text), ()))}, [kind])
        for kind, known in keys.items()
    ]
    action = {"anyOf": [{"enum": [*keys, NOTHING]}, *kinds]}
    return _one_or_more(action)


def _values(kind: str, keys: Sequence[str], text: Schema) -> dict[str, Schema]:
    if kind not in ACTION_KEYS:
        return dict.fromkeys(keys, text)
    shapes: dict[str, Schema] = {
        "due": _or_null({"type": "string", "pattern": rf"^{DAY_PATTERN}$"}),
        "fields": {"type": "object"},
    }
    return {key: text if key in TEXTS else shapes.get(key, _TEXT) for key in keys}


def _one_or_more(schema: Schema) -> Schema:
    return {"anyOf": [schema, _list(schema)]}


def _list(schema: Schema, *, least: int = 0) -> Schema:
    return {"type": "array", "items": schema, "minItems": least}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _records(parts: Parts, table: str) -> Schema:
    fields = {
        field.name: {
            "anyOf": [parts.values.literal(field.type), {"type": "null"}],
            "description": described(field.name, field),
        }
        for field in parts.catalog.tables[table].fields
    }
    if HISTORY not in fields:
        fields[HISTORY] = _history(parts, table)
    record = parts.definitions.ref(f"record.{table}", lambda: mapping(fields, ["id"]))
    return {"type": "array", "items": record}


def _history(parts: Parts, table: str) -> Schema:
    """What the tracked fields of a record were before."""
    instant = parts.values.literal(FieldType.INSTANT)
    lines: dict[str, Schema] = {KNOWN_SINCE: instant}
    for name in parts.catalog.tracked(table):
        field = parts.catalog.tables[table].field(name)
        if field is not None:
            was = {"anyOf": [parts.values.literal(field.type), {"type": "null"}]}
            line = mapping({WAS: was, UNTIL: instant}, [WAS, UNTIL])
            lines[name] = {"type": "array", "items": line}
    return {**mapping(lines, ()), "description": "What fields were before."}
