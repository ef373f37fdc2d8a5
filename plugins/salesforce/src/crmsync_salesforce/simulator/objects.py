"""What objects and fields an org has, and how it describes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from crmsync_salesforce.simulator.standard import STANDARD, SYSTEM

_FIELD = re.compile(r"  (\w+) (\w+)(?:\(([\w,]+)\))?((?: \w+)*)")
_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
}
_LONGEST_FILTERABLE = 255
_ID_LENGTH = 18


@dataclass(frozen=True, kw_only=True)
class FieldDefinition:
    """A field of an object, as an administrator would define it.

    Attributes:
        references: for type ``reference``, the objects that it may lead to.
        required: it must be given when a record is created.
        defaulted: it has a value of its own where none is given.
        filled: it is never empty.
        lookup: records can be found by it.
        unrelated: a query cannot go on from it to what it leads to.
        unfiltered: a query cannot ask for its values.
    """

    name: str
    type: str
    length: int = 0
    references: tuple[str, ...] = ()
    required: bool = False
    defaulted: bool = False
    createable: bool = True
    updateable: bool = True
    external_id: bool = False
    unique: bool = False
    filled: bool = False
    lookup: bool = False
    unrelated: bool = False
    unfiltered: bool = False

    @property
    def filterable(self) -> bool:
        """Whether a query can ask for its values."""
        return not self.unfiltered and (
            self.type != "textarea" or self.length <= _LONGEST_FILTERABLE
        )

    @property
    def custom(self) -> bool:
        """Whether an administrator made it."""
        return self.name.endswith("__c")

    @property
    def relationship(self) -> str | None:
        """The name by which a query goes on to the record that it leads to."""
        if self.type != "reference" or self.unrelated:  # a list of ids leads nowhere
            return None
        if self.custom:
            return f"{self.name[:-3]}__r"
        return self.name.removesuffix("Id")

    def describe(self) -> dict[str, Any]:
        """As the org tells it."""
        length = _ID_LENGTH if self.type in {"id", "reference"} else self.length
        system = self.type in {"id", "boolean"} or self.name in _NEVER_NULL
        return {
            "name": self.name,
            "label": self.name,
            "type": self.type,
            "length": length,
            "soapType": _SOAP.get(self.type, "xsd:string"),
            "nillable": not (self.required or self.filled or system),
            "createable": self.createable,
            "updateable": self.updateable,
            "defaultedOnCreate": self.defaulted or system,
            "filterable": self.filterable,
            "sortable": self.filterable,
            "custom": self.custom,
            "calculated": False,
            "externalId": self.external_id,
            "unique": self.unique,
            "idLookup": self.type == "id" or self.external_id or self.lookup,
            "referenceTo": list(self.references),
            "relationshipName": self.relationship,
            "polymorphicForeignKey": len(self.references) > 1,
        }


_NEVER_NULL = {"CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById",
               "SystemModstamp"}  # fmt: skip


@dataclass(kw_only=True)
class ObjectDefinition:
    """An object of the org.

    Attributes:
        prefix: the first three characters of its records' ids.
        name_field: which field a record is called by.
        words: what is unusual: ``permanent`` (never deleted), ``unrestored``, ``unmerged``,
            ``unsearched``, ``history`` (of fields; only the org writes it), ``readonly`` (the
            API's user may read it only).
        hidden: fields that field-level security hides from the API's user.
    """

    name: str
    prefix: str
    name_field: str
    words: frozenset[str] = frozenset()
    fields: dict[str, FieldDefinition] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)

    @property
    def deletable(self) -> bool:
        """Whether its records can be deleted."""
        return "permanent" not in self.words

    def visible(self, name: str) -> FieldDefinition | None:
        """The field of that name in any case, unless it is hidden."""
        found = self._by_lower.get(name.lower()) or self._refreshed().get(name.lower())
        return None if found is None or found.name in self.hidden else found

    def add(self, added: FieldDefinition) -> None:
        """Add a field, or put another in its place."""
        self.fields[added.name] = added
        self._refreshed()

    def __post_init__(self) -> None:
        self._by_lower: dict[str, FieldDefinition] = {}

    def _refreshed(self) -> dict[str, FieldDefinition]:
        self._by_lower = {name.lower(): one for name, one in self.fields.items()}
        return self._by_lower

    def describe(self) -> dict[str, Any]:
        """As the org tells it; what is hidden is not there."""
        fields = [f.describe() for f in self.fields.values() if f.name not in self.hidden]
        return self.summary() | {"fields": fields, "childRelationships": [], "recordTypeInfos": []}

    def summary(self) -> dict[str, Any]:
        """As it stands in the list of all objects."""
        return {
            "name": self.name,
            "label": self.name,
            "labelPlural": f"{self.name}s",
            "keyPrefix": self.prefix,
            "custom": self.name.endswith("__c"),
            "createable": not self.words & {"history", "readonly"},
            "updateable": not self.words & {"history", "readonly"},
            "deletable": self.deletable,
            "undeletable": self.deletable and "unrestored" not in self.words,
            "mergeable": "MasterRecordId" in self.fields and "unmerged" not in self.words,
            "queryable": True,
            "replicateable": True,
            "retrieveable": True,
            "searchable": "unsearched" not in self.words,
        }


def parsed_field(line: str) -> FieldDefinition:
    """A field from its line in the list above."""
    match = _FIELD.fullmatch(line)
    if match is None:
        raise ValueError(f"no field: {line!r}")
    name, kind, size, words = match.group(1), match.group(2), match.group(3), match.group(4).split()
    writable = "readonly" not in words
    return FieldDefinition(
        name=name,
        type=kind,
        length=int(size) if size and size.isdigit() else 0,
        references=tuple(size.split(",")) if kind in {"reference", "junctionidlist"} else (),
        required="required" in words,
        defaulted="defaulted" in words,
        createable=writable,
        updateable=writable and "createonly" not in words,
        external_id="external" in words,
        unique="unique" in words,
        filled="filled" in words,
        lookup="lookup" in words,
        unrelated="unrelated" in words,
        unfiltered="unfiltered" in words,
    )


def parsed_objects(text: str = STANDARD) -> dict[str, ObjectDefinition]:
    """Objects from a list like the one above."""
    return {one.name: one for one in map(_parsed_object, text.strip().split("\n\n"))}


def _parsed_object(text: str) -> ObjectDefinition:
    head, *lines = text.strip().split("\n")
    name, prefix, name_field, *words = head.split()
    one = ObjectDefinition(name=name, prefix=prefix, name_field=name_field, words=frozenset(words))
    for line in [*SYSTEM.strip("\n").split("\n"), *lines]:
        unstamped = "history" in words and ("Modified" in line or "SystemModstamp" in line)
        if not unstamped and (one.deletable or "IsDeleted" not in line):
            one.add(parsed_field(line))
    return one


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SHORT_ID = 15
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@cache
def _suffix(chunk: str) -> str:
    return _LETTERS[sum(1 << place for place, letter in enumerate(chunk) if letter.isupper())]


def long_id(short: str) -> str:
    """The id of 18 characters, which differs from others in more than case."""
    return short + "".join(_suffix(short[at : at + 5]) for at in (0, 5, 10))


def minted_id(prefix: str, number: int) -> str:
    """The id of the so-manieth record of an object."""
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return long_id(f"{prefix}5e{text:0>10}")


def as_long_id(text: str) -> str | None:
    """An id as the org keeps it, from one of 15 or 18 characters; None where it is none."""
    if not text.isascii() or not text.isalnum() or len(text) not in {_SHORT_ID, _ID_LENGTH}:
        return None
    long = long_id(text[:_SHORT_ID])
    return long if len(text) == _SHORT_ID or text == long else None
