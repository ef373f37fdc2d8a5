"""JSON Schema of the config, from its models and those of the connectors' options."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from pydantic.json_schema import GenerateJsonSchema

from crmsync.config.mapping import FieldMapping, StreamSettings
from crmsync.config.settings import Config, ConnectionSettings
from crmsync.model.tables import CANONICAL_TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from crmsync.model.tables import Table

Schema = dict[str, Any]

_DRAFT = "http://json-schema.org/draft-07/schema#"
_MODELS = "#/definitions/{model}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a connector knows beside the core's own keys.

    Attributes:
        connection: the model of a connection's own keys.
        stream: the model of a stream's own keys.
    """

    description: str
    connection: type[BaseModel]
    stream: type[BaseModel]


def config_schema(connectors: Mapping[str, Options]) -> Schema:
    """The schema of the config file, with the options of each installed connector.

    It is draft-07, as the schemas of rules are.
    """
    definitions: dict[str, Schema] = {}
    root = _shape(Config, definitions)
    definitions |= {f"fields.{name}": _fields(table) for name, table in CANONICAL_TABLES.items()}
    root["properties"]["connections"]["additionalProperties"] = {
        "type": "object",
        "required": ["connector"],
        "properties": {
            "connector": {
                "enum": sorted(connectors),
                "description": "Which connector; “crmsync plugins list” shows the installed ones.",
            }
        },
        "allOf": [
            {
                "if": {"properties": {"connector": {"const": name}}, "required": ["connector"]},
                "then": _connection(name, options, definitions),
            }
            for name, options in sorted(connectors.items())
        ],
    }
    company = definitions["Company"]["properties"]["time_zone"]
    company["anyOf"] = [{"enum": sorted(available_timezones())}, {"type": "string"}]
    return {"$schema": _DRAFT, **root, "definitions": definitions}


def _shape(model: type[BaseModel], definitions: dict[str, Schema], of: str = "") -> Schema:
    """The schema of a model; the models in it become definitions.

    ``of`` comes before their names: models of two connectors may be called the same.
    """
    template = _MODELS.format(model=f"{of}{{model}}")
    shape = model.model_json_schema(ref_template=template, schema_generator=_Generator)
    for name, definition in shape.pop("$defs", {}).items():
        definitions.setdefault(f"{of}{name}", definition)
    return shape


class _Generator(GenerateJsonSchema):
    """Leaves out the defaults: those that are no JSON would be warned about."""

    def default_schema(self, schema: Any) -> Schema:  # noqa: ANN401  pydantic's own type is private
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, _schema: Any) -> bool:  # noqa: ANN401  likewise
        """Never: a title that repeats the key tells an author nothing."""
        return False


def _connection(name: str, options: Options, definitions: dict[str, Schema]) -> Schema:
    """A connection of one connector: the core's keys and its own."""
    own = _shape(options.stream, definitions, f"{name}.")
    stream = _with_own(_shape(StreamSettings, definitions), own)
    stream["allOf"] = [
        {
            "if": {"properties": {"table": {"const": table}}, "required": ["table"]},
            "then": {"properties": {"fields": {"$ref": f"#/definitions/fields.{table}"}}},
        }
        for table in CANONICAL_TABLES
    ]
    stream["properties"]["table"] = {"enum": list(CANONICAL_TABLES)}
    definitions[f"stream.{name}"] = stream
    own = _shape(options.connection, definitions, f"{name}.")
    whole = _with_own(_shape(ConnectionSettings, definitions), own)
    whole["properties"]["streams"] = {
        "type": "object",
        "additionalProperties": {"$ref": f"#/definitions/stream.{name}"},
    }
    whole["description"] = options.description
    definitions[f"connection.{name}"] = whole
    return {"$ref": f"#/definitions/connection.{name}"}


def _with_own(core: Schema, own: Schema) -> Schema:
    """The core's keys together with a connector's; others are refused where it refuses them."""
    whole = deepcopy(core)
    whole["properties"] |= own.get("properties", {})
    whole["required"] = [*whole.get("required", []), *own.get("required", [])]
    whole["additionalProperties"] = own.get("additionalProperties", True)
    return whole


def _fields(table: Table) -> Schema:
    """The fields of a table, and custom ones, which need a type."""
    mapping = {"$ref": _MODELS.format(model=FieldMapping.__name__)}
    return {
        "type": "object",
        "properties": {
            field.name: {**mapping, "description": field.description or f"A {field.type}."}
            for field in table.fields
        },
        "additionalProperties": {
            "allOf": [mapping, {"type": "object", "required": ["type"]}],
            "description": "A field of your own.",
        },
    }
