"""When we last spoke with a customer, and when we shall: computed from raw activity.

The CRMs' own roll-ups are wrong for this: some count planned meetings, some count mail that a
machine sent. Contact is a call, a meeting or an e-mail between people, in either direction, that
took place and lies in the past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.facts.build import declared, named
from crmsync.model.tables import FieldType
from crmsync.plugins.contract import Measure
from crmsync.warehouse.associations import LINKED_TABLES, reached_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

    from crmsync.plugins.contract import Fact, FactFields, FactTables

    _Activities = Callable[[FactTables], ir.Table]

_CONVERSATIONS = ("call", "email", "meeting")
_NOT_YET = ("planned", "cancelled")
_RESTS_ON = ("activity",)


def _is_between_people(activity: FactFields) -> ir.BooleanValue:
    of_people = activity["kind"].isin(_CONVERSATIONS) & ~activity["automated"].fill_null(False)
    return of_people & activity["at"].notnull()


def _is_conversation(tables: FactTables, activity: FactFields) -> ir.BooleanValue:
    """Whether an activity counts as contact: between people, over, not cancelled."""
    took_place = ~activity["status"].fill_null("completed").isin(_NOT_YET)
    begun = activity["at"] <= tables.now
    ended = activity["ended_at"].fill_null(activity["at"]) <= tables.now
    return _is_between_people(activity) & begun & ended & took_place


def _is_reply(tables: FactTables, activity: FactFields) -> ir.BooleanValue:
    return _is_conversation(tables, activity) & (activity["direction"] == "inbound")


def _is_ahead(tables: FactTables, activity: FactFields) -> ir.BooleanValue:
    planned = activity["status"].fill_null("planned") != "cancelled"
    return (activity["kind"] == "meeting") & (activity["at"] > tables.now) & planned


def _first(activity: FactFields, where: ir.BooleanValue) -> ir.Value:
    return activity["at"].min(where=where)


def _last(activity: FactFields, where: ir.BooleanValue) -> ir.Value:
    return activity["at"].max(where=where)


def _between_people(tables: FactTables) -> ir.Table:
    activity = tables.table("activity")
    return activity.filter(_is_between_people(activity))


def conversations(tables: FactTables) -> ir.Table:
    """Activities that count as contact."""
    activity = tables.table("activity")
    return activity.filter(_is_conversation(tables, activity))


def _first_or_last(
    tables: FactTables, activities: ir.Table, subject: str, *, last: bool = True
) -> ir.Table:
    found = reached_by(subject, activities, tables.table, ["at"])
    chosen = found["at"].max() if last else found["at"].min()
    return found.group_by(id=found.record).aggregate(value=chosen)


def _last_contact(subject: str) -> Callable[[FactTables], ir.Table]:
    return lambda tables: _first_or_last(tables, conversations(tables), subject)


def _replies(tables: FactTables) -> ir.Table:
    activity = tables.table("activity")
    return activity.filter(_is_reply(tables, activity))


def _last_reply(subject: str) -> Callable[[FactTables], ir.Table]:
    def build(tables: FactTables) -> ir.Table:
        return _first_or_last(tables, _replies(tables), subject)

    return build


def _next_meeting(subject: str) -> Callable[[FactTables], ir.Table]:
    def build(tables: FactTables) -> ir.Table:
        return _first_or_last(tables, _meetings_ahead(tables), subject, last=False)

    return build


def _meetings_ahead(tables: FactTables) -> ir.Table:
    activity = tables.table("activity")
    return activity.filter(_is_ahead(tables, activity))


def _meetings(tables: FactTables) -> ir.Table:
    activity = tables.table("activity")
    return activity.filter(activity.kind == "meeting", activity["at"].notnull())


def _turns(subject: str, of: _Activities) -> Callable[[FactTables], Sequence[ir.Table]]:
    """A conversation counts when it has begun and ended; a meeting is ahead until it begins."""

    def turns(tables: FactTables) -> Sequence[ir.Table]:
        found = reached_by(subject, of(tables), tables.table, ["at", "ended_at"])
        ended = found.filter(found.ended_at.notnull())
        return [found.select(id="record", at="at"), ended.select(id="record", at="ended_at")]

    return turns


def _begins(subject: str, of: _Activities) -> Callable[[FactTables], ir.Table]:
    def values(tables: FactTables) -> ir.Table:
        found = reached_by(subject, of(tables), tables.table, ["at"])
        return found.select(id="record", value="at")

    return values


def _evidence(subject: str, of: _Activities) -> Callable[[FactTables], ir.Table]:
    def evidence(tables: FactTables) -> ir.Table:
        found = reached_by(subject, of(tables), tables.table, ["at"])
        return named("activity", found, "record", "at")

    return evidence


def contact_facts() -> tuple[Fact, ...]:
    """``last_contact``, ``last_reply`` and ``next_meeting`` of accounts, contacts and deals."""
    return tuple(fact for subject in LINKED_TABLES for fact in _facts_of(subject))


def _facts_of(subject: str) -> tuple[Fact, ...]:
    def latest(
        where: Callable[[FactTables, FactFields], ir.BooleanValue],
    ) -> Measure:
        return Measure(of="activity", by=subject, where=where, value=_last, latest="at")

    def fact(
        name: str,
        description: str,
        build: Callable[[FactTables], ir.Table],
        *,
        counted: _Activities,
        measure: Measure,
        of: _Activities = _between_people,
    ) -> Fact:
        return declared(
            subject,
            name,
            FieldType.INSTANT,
            description,
            build,
            rests_on=_RESTS_ON,
            measure=measure,
            turns=_turns(subject, of),
            values=_begins(subject, of),
            evidence=_evidence(subject, counted),
        )

    return (
        fact(
            "last_contact",
            "The latest call, meeting or mail between people, either way; never automated.",
            _last_contact(subject),
            counted=conversations,
            measure=latest(_is_conversation),
        ),
        fact(
            "last_reply",
            "The latest of these that came from the customer.",
            _last_reply(subject),
            counted=_replies,
            measure=latest(_is_reply),
        ),
        fact(
            "next_meeting",
            "The next meeting that is not cancelled.",
            _next_meeting(subject),
            counted=_meetings_ahead,
            measure=Measure(of="activity", by=subject, where=_is_ahead, value=_first),
            of=_meetings,
        ),
    )
