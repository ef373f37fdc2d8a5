"""How a stream's own fields become a canonical table's; written by RevOps in the config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from crmsync.config.base import NamesField, Settings
from crmsync.model.tables import CANONICAL_TABLES, FieldType
from crmsync.model.tables import Field as TableField

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from crmsync.model.actions import Scalar
    from crmsync.model.tables import Table

OTHERWISE = "*"


def _value_keys_as_text(value: object) -> object:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else value


class FieldMapping(Settings):
    """Where one field's value comes from.

    ``column`` names one column, or several of which the first that is not empty counts;
    ``join`` puts several together; ``value`` is the same for every record.
    ``values`` translates what the remote says; the key ``*`` stands for everything else,
    ``""`` for an empty value.
    ``format`` is one strptime format or a list that is tried in order, for dates and instants.
    ``time_zone`` is that of instants without an offset; the company's where it is not given.
    ``type`` makes a custom field of a name that the canonical table does not have.
    ``tracked`` keeps each change of it from then on, so that rules can ask what changed.
    """

    column: NamesField = Field(default=[])
    join: list[str] = Field(default=[])
    separator: str = " "
    value: str | int | float | bool | None = None
    values: Annotated[
        dict[str, str | int | float | bool | None], BeforeValidator(_value_keys_as_text)
    ] = Field(default={})
    format: NamesField = Field(default=[])
    time_zone: str | None = None
    decimal: Literal[".", ","] = "."
    type: FieldType | None = None
    references: str | None = None
    tracked: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:  # noqa: ANN401  pydantic's own signature
        return {"column": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one_source(self) -> FieldMapping:
        given = [bool(self.column), bool(self.join), "value" in self.model_fields_set]
        if sum(given) != 1:
            raise ValueError("give exactly one of column, join and value")
        if (self.type is FieldType.REFERENCE) != (self.references is not None):
            raise ValueError("“type: reference” and “references: TABLE” go together")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """How editors check it: the short form is the name of a column."""
        return {"anyOf": [{"type": "string"}, handler(schema)]}

    @property
    def columns(self) -> tuple[str, ...]:
        """The remote's fields that it reads."""
        return tuple(self.column or self.join)

    def remote_words(self, value: Scalar) -> tuple[Scalar, ...]:
        """The remote's own words that are read as a value, for writing it back.

        Several, or none, where nobody can tell which one is meant.
        """
        words = [word for word in self.values if word != OTHERWISE]
        found = [word for word in words if _spelt(self.values[word]) == _spelt(value)]
        if found:
            return tuple(_own(word) for word in found)
        if value is None:
            return () if "" in words else (None,)
        # What no line of “values” names is read as it is.
        translated = OTHERWISE in self.values or _spelt(value) in words
        return () if translated else (value,)


def _spelt(value: Scalar) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _own(word: str) -> Scalar:
    """A key of “values” as the remote has it: those that mean nothing, or a truth, are no texts."""
    return {"": None, "true": True, "false": False}.get(word, word)


class StreamSettings(Settings):
    """A stream of a connection: the mapping, and keys that only its connector knows."""

    model_config = ConfigDict(frozen=True, extra="allow", arbitrary_types_allowed=True)

    table: str
    key: NamesField = Field(min_length=1)
    fields: dict[str, FieldMapping]
    deleted: FieldMapping | None = None
    merged_into: str | None = None

    @property
    def own_options(self) -> dict[str, Any]:
        """The keys that belong to the connector."""
        return dict(self.model_extra or {})

    @property
    def columns(self) -> tuple[str, ...]:
        """Every field of the remote that the mapping reads, each once."""
        read = [*self.key]
        for mapping in self.fields.values():
            read += mapping.columns
        if self.deleted is not None:
            read += self.deleted.columns
        if self.merged_into is not None:
            read.append(self.merged_into)
        return tuple(dict.fromkeys(read))

    def custom_fields(self) -> tuple[TableField, ...]:
        """The fields that this mapping adds to its table."""
        table = CANONICAL_TABLES[self.table]
        return tuple(
            TableField(
                name=name, type=mapping.type, references=mapping.references, tracked=mapping.tracked
            )
            for name, mapping in self.fields.items()
            if table.field(name) is None and mapping.type is not None
        )

    def tracked_columns(self, table: Table) -> tuple[str, ...]:
        """The remote's fields behind those of the table whose changes are kept."""
        return self.columns_of([field.name for field in table.fields if field.tracked])

    def columns_of(self, names: Collection[str]) -> tuple[str, ...]:
        """The remote's fields behind these of the table, each once."""
        read = [c for name, one in self.fields.items() if name in names for c in one.columns]
        return tuple(dict.fromkeys(read))

    def remote_field(self, name: str) -> str | None:
        """The one column behind a field, or None where it has none, or several."""
        mapping = self.fields.get(name)
        return mapping.column[0] if mapping and len(mapping.column) == 1 else None
