"""A rule as a value: what the loader reads from YAML, and what everything after it works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from crmsync.config.settings import Existing
    from crmsync.config.tightening import RulePolicy
    from crmsync.config.yaml import Place
    from crmsync.model.actions import Scalar
    from crmsync.model.durations import Duration
    from crmsync.model.schedules import Schedule
    from crmsync.rules.conditions import Column, Condition


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """To whom a mail goes: a path from the subject, or a role among the account's contacts.

    Attributes:
        path: for example ``primary_contact``, ``contact``, ``owner``; None where a role is given.
        role: the contact of the account with this role.
        otherwise: who is next where there is nobody; None holds the step.
    """

    path: str | None = None
    role: str | None = None
    otherwise: Recipient | None = None


@dataclass(frozen=True, kw_only=True)
class NeededApproval:
    """``approval:``; who must have said yes before a step is done.

    Attributes:
        by: paths to users; the first active one is meant.
        expires: how long it waits for the answer; None for as long as its conditions hold.
    """

    by: tuple[str, ...]
    expires: Duration | None = None


@dataclass(frozen=True, kw_only=True)
class TaskStep:
    """``task:``. Texts are Jinja2 templates.

    Attributes:
        assign_to: paths to users, or ``team.NAME``; the first active user is meant.
    """

    id: str
    assign_to: tuple[str, ...]
    subject: str
    body: str = ""
    due: Duration | None = None
    approval: NeededApproval | None = None
    place: Place = field(compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True)
class EmailStep:
    """``email:``.

    Attributes:
        sender: ``company`` or a path to a user.
        email_class: commercial or service; None leaves it to the template.
    """

    id: str
    to: Recipient
    template: str
    sender: str = "owner"
    email_class: str | None = None
    approval: NeededApproval | None = None
    place: Place = field(compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True)
class NoteStep:
    """``note:``; on the subject."""

    id: str
    text: str
    approval: NeededApproval | None = None
    place: Place = field(compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True)
class UpdateStep:
    """``update:``; new values for fields of the subject, or of a record that it refers to.

    Attributes:
        record: a path to the record; empty for the subject.
        fields: canonical field name to its value; text is a Jinja2 template.
    """

    id: str
    record: str
    fields: Mapping[str, Scalar]
    approval: NeededApproval | None = None
    place: Place = field(compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


Step = TaskStep | EmailStep | NoteStep | UpdateStep


def place_of(step: Step, key: str) -> Place:
    """Where the value of a key of a step stands; of a field, where the step is an update."""
    return step.places.get(key, step.place)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule, checked against the catalog.

    Attributes:
        version: a hash of the rule's text, segments included; changes when its meaning may.
        once_per: paths whose values make an enrolment unique for ever; empty where not given.
        once_per_columns: what these paths lead to, in the same order.
        must_last: how long the conditions must hold before anybody enters, the key ``for``; None
            for not at all.
        existing: None leaves it to the config.
        expires: the last day, in the company's zone, on which anybody enters; None for no end.
        inhibits, inhibited_by: names or labels of other rules, as written; `inhibitors` tells
            who is meant.
        policy: what it asks for beyond the config's; loosens nothing of that.
        schedule: when the daemon lets anybody in; None for whenever they match.
    """

    name: str
    description: str
    subject: str
    when: Condition
    then: tuple[Step, ...]
    version: str
    place: Place
    once_per: tuple[str, ...] = ()
    once_per_columns: tuple[Column, ...] = ()
    must_last: Duration | None = None
    cooldown: Duration | None = None
    existing: Existing | None = None
    labels: tuple[str, ...] = ()
    priority: int = 50
    expires: date | None = None
    inhibits: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    policy: RulePolicy | None = None
    schedule: Schedule | None = None
