"""Turns a due step into an action: who, what, when, in which words; or says why it cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from crmsync.errors import InvalidInputError
from crmsync.journeys.keys import message_id
from crmsync.journeys.people import (
    HeldError,
    LackingError,
    account_of,
    address,
    assignee,
    display_name,
    recipient,
    record_name,
    sender,
)
from crmsync.journeys.threads import continued
from crmsync.model.actions import (
    Action,
    ActionKind,
    AddNote,
    CreateTask,
    CustomAction,
    RecordRef,
    Scalar,
    SendEmail,
    UpdateFields,
)
from crmsync.model.addresses import bare_address
from crmsync.model.business_days import add_business_days
from crmsync.model.tables import split_global_id
from crmsync.rules.language import (
    CustomStep,
    EmailStep,
    NeededApproval,
    NoteStep,
    Step,
    TaskStep,
    UpdateStep,
    place_of,
)
from crmsync.rules.reading.steps import REQUIRES
from crmsync.templating.records import Record
from crmsync.templating.templates import UNSUBSCRIBE_URL, Skip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmsync.config.policy import Approvals
    from crmsync.config.settings import Config
    from crmsync.config.yaml import Place
    from crmsync.journeys.book import RecordBook
    from crmsync.journeys.due import OpenStep
    from crmsync.model.durations import Duration
    from crmsync.templating.templates import Templates

    Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Composed:
    """An action, and the records that the gates ask about.

    Attributes:
        colleague: the user who would do it or get it.
        to: who that is, in words.
        sender: the id of the user whose name stands on a mail; ``company`` for the company's own.
        locale: what a mail was formatted for, for example ``de_CH``.
    """

    action: Action
    connection: str
    account: Row | None
    contact: Row | None
    colleague: Row | None
    to: str
    sender: str | None = None
    locale: str | None = None


@dataclass(frozen=True, kw_only=True)
class Approver:
    """Who must approve an action.

    Attributes:
        expires: within what time (calendar time); None for no bound.
    """

    name: str
    expires: Duration | None = None


@dataclass(frozen=True, kw_only=True)
class Composer:
    """What composing needs beside the step itself.

    Attributes:
        remote_field: connection, table and canonical field to the stream and the remote's
            own field; None where the mapping cannot be turned round.
        remote_words: connection, table, canonical field and a value of it to the remote's own
            words for that; several, or none, where nobody can tell.
        unsubscribe_url: by address, the link out of commercial mail; None where mails have none.
    """

    config: Config
    book: RecordBook
    templates: Templates
    now: datetime
    remote_field: Callable[[str, str, str], tuple[str, str] | None]
    remote_words: Callable[[str, str, str, Scalar], Sequence[Scalar]]
    unsubscribe_url: Callable[[str], str] | None = None

    def compose(self, due: OpenStep) -> Composed:
        """The action of a step.

        Raises:
            LackingError: a value that it requires is empty.
            HeldError: there is nobody to do it or to get it, or the words for it are missing.
        """
        try:
            return self._compose(due)
        except InvalidInputError as error:
            # One record's odd values must not stop the others.
            raise HeldError(" ".join(error.problems)) from error

    def _compose(self, due: OpenStep) -> Composed:
        row = self.book.row(due.rule.subject, due.enrolment.subject)
        if row is None:
            raise HeldError("the record is no longer there")
        match due.step:
            case TaskStep():
                return self._task(due, due.step, row)
            case EmailStep():
                return self._email(due, due.step, row)
            case NoteStep():
                return self._note(due, due.step, row)
            case UpdateStep():
                return self._update(due, due.step, row)
            case CustomStep():
                return self._custom(due, due.step, row)

    def approver(self, due: OpenStep, composed: Composed) -> Approver | None:
        """Who must approve an action, and within what time; None where nobody must.

        Raises:
            HeldError: nobody who could do so is active.
        """
        wanted = _needed(due.step.approval, self.config.policy.approval, composed)
        row = self.book.row(due.rule.subject, due.enrolment.subject)
        if wanted is None or row is None:
            return None
        try:
            user = assignee(self.book, due.rule.subject, row, wanted.by, {})
        except HeldError:
            told = ", ".join(wanted.by)
            raise HeldError(f"nobody is there to approve it: no active {told}") from None
        return Approver(name=display_name(user) or str(user["id"]), expires=wanted.expires)

    def _task(self, due: OpenStep, step: TaskStep, row: Row) -> Composed:
        user = assignee(self.book, due.rule.subject, row, step.assign_to, self.config.teams)
        context = self._context(due, row)
        self._require(step, context)
        zone = user.get("time_zone") or self.config.company.time_zone
        action = CreateTask(
            key=due.key,
            subject=" ".join(
                self._inline(step.subject, context, zone, place_of(step, "subject")).split()
            ),
            body=self._inline(step.body, context, zone, place_of(step, "body")),
            due=self._due(step, zone),
            assignee=self._assignee(due, user),
            about=self._about(due, row),
        )
        return self._composed(
            due, row, action, colleague=user, to=str(user.get("name") or user["id"])
        )

    def _assignee(self, due: OpenStep, user: Row) -> str:
        """What the system calls them that the subject came from."""
        connection = split_global_id(due.enrolment.subject)[0]
        found = self.book.remote_id("user", user["id"], connection)
        if found is None:
            named = display_name(user) or user["id"]
            raise HeldError(f"{named} is no user of “{connection}”, where the task would stand")
        return found

    def _due(self, step: TaskStep, zone: str) -> date | None:
        if step.due is None:
            return None
        today = self.now.astimezone(_zone(zone, self.config.company.time_zone)).date()
        country = self.config.company.country
        if step.due.business_days:
            return add_business_days(today, step.due.business_days, country)
        return (
            (self.now + step.due.length)
            .astimezone(_zone(zone, self.config.company.time_zone))
            .date()
        )

    def _email(self, due: OpenStep, step: EmailStep, row: Row) -> Composed:
        table, reader = recipient(self.book, due.rule.subject, row, step.to)
        from_address, from_row = sender(
            self.book, due.rule.subject, row, step.sender, self.config.company
        )
        account = account_of(self.book, due.rule.subject, row)
        company = self.config.company
        zone = reader.get("time_zone") or (account or {}).get("time_zone") or company.time_zone
        context = self._context(due, row) | {"sender": self.book.record("user", from_row)}
        link = None
        if table == "contact":
            context["contact"] = self.book.record("contact", reader)
            link = self._link(reader)
        context[UNSUBSCRIBE_URL] = link
        self._require(step, context)
        rendered = self.templates.email(
            step.template, context, locale=reader.get("locale") or company.locale, zone=zone
        )
        if isinstance(rendered, Skip):
            raise LackingError(rendered.reason)
        try:
            identifier = message_id(due.key, from_address)
        except ValueError:
            raise HeldError(f"“{from_address}” is no address that a mail can come from") from None
        email_class = step.email_class or rendered.email_class
        subject, headers = rendered.subject, dict[str, str]()
        if step.continues and table == "contact":
            subject, headers = continued(subject, self.book.last_mails().get(reader["id"]))
        if link and email_class != "service":
            headers |= self._way_out(link)
        action = SendEmail(
            key=due.key,
            message_id=identifier,
            sender=from_address,
            recipient=address(reader),
            subject=subject,
            text=rendered.text,
            html=rendered.html,
            email_class=email_class,
            headers=headers,
            about=self._about(due, row, reader if table == "contact" else None),
            at=self.now.astimezone(_zone(from_row.get("time_zone"), company.time_zone)),
        )
        is_customer = table == "contact"
        return self._composed(
            due,
            row,
            action,
            contact=reader if is_customer else None,
            colleague=None if is_customer else reader,
            to=action.recipient,
            sender=str(from_row["id"]),
            locale=rendered.locale,
            connection=self.config.mail,
        )

    def _link(self, reader: Row) -> str | None:
        """By which they say that they want no more; None where there are no such links."""
        if self.unsubscribe_url is None:
            return None
        return self.unsubscribe_url(bare_address(str(reader.get("email") or "")))

    def _way_out(self, link: str) -> Mapping[str, str]:
        """The headers of RFC 2369 and 8058, by which mail programs offer it themselves."""
        settings = self.config.unsubscribe
        ways = [f"<{link}>"]
        if settings is not None and settings.mailto is not None:
            ways.append(f"<mailto:{settings.mailto}?subject=unsubscribe>")
        return {
            "List-Unsubscribe": ", ".join(ways),
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }

    def _note(self, due: OpenStep, step: NoteStep, row: Row) -> Composed:
        context = self._context(due, row)
        self._require(step, context)
        text = self._inline(
            step.text,
            context,
            self.config.company.time_zone,
            place_of(step, "text"),
        )
        action = AddNote(key=due.key, text=text, about=self._about(due, row))
        return self._composed(due, row, action, to=record_name(row))

    def _custom(self, due: OpenStep, step: CustomStep, row: Row) -> Composed:
        context = self._context(due, row)
        self._require(step, context)
        zone = self.config.company.time_zone
        texts = {
            key: self._inline(text, context, zone, place_of(step, key))
            for key, text in step.texts.items()
        }
        is_theirs = split_global_id(due.enrolment.subject)[0] == step.by
        action = CustomAction(
            key=due.key,
            name=step.kind,
            texts=texts,
            about=self._about(due, row) if is_theirs else (),
        )
        return self._composed(due, row, action, to=record_name(row), connection=step.by)

    def _update(self, due: OpenStep, step: UpdateStep, row: Row) -> Composed:
        table, target = due.rule.subject, row
        if step.record:
            reached = self.book.follow(table, row, step.record)
            if reached is None:
                raise HeldError(f"there is no {step.record} to update")
            table, target = reached
        context = self._context(due, row)
        self._require(step, context)
        connection, remote_id = split_global_id(target["id"])
        changes: dict[str, Scalar] = {}
        expected: dict[str, Scalar] = {}
        stream = ""
        for name, value in step.fields.items():
            found = self.remote_field(connection, table, name)
            if found is None:
                raise HeldError(
                    f"{table}.{name} is not one column of the connection {connection}, "
                    "so it cannot be written back"
                )
            stream, remote = found
            new = value
            if isinstance(value, str):
                place = place_of(step, name)
                new = self._inline(value, context, self.config.company.time_zone, place)
            words = self.remote_words(connection, table, name, new)
            if len(words) != 1:
                raise HeldError(_untold(f"{table}.{name}", new, connection, words))
            changes[remote] = words[0]
            before = self.remote_words(connection, table, name, _scalar(target.get(name)))
            if len(before) == 1:  # else nobody knows which of several it is, to compare with
                expected[remote] = before[0]
        action = UpdateFields(
            key=due.key,
            record=RecordRef(table=table, id=remote_id),
            stream=stream,
            changes=changes,
            expected=expected,
        )
        return self._composed(due, row, action, to=record_name(target), connection=connection)

    def _context(self, due: OpenStep, row: Row) -> dict[str, object]:
        """What templates can name; docs/templates.md lists it."""
        subject = due.rule.subject
        account = account_of(self.book, subject, row)
        zone = _zone((account or {}).get("time_zone"), self.config.company.time_zone)
        context: dict[str, object] = {
            "account": None if account is None else self.book.record("account", account),
            "company": Record("company", self.config.company.model_dump()),
            "now": self.now,
            "today": self.now.astimezone(zone).date(),
            "rule": Record("rule", {"name": due.rule.name, "description": due.rule.description}),
        }
        for name in ("owner", "contact"):
            path = "primary_contact" if (subject, name) == ("account", "contact") else name
            found = self.book.follow(subject, row, path)
            if found is None and account is not None and name == "owner":
                found = self.book.follow("account", account, name)
            context[name] = None if found is None else self.book.record(*found)
        context[subject] = self.book.record(subject, row)
        return context

    def _inline(self, text: str, context: Mapping[str, object], zone: str, place: Place) -> str:
        locale = self.config.company.locale
        return self.templates.inline(text, context, locale=locale, zone=zone, place=place)

    def _require(self, step: Step, context: Mapping[str, object]) -> None:
        reason = self.templates.lacking(step.requires, context, place_of(step, REQUIRES))
        if reason is not None:
            raise LackingError(reason)

    def _about(self, due: OpenStep, row: Row, contact: Row | None = None) -> tuple[RecordRef, ...]:
        """The subject first, then its account, then the contact; each once.

        Those that are in the system that the subject came from, as that calls them.
        """
        connection = split_global_id(due.enrolment.subject)[0]
        rows = [(due.rule.subject, row)]
        account = account_of(self.book, due.rule.subject, row)
        if account is not None:
            rows.append(("account", account))
        if contact is not None:
            rows.append(("contact", contact))
        known = ((table, self.book.remote_id(table, r["id"], connection)) for table, r in rows)
        return tuple(dict.fromkeys(RecordRef(table=t, id=found) for t, found in known if found))

    def _composed(
        self,
        due: OpenStep,
        row: Row,
        action: Action,
        *,
        to: str,
        contact: Row | None = None,
        colleague: Row | None = None,
        sender: str | None = None,
        locale: str | None = None,
        connection: str | None = None,
    ) -> Composed:
        return Composed(
            action=action,
            connection=connection or split_global_id(due.enrolment.subject)[0],
            account=account_of(self.book, due.rule.subject, row),
            contact=contact,
            colleague=colleague,
            to=to,
            sender=sender,
            locale=locale,
        )


def _needed(
    own: NeededApproval | None, general: Approvals | None, composed: Composed
) -> NeededApproval | None:
    """What the step asks for itself; and, where the policy asks too, within the shorter time."""
    kind = composed.action.kind
    concerned = general is not None and kind.value in {one.value for one in general.of}
    if kind is ActionKind.EMAIL and composed.contact is None:
        concerned = False  # the policy's is for what customers get
    if general is None or not concerned:
        return own
    if own is None:
        return NeededApproval(by=tuple(general.by), expires=general.expires)
    bounds = [bound for bound in (own.expires, general.expires) if bound is not None]
    return replace(own, expires=min(bounds, key=lambda bound: bound.length, default=None))


def _untold(field: str, value: Scalar, connection: str, words: Sequence[Scalar]) -> str:
    if words:
        told = ", ".join(f"“{word}”" for word in words)
        return f"{field} “{value}” is several words of {connection}: {told}; nobody knows which"
    return f"{field} “{value}” has no word of {connection}, so it cannot be written back"


def _zone(name: object, otherwise: str) -> ZoneInfo:
    try:
        return ZoneInfo(str(name or otherwise))
    except (KeyError, ValueError, OSError):
        return ZoneInfo(otherwise)


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
