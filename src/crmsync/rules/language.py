"""A rule as a value: what the loader reads from YAML, and what everything after it works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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


class ClockOf(StrEnum):
    """In whose time zone, and with whose holidays, business days are counted."""

    OWNER = "owner"
    ACCOUNT = "account"
    COMPANY = "company"


class OnChange(StrEnum):
    """What becomes of those inside when the text of their rule changes."""

    FINISH = "finish"
    RESTART = "restart"
    STOP = "stop"


class IfExists(StrEnum):
    """What a step does while the task that it made before is still open."""

    UPDATE = "update"
    SKIP = "skip"
    CREATE = "create"


class Result(StrEnum):
    """What became of an earlier step."""

    DONE = "done"
    NOT_DONE = "not_done"
    DELIVERED = "delivered"
    DROPPED = "dropped"
    SKIPPED = "skipped"


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
class StepIs:
    """``steps.brief: not_done``: one of these became of an earlier step."""

    step: str
    results: tuple[Result, ...]
    text: str = field(compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What is asked of an enrolment at a point of its way; all of it must hold.

    Attributes:
        results: what became of earlier steps.
        condition: about the subject; None where only steps are asked about.
        enrolled: whether it asks for the instant of the enrolment.
        text: as it is written.
    """

    results: tuple[StepIs, ...] = ()
    condition: Condition | None = None
    enrolled: bool = False
    text: str = field(compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A branch of a ``choose``, from 0; the step stands in it."""

    choice: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What any step can say, and where it stands.

    Attributes:
        after: how long after the steps before it; None for beside them.
        clock: counts business days of ``after``.
        guard: ``if``; where it does not hold, the step is skipped.
        within: the branches around it, from the outermost.
    """

    id: str
    after: Duration | None = None
    clock: ClockOf = ClockOf.COMPANY
    guard: Guard | None = None
    within: tuple[Branch, ...] = ()
    place: Place = field(compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True)
class Making(Placed):
    """What steps that make something can say.

    Attributes:
        requires: paths that texts can name, such as ``contact.first_name``; where one of them is
            empty, nothing is made.
    """

    approval: NeededApproval | None = None
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskStep(Making):
    """``task:``. Texts are Jinja2 templates.

    Attributes:
        assign_to: paths to users, or ``team.NAME``; the first active user is meant.
        if_exists: None updates the task of an earlier round, and looks at no earlier enrolment.
    """

    assign_to: tuple[str, ...]
    subject: str
    body: str = ""
    due: Duration | None = None
    if_exists: IfExists | None = None


@dataclass(frozen=True, kw_only=True)
class EmailStep(Making):
    """``email:``.

    Attributes:
        sender: ``company`` or a path to a user.
        email_class: commercial or service; None leaves it to the template.
        contacted: holds once people have spoken with the customer since the enrolment, so that
            the mail is not sent; None for a mail that is sent all the same.
        comes_later: whether that is asked in the first round, too.
        continues: whether it goes on with the latest mail between people and who gets it.
    """

    to: Recipient
    template: str
    sender: str = "owner"
    email_class: str | None = None
    contacted: Guard | None = None
    comes_later: bool = False
    continues: bool = False


@dataclass(frozen=True, kw_only=True)
class NoteStep(Making):
    """``note:``; on the subject."""

    text: str


@dataclass(frozen=True, kw_only=True)
class UpdateStep(Making):
    """``update:``; new values for fields of the subject, or of a record that it refers to.

    Attributes:
        record: a path to the record; empty for the subject.
        fields: canonical field name to its value; text is a Jinja2 template.
    """

    record: str
    fields: Mapping[str, Scalar]


@dataclass(frozen=True, kw_only=True)
class CustomStep(Making):
    """A kind of action that a connector has added.

    Attributes:
        kind: what it is called.
        by: the connection that does it.
        texts: what it says, by the keys of its kind; each is a Jinja2 template.
    """

    kind: str
    by: str
    texts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class WaitStep(Placed):
    """``wait:``.

    Attributes:
        at_most: how long; where ``until`` is given, at the longest.
        until: each of these ends it.
    """

    at_most: Duration
    until: tuple[Guard, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ChooseStep(Placed):
    """``choose:``; the steps of its branches follow it.

    Attributes:
        branches: the first of these that holds is taken; None stands for ``otherwise``.
    """

    branches: tuple[Guard | None, ...]


Step = TaskStep | EmailStep | NoteStep | UpdateStep | CustomStep
AnyStep = Step | WaitStep | ChooseStep


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A line of ``until``: where it holds, the enrolment ends.

    Attributes:
        goal: whether that is what the rule is for.
    """

    guard: Guard
    goal: bool = False


def asks_for_steps(step: AnyStep) -> bool:
    """Whether a step waits until those before it are over."""
    return (
        step.after is not None
        or isinstance(step, WaitStep | ChooseStep)
        or (step.guard is not None and bool(step.guard.results))
    )


def goes_on_behind(way: Sequence[AnyStep], step: AnyStep) -> bool:
    """Whether another step waits until this one is over."""
    inside = {branch.choice: branch.number for branch in step.within}
    behind = way[way.index(step) + 1 :]
    return any(
        asks_for_steps(later)
        and all(
            inside.get(branch.choice, branch.number) == branch.number for branch in later.within
        )
        for later in behind
    )


def place_of(step: Step, key: str) -> Place:
    """Where the value of a key of a step stands; of a field, where the step is an update."""
    return step.places.get(key, step.place)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule, checked against the catalog.

    Attributes:
        version: a hash of what the rule asks and does, segments included; those inside go by the
            version that they entered.
        asks: a hash of its conditions alone, segments included; where it changes, those who match
            and are not inside are existing matches, as of a new rule.
        source: its text and those of its segments, as one text; empty for a
            rule that stands in no file.
        on_change: what becomes of those inside when the version changes.
        way: all steps in their order, with waits and choices.
        until: what ends an enrolment; where it is empty, that ``when`` no longer holds.
        once_per: paths whose values make an enrolment unique for ever; empty where not given.
        once_per_columns: what these paths lead to, in the same order.
        must_last: how long the conditions must hold before anybody enters, the key ``for``; None
            for not at all.
        repeat_every: how long after a round began the next one does, while ``when`` holds; None
            for one round only.
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
    way: tuple[AnyStep, ...]
    version: str
    place: Place
    asks: str = ""
    source: str = field(default="", compare=False, repr=False)
    on_change: OnChange = OnChange.FINISH
    until: tuple[Ending, ...] = ()
    once_per: tuple[str, ...] = ()
    once_per_columns: tuple[Column, ...] = ()
    must_last: Duration | None = None
    cooldown: Duration | None = None
    repeat_every: Duration | None = None
    existing: Existing | None = None
    labels: tuple[str, ...] = ()
    priority: int = 50
    expires: date | None = None
    inhibits: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    policy: RulePolicy | None = None
    schedule: Schedule | None = None

    @property
    def then(self) -> tuple[Step, ...]:
        """The steps that make something."""
        return tuple(step for step in self.way if not isinstance(step, WaitStep | ChooseStep))
