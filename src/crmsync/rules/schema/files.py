"""The files of rules, segments and rule tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.config.daemon import SCHEDULE_SHAPE
from crmsync.config.settings import Existing
from crmsync.config.tightening import RulePolicy
from crmsync.rules.language import OnChange
from crmsync.rules.operators import DAY_PATTERN
from crmsync.rules.reading.options import HIGHEST_PRIORITY
from crmsync.rules.reading.rule import RULE_FILE
from crmsync.rules.reading.segments import SEGMENT_FILE
from crmsync.rules.schema.conditions import Conditions
from crmsync.rules.schema.names import (
    LISTED_HOPS,
    Definitions,
    Names,
    Schema,
    Ways,
    among,
    mapping,
)
from crmsync.rules.schema.steps import Steps
from crmsync.rules.schema.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crmsync.model.catalog import Catalog


class Parts:
    """What the schemas of all kinds of file are made of."""

    def __init__(self, catalog: Catalog, names: Names) -> None:
        self.catalog = catalog
        self.names = names
        self.definitions = Definitions()
        self.ways = Ways(catalog)
        self.values = Values(self.definitions, self.ways)
        self.conditions = Conditions(self.definitions, self.ways, self.values, names)
        self.steps = Steps(self.definitions, self.ways, self.values, names, self.conditions)

    def name(self, told: str) -> Schema:
        """One word."""
        return {"type": "string", "pattern": r"^[^\s:/]+$", "description": told}

    def subject(self) -> Schema:
        """The tables."""
        return {"enum": list(self.catalog.tables), "description": "The table that it is about."}

    def by_subject(self, shapes: Mapping[str, Callable[[str], Schema]]) -> list[Schema]:
        """What some keys can be for each subject."""
        return [
            {
                "if": {"properties": {"subject": {"const": table}}, "required": ["subject"]},
                "then": {"properties": {key: shape(table) for key, shape in shapes.items()}},
            }
            for table in self.catalog.tables
        ]

    def once_per(self, table: str) -> Schema:
        """Paths from the subject, or the subject itself."""

        def make() -> Schema:
            listed = [
                path for path, _, _ in self.ways.listed(table) if path.count(".") < LISTED_HOPS
            ]
            last = [name for names in self.ways.names_by_types().values() for name in names]
            path = among([table, *listed], self.ways.longer(last, least=LISTED_HOPS))
            return {"anyOf": [path, {"type": "array", "items": path}]}

        return self.definitions.ref(f"once_per.{table}", make)


def rule_schema(catalog: Catalog, names: Names) -> Schema:
    """The schema of a file in ``rules/``."""
    parts = Parts(catalog, names)
    label = {"type": "string"}
    known: dict[str, Schema] = {
        "rule": parts.name("One word, unique over all files."),
        "description": {"type": "string", "description": "What it is for."},
        "subject": parts.subject(),
        "when": {"description": "Conditions; all must hold."},
        "then": {"description": "What happens then."},
        "until": {"description": "What ends an enrolment; each line does by itself."},
        "for": {
            **parts.values.duration(),
            "description": "How long the conditions must hold before anything happens.",
        },
        "once_per": {"description": "At most one enrolment for each value of these, ever."},
        "cooldown": {
            **parts.values.duration(),
            "description": "Not again for this subject within that time.",
        },
        "repeat_every": {
            "allOf": [parts.values.duration(), {"not": {"pattern": r"^\s*0+[^0-9]"}}],
            "description": "How long after it began it begins anew, while the conditions hold.",
        },
        "existing": {
            "enum": [str(way) for way in Existing],
            "description": "What a new rule does with those that match already.",
        },
        "on_change": {
            "enum": [str(way) for way in OnChange],
            "description": "What becomes of those inside when the text of the rule changes.",
        },
        "labels": {
            "anyOf": [label, {"type": "array", "items": label}],
            "description": "Words to group rules by.",
        },
        "priority": {
            "type": "integer",
            "minimum": 0,
            "maximum": HIGHEST_PRIORITY,
            "description": "0 to 100; 50 where not given.",
        },
        "inhibits": {
            "anyOf": [label, {"type": "array", "items": label}],
            "description": "Rules, by name or label, that do nothing for an account in this one.",
        },
        "inhibited_by": {
            "anyOf": [label, {"type": "array", "items": label}],
            "description": "Rules, by name or label; for an account in one, this does nothing.",
        },
        "policy": {
            **mapping({key: {} for key in RulePolicy.model_fields}, ()),
            "description": "Hours, caps and stale_after, tighter than those of the config.",
        },
        "schedule": {
            **SCHEDULE_SHAPE,
            "description": "When the daemon lets anybody in, such as weekdays at 07:00.",
        },
        "expires": {
            "type": "string",
            "pattern": rf"^{DAY_PATTERN}$",
            "description": "The last day on which it enrols anybody.",
        },
    }
    shapes = {
        "when": parts.conditions.of,
        "then": parts.steps.of,
        "once_per": parts.once_per,
        "until": parts.conditions.ending,
    }
    properties = {key: known.get(key, {}) for key in RULE_FILE.keys}
    root = mapping(properties, RULE_FILE.needed, allOf=parts.by_subject(shapes))
    return parts.definitions.whole("A rule of crmsync", root)


def segment_schema(catalog: Catalog, names: Names) -> Schema:
    """The schema of a file in ``segments/``."""
    parts = Parts(catalog, names)
    known: dict[str, Schema] = {
        "segment": parts.name("One word, unique over all files."),
        "subject": parts.subject(),
        "description": {"type": "string", "description": "What it is for."},
        "when": {"description": "Conditions; all must hold."},
    }
    properties = {key: known.get(key, {}) for key in SEGMENT_FILE.keys}
    cases = parts.by_subject({"when": parts.conditions.of})
    root = mapping(properties, SEGMENT_FILE.needed, allOf=cases)
    return parts.definitions.whole("A segment of crmsync", root)
