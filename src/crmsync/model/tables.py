"""The canonical tables: one vocabulary for every CRM.

A connector's streams are mapped to these tables; rules, facts and templates speak of nothing else.
Ids are global: ``<connection>:<id in the remote>``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from crmsync.model.notices import NoticeKind

if TYPE_CHECKING:
    from collections.abc import Collection

ID_SEPARATOR = ":"


class FieldType(StrEnum):
    """What a field's values are."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"  # exact, four decimal places; amounts of money are numbers beside a currency
    BOOLEAN = "boolean"
    DATE = "date"  # never shifted by a time zone
    INSTANT = "instant"  # UTC
    REFERENCE = "reference"  # the global id of a record of another table


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column of a canonical table, or one that an installation has added.

    Attributes:
        references: the table whose record a REFERENCE names; None for all other types.
        tracked: whether each change of it is kept in the history.
        words: the only values that a TEXT may have; empty where it may be anything.
    """

    name: str
    type: FieldType
    description: str = ""
    references: str | None = None
    tracked: bool = False
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.type is FieldType.REFERENCE) != (self.references is not None):
            raise ValueError(f"field {self.name}: a reference, and only that, names its table")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A canonical table. ``plural`` names the relation to it from the table it refers to."""

    name: str
    plural: str
    description: str
    own_fields: tuple[Field, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that every table has, then its own."""
        return BASE_FIELDS + self.own_fields

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)

    def with_tracked(self, names: Collection[str]) -> Table:
        """This table, where each change of these fields of its own is kept too."""
        fields = tuple(
            replace(field, tracked=True) if field.name in names else field
            for field in self.own_fields
        )
        return replace(self, own_fields=fields)

    def with_fields(self, added: tuple[Field, ...]) -> Table:
        """This table with an installation's custom fields."""
        return Table(
            name=self.name,
            plural=self.plural,
            description=self.description,
            own_fields=self.own_fields + added,
        )


def _text(name: str, description: str = "", *, tracked: bool = False) -> Field:
    return Field(name=name, type=FieldType.TEXT, description=description, tracked=tracked)


def _word(
    name: str, words: tuple[str, ...], description: str = "", *, tracked: bool = False
) -> Field:
    told = f"{', '.join(words[:-1])} or {words[-1]}. {description}".strip()
    return Field(name=name, type=FieldType.TEXT, description=told, tracked=tracked, words=words)


def _instant(name: str, description: str = "") -> Field:
    return Field(name=name, type=FieldType.INSTANT, description=description)


def _date(name: str, description: str = "", *, tracked: bool = False) -> Field:
    return Field(name=name, type=FieldType.DATE, description=description, tracked=tracked)


def _number(name: str, description: str = "", *, tracked: bool = False) -> Field:
    return Field(name=name, type=FieldType.NUMBER, description=description, tracked=tracked)


def _integer(name: str, description: str = "") -> Field:
    return Field(name=name, type=FieldType.INTEGER, description=description)


def _flag(name: str, description: str = "", *, tracked: bool = False) -> Field:
    return Field(name=name, type=FieldType.BOOLEAN, description=description, tracked=tracked)


def _ref(
    name: str, table: str | None = None, description: str = "", *, tracked: bool = False
) -> Field:
    return Field(
        name=name,
        type=FieldType.REFERENCE,
        references=table or name,
        description=description,
        tracked=tracked,
    )


BASE_FIELDS = (
    _text("id", "The global id: connection, colon, the remote's id."),
    _text("connection", "The connection that the record came from."),
    _instant("created_at", "When the record was created in the remote."),
    _instant("updated_at", "When the remote last changed it; decides which of two pages is later."),
    _instant("deleted_at", "When it was found deleted; a tombstone."),
    _text("url", "Where a person finds it in the remote."),
)

_EXTERNAL = "Its id in another system, or one that both systems share."
_TABLES = (
    Table(
        name="account",
        plural="accounts",
        description="A customer: a company.",
        own_fields=(
            _text("name"),
            _text("domain"),
            _text("external_id", _EXTERNAL),
            _ref("owner", "user", tracked=True),
            _ref("parent", "account"),
            _ref("primary_contact", "contact"),
            _text("tier", tracked=True),
            _text("status", "For example onboarding, active, churned.", tracked=True),
            _text("industry"),
            _text("country", "ISO 3166 two-letter code."),
            _text("time_zone", "IANA name."),
            _text("currency", "ISO 4217 code."),
            _number("recurring_revenue", "A year's, in its currency.", tracked=True),
            _date("customer_since"),
            _date("renewal_date", tracked=True),
            _flag("do_not_contact", tracked=True),
        ),
    ),
    Table(
        name="contact",
        plural="contacts",
        description="A person at an account.",
        own_fields=(
            _ref("account"),
            _text("first_name"),
            _text("last_name"),
            _text("name", "The whole name as the CRM shows it."),
            _text("email"),
            _text("external_id", _EXTERNAL),
            _text("role", "For example champion, decision maker, user.", tracked=True),
            _text("country", "ISO 3166 two-letter code."),
            _text("time_zone", "IANA name."),
            _text("locale", "For example de_CH."),
            _flag("unsubscribed", tracked=True),
            _flag("bounced", tracked=True),
            _flag("do_not_contact", tracked=True),
        ),
    ),
    Table(
        name="user",
        plural="users",
        description="A colleague: someone who owns accounts and does tasks.",
        own_fields=(
            _text("name"),
            _text("email"),
            _ref("manager", "user"),
            _text("time_zone", "IANA name."),
            _flag("active", tracked=True),
        ),
    ),
    Table(
        name="deal",
        plural="deals",
        description="An opportunity to sell.",
        own_fields=(
            _ref("account"),
            _ref("contact"),
            _ref("owner", "user", tracked=True),
            _text("name"),
            _text("kind", "For example new business, expansion, renewal."),
            _text("pipeline"),
            _text("stage", tracked=True),
            _number("amount", tracked=True),
            _text("currency", "ISO 4217 code."),
            _date("opened_on", "When selling began."),
            _date("close_date", tracked=True),
            _flag("open", tracked=True),
            _flag("won", tracked=True),
        ),
    ),
    Table(
        name="activity",
        plural="activities",
        description="Something that happened or is planned between people.",
        own_fields=(
            _ref("account"),
            _ref("contact"),
            _ref("deal"),
            _ref("owner", "user"),
            _word("kind", ("call", "email", "meeting", "note", "task", "chat")),
            _word("direction", ("inbound", "outbound"), "Seen from us; empty where it has none."),
            _instant("at", "When it happened, or begins."),
            _instant("ended_at"),
            _flag("automated", "Sent or made by a machine: never counts as contact."),
            _word("status", ("planned", "completed", "cancelled"), "Empty counts as completed."),
            _text("subject"),
            _text("text"),
            _text("message_id", "RFC 5322 Message-ID, without angle brackets."),
            _text(
                "answers",
                "The Message-IDs that a mail refers to, the nearest first, separated by spaces.",
            ),
            _text(
                "addresses",
                "E-mail addresses of the other side, separated by spaces; by them, mail that no "
                "CRM has attached to anybody finds its contacts and accounts.",
            ),
            _text("sender", "The e-mail address, without a name, that a mail came from."),
            _word(
                "notice",
                tuple(NoticeKind),
                "What a mail that a machine wrote tells of an address; empty for all other mail.",
            ),
            _text(
                "notice_address",
                "The e-mail address that the notice is about; several are separated by spaces.",
            ),
            _text("notice_reason", "Of a bounce, why the mail did not arrive, in a few words."),
            _date("notice_until", "Of an absence, the last day of it where that is stated."),
        ),
    ),
    Table(
        name="activity_link",
        plural="activity_links",
        description="An association of an activity that arrived apart from it, often later.",
        own_fields=(_ref("activity"), _ref("account"), _ref("contact"), _ref("deal")),
    ),
    Table(
        name="ticket",
        plural="tickets",
        description="A request for support.",
        own_fields=(
            _ref("account"),
            _ref("contact"),
            _ref("owner", "user"),
            _text("subject"),
            _text("status", tracked=True),
            _text("priority", tracked=True),
            _instant("opened_at"),
            _instant("closed_at"),
            _text("topic"),
        ),
    ),
    Table(
        name="order",
        plural="orders",
        description="A purchase.",
        own_fields=(
            _ref("account"),
            _ref("contact"),
            _instant("at"),
            _number("amount"),
            _text("currency", "ISO 4217 code."),
            _integer("items"),
        ),
    ),
    Table(
        name="subscription",
        plural="subscriptions",
        description="A running agreement.",
        own_fields=(
            _ref("account"),
            _text("product"),
            _date("start_date"),
            _date("end_date"),
            _number("recurring_amount"),
            _text("currency", "ISO 4217 code."),
            _text("status", tracked=True),
        ),
    ),
    Table(
        name="feedback",
        plural="feedback",
        description="An answer to a survey.",
        own_fields=(
            _ref("account"),
            _ref("contact"),
            _text("instrument", "nps, csat or ces."),
            _number("score"),
            _text("comment"),
            _instant("at"),
        ),
    ),
    Table(
        name="usage",
        plural="usage",
        description="How often a feature was used on a day.",
        own_fields=(
            _ref("account"),
            _ref("contact"),
            _text("feature"),
            _date("day"),
            _integer("count"),
        ),
    ),
    Table(
        name="promise",
        plural="promises",
        description="Something we said a customer would have by a date.",
        own_fields=(
            _ref("account"),
            _text("title"),
            _date("due", tracked=True),
            _date("forecast", "When it will be done as things stand.", tracked=True),
            _text("said_by"),
            _text("evidence"),
            _word("state", ("open", "kept", "broken", "withdrawn"), tracked=True),
        ),
    ),
)

CANONICAL_TABLES: dict[str, Table] = {table.name: table for table in _TABLES}

_NATURAL_TIMES = {
    "activity": "at",
    "ticket": "opened_at",
    "order": "at",
    "feedback": "at",
    "usage": "day",
    "subscription": "start_date",
    "deal": "opened_on",
}


def natural_time(table: str) -> str:
    """The field that says when a record of a table happened."""
    return _NATURAL_TIMES.get(table, "created_at")


def global_id(connection: str, remote_id: str) -> str:
    """The id that all of crmsync uses for a remote's record."""
    return f"{connection}{ID_SEPARATOR}{remote_id}"


def split_global_id(record_id: str) -> tuple[str, str]:
    """The connection and the remote's own id of a global id."""
    connection, _, remote_id = record_id.partition(ID_SEPARATOR)
    return connection, remote_id
