"""The steps of a rule about a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.model.tables import BASE_FIELDS
from crmsync.rules.language import ClockOf, IfExists
from crmsync.rules.paths import MOST_HOPS
from crmsync.rules.reading.steps import (
    COMPANY,
    EMAIL_CLASSES,
    LAST_THREAD,
    NAMED,
    NEEDED_STEP_KEYS,
    STEP_KEYS,
    TEAM,
)
from crmsync.rules.reading.way import CHOOSE, KINDS, OTHERWISE, WAIT, WAIT_KEYS
from crmsync.rules.schema.conditions import described
from crmsync.rules.schema.names import LISTED_HOPS, Schema, among, mapping, offered, one_or_more
from crmsync.rules.schema.values import text

if TYPE_CHECKING:
    from crmsync.rules.schema.conditions import Conditions
    from crmsync.rules.schema.names import Definitions, Names, Ways
    from crmsync.rules.schema.values import Values

_PERSONS = ("contact", "user")
_KIND_WORDS = {
    "task": "A task for a colleague.",
    "email": "A mail to a contact or a colleague.",
    "note": "A note on the subject.",
    "update": "New values for fields.",
}


class Steps:
    """The steps of each table."""

    def __init__(
        self,
        definitions: Definitions,
        ways: Ways,
        values: Values,
        names: Names,
        conditions: Conditions,
    ) -> None:
        self._conditions = conditions
        self._definitions = definitions
        self._ways = ways
        self._values = values
        self._names = names

    def of(self, table: str) -> Schema:
        """The list behind ``then:``."""
        step = self._definitions.ref(f"step.{table}", lambda: self._step(table))
        return {"type": "array", "items": step, "minItems": 1}

    def _step(self, table: str) -> Schema:
        kinds = {kind: self._kind(kind, table) for kind in STEP_KEYS}
        custom = {kind: self._custom(kind, table) for kind in self._ways.catalog.kinds}
        kinds |= custom
        kinds |= {WAIT: self._wait(table), CHOOSE: self._choose(table)}
        placed: dict[str, Schema] = {
            "id": {
                "type": "string",
                "pattern": "^[^#]+$",
                "description": "What the step is called.",
            },
            "after": {
                **self._values.duration(),
                "description": "How long after what was before it.",
            },
            "clock": self._clock(table),
            "if": {
                **self._conditions.of(table),
                "description": "Where this does not hold, the step is skipped.",
            },
        }
        one = [{"required": [kind]} for kind in (*KINDS, *custom)]
        return mapping(
            {**kinds, **placed},
            (),
            oneOf=one,
            dependencies={"clock": ["after"], WAIT: {"not": {"required": ["after"]}}},
        )

    def _clock(self, table: str) -> Schema:
        catalog = self._ways.catalog
        has_account = table == "account" or catalog.relation(table, "account") is not None
        known = {
            ClockOf.OWNER: has_account or catalog.relation(table, "owner") is not None,
            ClockOf.ACCOUNT: has_account,
            ClockOf.COMPANY: True,
        }
        return {
            "enum": [str(clock) for clock, there in known.items() if there],
            "description": "Whose business days these are.",
        }

    def _wait(self, table: str) -> Schema:
        length = self._values.duration()
        keys: dict[str, Schema] = {
            "until": {**self._conditions.of(table), "description": "Each of these ends it."},
            "at_most": {**length, "description": "How long at the longest."},
            "clock": self._clock(table),
        }
        shape = mapping({key: keys[key] for key in WAIT_KEYS}, ["at_most"])
        told = "Nothing happens for that long, or until something has happened."
        return {"if": {"type": "object"}, "then": shape, "else": length, "description": told}

    def _choose(self, table: str) -> Schema:
        steps = {"type": "array", "minItems": 1}
        steps["items"] = {"$ref": f"#/definitions/step.{table}"}
        branch = mapping({"if": self._conditions.of(table), "then": steps}, ["if", "then"])
        last = mapping({OTHERWISE: steps}, [OTHERWISE])
        either = {"if": {"required": [OTHERWISE]}, "then": last, "else": branch}
        told = "The first branch that holds is taken."
        return {"type": "array", "items": either, "minItems": 1, "description": told}

    def _kind(self, kind: str, table: str) -> Schema:
        keys = {key: self._key(kind, key, table) for key in STEP_KEYS[kind]}
        keys["approval"] = self._approval(table)
        more: dict[str, object] = {"description": _KIND_WORDS.get(kind, "")}
        if kind == "update":
            more["allOf"] = self._updates(table)
        if kind == "email" and "user" not in self._sender_tables(table):
            # The owner writes where nobody else is named, and this subject has none.
            return mapping(keys, [*NEEDED_STEP_KEYS[kind], "from"], **more)
        return mapping(keys, NEEDED_STEP_KEYS[kind], **more)

    def _custom(self, kind: str, table: str) -> Schema:
        """A kind that connectors add; of several that do, each with what it takes."""
        offered = self._ways.catalog.kinds[kind]
        shapes = []
        for by, found in offered.items():
            keys: dict[str, Schema] = {
                key: {**text(), "description": told} for key, told in found.takes.items()
            }
            keys["by"] = {"enum": [by], "description": "The connection that does it."}
            keys["approval"] = self._approval(table)
            keys["requires"] = self._key(kind, "requires", table)
            needed = [*found.needed, *(["by"] if len(offered) > 1 else [])]
            shapes.append(mapping(keys, needed, description=found.description))
        return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}

    def _sender_tables(self, table: str) -> set[str]:
        relation = self._ways.catalog.relation(table, "owner")
        return set() if relation is None else {relation.target}

    def _key(self, kind: str, key: str, table: str) -> Schema:  # noqa: C901, PLR0912  one per key
        match kind, key:
            case _, "subject" | "body" | "text":
                return {**text(), "description": "A text; {{ … }} names fields."}
            case _, "due":
                told = {"description": "From the day on which the step is due."}
                return {**self._values.duration(), **told}
            case _, "requires":
                name = {"type": "string", "pattern": rf"^{NAMED}$"}
                told = {"description": "Nothing is made where one of these is empty."}
                return {**one_or_more(name), **told}
            case "task", "if_exists":
                told = {"description": "While the task that it made before is still open."}
                return {"enum": [str(way) for way in IfExists], **told}
            case "task", "assign_to":
                return self._definitions.ref(f"assignees.{table}", lambda: self._assignees(table))
            case "email", "to":
                return self._recipient(table)
            case "email", "from":
                senders = self._people(table, ("user",))
                return {"anyOf": [{"enum": [COMPANY]}, senders]}
            case "email", "class":
                return {"enum": list(EMAIL_CLASSES)}
            case "email", "thread":
                told = {"description": "It goes on with the latest mail between people."}
                return {"enum": [LAST_THREAD], **told}
            case "email", "despite_contact":
                told = {"description": "Sent also where people have spoken with the customer."}
                return {"type": "boolean", **told}
            case "email", "template":
                told = {"description": "A text of the templates folder, without its ending."}
                return {**offered(self._names.templates, text()), **told}
            case "update", "record":
                told = {"description": "A path to the record; the subject where not given."}
                paths = [path for path, _ in self._ways.records(table)]
                return {**among(paths, self._longer_records()), **told}
            case "update", "fields":
                told = {"description": "Field to its new value; {{ … }} names fields."}
                return {"type": "object", "minProperties": 1, **told}
            case _:
                return {}

    def _people(self, table: str, targets: tuple[str, ...]) -> Schema:
        """A path to one person of these tables, or the subject itself where it is one."""

        def make() -> Schema:
            own = [table] if table in targets else []
            paths = [path for path, target in self._ways.records(table) if target in targets]
            return among([*own, *paths], self._longer_records(targets))

        return self._definitions.ref(f"{'-'.join(targets)}.of.{table}", make)

    def _longer_records(self, targets: tuple[str, ...] | None = None) -> str:
        """A pattern of paths to records that are not listed."""
        catalog = self._ways.catalog
        last = {
            relation.name
            for table in catalog.tables
            for relation in catalog.relations(table)
            if not relation.many and (targets is None or relation.target in targets)
        }
        return self._ways.longer(last, least=LISTED_HOPS, most=MOST_HOPS - 1)

    def _assignees(self, table: str) -> Schema:
        teams = [f"{TEAM}{team}" for team in self._names.teams]
        people = self._people(table, ("user",))
        return {
            **one_or_more({"anyOf": [people, {"enum": teams}]} if teams else people),
            "description": "Who does it: the first active user of these.",
        }

    def _approval(self, table: str) -> Schema:
        by = one_or_more(self._people(table, ("user",)))
        expires = self._values.duration()
        return {
            "anyOf": [by, mapping({"by": by, "expires": expires}, ())],
            "description": "Who must approve it before it is done.",
        }

    def _recipient(self, table: str) -> Schema:
        return self._definitions.ref(f"recipient.{table}", lambda: self._to(table))

    def _to(self, table: str) -> Schema:
        person = self._people(table, _PERSONS)
        otherwise = {**self._recipient(table), "description": "Who is next."}
        choices = [person, mapping({"path": person, "otherwise": otherwise}, ["path"])]
        if table == "account" or self._ways.catalog.relation(table, "account") is not None:
            roles = self._names.values.get(("contact", "role"), ())
            role = {
                **offered(roles, {"type": "string"}),
                "description": "The account's contact with this role.",
            }
            choices.append(mapping({"role": role, "otherwise": otherwise}, ["role"]))
        return {"anyOf": choices}

    def _updates(self, table: str) -> list[Schema]:
        """What ``fields`` can be, by the record that is updated."""
        targets: dict[str, list[str]] = {}
        for path, target in self._ways.records(table):
            targets.setdefault(target, []).append(path)
        own: Schema = {
            "if": {"not": {"required": ["record"]}},
            "then": {"properties": {"fields": self._fields(table)}},
        }
        others = [
            {
                "if": {"properties": {"record": {"enum": paths}}, "required": ["record"]},
                "then": {"properties": {"fields": self._fields(target)}},
            }
            for target, paths in targets.items()
        ]
        return [own, *others]

    def _fields(self, table: str) -> Schema:
        return self._definitions.ref(f"update.{table}", lambda: self._new_values(table))

    def _new_values(self, table: str) -> Schema:
        template = {"type": "string", "pattern": r"\{\{|\{%"}
        empty = {"type": "null"}
        fields = {
            field.name: {
                "anyOf": [self._values.literal(field.type), template, empty],
                "description": described(field.name, field),
            }
            for field in self._ways.catalog.tables[table].own_fields
            if field not in BASE_FIELDS
        }
        return mapping(fields, ())
