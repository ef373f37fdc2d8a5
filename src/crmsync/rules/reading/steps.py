"""Reads what a step makes from YAML; texts stay Jinja2 source, parsed elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crmsync.config.yaml import nearest
from crmsync.model.durations import Duration, parse_duration
from crmsync.model.tables import BASE_FIELDS
from crmsync.rules import paths
from crmsync.rules.language import (
    CustomStep,
    EmailStep,
    IfExists,
    NeededApproval,
    NoteStep,
    Recipient,
    Step,
    TaskStep,
    UpdateStep,
)
from crmsync.rules.operators import parse_literal, shown

if TYPE_CHECKING:
    from collections.abc import Collection

    from crmsync.config.yaml import Document, Path_, Place, Problems
    from crmsync.model.actions import CustomKind, Scalar
    from crmsync.model.catalog import Catalog

STEP_KEYS = {
    "task": ("assign_to", "subject", "body", "due", "if_exists", "approval", "requires"),
    "email": (
        *("to", "template", "from", "class", "thread"),
        *("approval", "despite_contact", "requires"),
    ),
    "note": ("text", "approval", "requires"),
    "update": ("record", "fields", "approval", "requires"),
}
NEEDED_STEP_KEYS = {
    "task": ("assign_to", "subject"),
    "email": ("to", "template"),
    "note": ("text",),
    "update": ("fields",),
}
# What every kind that a connector adds can say beside its texts.
CUSTOM_KEYS = ("by", "approval", "requires")
# Kinds that people look for here; a connector can add them.
KINDS_OF_OTHERS = ("notify", "survey", "offer", "promise", "digest")
EMAIL_CLASSES = ("commercial", "service")
LAST_THREAD = "last"
COMPANY = "company"
TEAM = "team."
REQUIRES = "requires"
NAMED = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
_MOST_ALTERNATIVES = 10


@dataclass(frozen=True, kw_only=True)
class StepParser:
    """Reads what the steps of one rule make; mistakes are noted.

    Attributes:
        table: the rule's subject.
    """

    catalog: Catalog
    document: Document
    problems: Problems
    table: str
    teams: Collection[str]

    def step(self, kind: str, step_id: str, value: object, at: Path_) -> Step | None:
        """What stands behind ``task:`` and its like; None where there is a mistake in it."""
        custom = self._custom_kind(kind, value, at) if kind in self.catalog.kinds else None
        known = STEP_KEYS.get(kind) or (*(custom.takes if custom else ()), *CUSTOM_KEYS)
        needed = NEEDED_STEP_KEYS.get(kind) or (custom.needed if custom else ())
        if not isinstance(value, dict):
            keys = ", ".join(f"{key}: …" for key in needed)
            self._note(at, f"write “{kind}: {{{keys}}}”, and not {shown(value)}")
            return None
        before = len(self.problems.sentences)
        for key in value:
            if key not in known:
                hint = nearest(key, known)
                self._note_key((*at, key), f"unknown key “{key}” in “{kind}”{hint}")
        for key in needed:
            if key not in value:
                self._note_key(at, f"“{kind}” needs “{key}:”")
        step: Step
        match kind:
            case "task":
                step = self._task(step_id, value, at)
            case "email":
                step = self._email(step_id, value, at)
            case "note":
                step = self._note_step(step_id, value, at)
            case "update":
                step = self._update(step_id, value, at)
            case _:
                step = self._custom(kind, step_id, value, at)
        return step if len(self.problems.sentences) == before else None

    @property
    def _owner(self) -> str:
        """The way to the subject's owner, or to its account's where it has none of its own."""
        own = self.catalog.relation(self.table, "owner") is not None
        return (
            "owner"
            if own or self.catalog.relation(self.table, "account") is None
            else "account.owner"
        )

    def _task(self, step_id: str, value: dict[str, Any], at: Path_) -> TaskStep:
        return TaskStep(
            id=step_id,
            assign_to=self._assignees(value.get("assign_to", self._owner), (*at, "assign_to")),
            subject=self._text(value, "subject", at),
            body=self._text(value, "body", at),
            due=self._duration(value, "due", at),
            if_exists=self._if_exists(value, at),
            approval=self._approval(value, at),
            requires=self._requires(value, at),
            place=self._place(at),
            places=self._places(value, at),
        )

    def _if_exists(self, value: dict[str, Any], at: Path_) -> IfExists | None:
        asked = value.get("if_exists")
        if "if_exists" not in value or asked in list(IfExists):
            return None if asked is None else IfExists(asked)
        hint = nearest(asked, list(IfExists))
        self._note((*at, "if_exists"), f"“if_exists” cannot be {shown(asked)}{hint}")
        return None

    def _email(self, step_id: str, value: dict[str, Any], at: Path_) -> EmailStep:
        email_class = value.get("class")
        if "class" in value and email_class not in EMAIL_CLASSES:
            self._note(
                (*at, "class"),
                f"a mail's class is {' or '.join(EMAIL_CLASSES)}, and not {shown(email_class)}",
            )
        sender = self._text(value, "from", at) or self._owner
        if sender != COMPANY:
            problem = self._person(sender, ("user",))
            if problem is not None:
                where = self._note if "from" in value else self._note_key
                where((*at, "from") if "from" in value else at, f"“from”: {problem}")
        if not isinstance(value.get("despite_contact", False), bool):
            self._note((*at, "despite_contact"), "“despite_contact” is true or false")
        thread = value.get("thread")
        if "thread" in value and thread != LAST_THREAD:
            told = f"“thread” cannot be {shown(thread)}; write last, or leave it out"
            self._note((*at, "thread"), told)
        return EmailStep(
            id=step_id,
            to=self._recipient(value["to"], (*at, "to")) if "to" in value else Recipient(),
            template=self._text(value, "template", at),
            sender=sender,
            email_class=email_class,
            continues=thread == LAST_THREAD,
            approval=self._approval(value, at),
            requires=self._requires(value, at),
            place=self._place(at),
            places=self._places(value, at),
        )

    def _note_step(self, step_id: str, value: dict[str, Any], at: Path_) -> NoteStep:
        return NoteStep(
            id=step_id,
            text=self._text(value, "text", at),
            approval=self._approval(value, at),
            requires=self._requires(value, at),
            place=self._place(at),
            places=self._places(value, at),
        )

    def _custom_kind(self, kind: str, value: object, at: Path_) -> CustomKind:
        """What the connection that is meant takes; a mistake where it is not plain which one is."""
        offered = self.catalog.kinds[kind]
        by = value.get("by") if isinstance(value, dict) else None
        if isinstance(by, str) and by in offered:
            return offered[by]
        if isinstance(value, dict) and "by" in value:
            told = f"no connection {shown(by)} does “{kind}”{nearest(by, offered)}"
            self._note((*at, "by"), told)
        elif len(offered) > 1:
            told = " or ".join(f"“by: {name}”" for name in sorted(offered))
            self._note_key(at, f"several connections do “{kind}”; write {told}")
        return next(iter(offered.values()))

    def _custom(self, kind: str, step_id: str, value: dict[str, Any], at: Path_) -> CustomStep:
        offered = self.catalog.kinds[kind]
        return CustomStep(
            id=step_id,
            kind=kind,
            by=str(value.get("by", next(iter(offered)))),
            texts={key: self._text(value, key, at) for key in value if key not in CUSTOM_KEYS},
            approval=self._approval(value, at),
            requires=self._requires(value, at),
            place=self._place(at),
            places=self._places(value, at),
        )

    def _update(self, step_id: str, value: dict[str, Any], at: Path_) -> UpdateStep:
        record = self._text(value, "record", at)
        table = self.table
        if record:
            try:
                table = paths.record(self.catalog, self.table, record).table
            except ValueError as error:
                self._note((*at, "record"), str(error))
                return UpdateStep(id=step_id, record=record, fields={}, place=self._place(at))
        fields = value.get("fields", {})
        if not isinstance(fields, dict) or (not fields and "fields" in value):
            self._note((*at, "fields"), f"“fields” is “field: new value”, and not {shown(fields)}")
            fields = {}
        for name, new in fields.items():
            self._check_update(table, name, new, (*at, "fields", name))
        return UpdateStep(
            id=step_id,
            record=record,
            fields=fields,
            approval=self._approval(value, at),
            requires=self._requires(value, at),
            place=self._place(at),
            places=self._places(value, at) | self._places(fields, (*at, "fields")),
        )

    def _check_update(self, table: str, name: str, new: Scalar, at: Path_) -> None:
        field = self.catalog.tables[table].field(name)
        own = [f.name for f in self.catalog.tables[table].own_fields]
        if field is None:
            if self.catalog.fact(table, name) is not None:
                self._note_key(at, f"“{name}” is computed, and cannot be updated")
            else:
                self._note_key(at, f"{table} has no field “{name}”{nearest(name, own)}")
        elif field in BASE_FIELDS:
            self._note_key(at, f"“{name}” belongs to the CRM, and cannot be updated")
        elif new is not None and not (isinstance(new, str) and ("{{" in new or "{%" in new)):
            try:
                parse_literal(new, field.type)
            except ValueError as error:
                self._note(at, str(error))

    def _requires(self, value: dict[str, Any], at: Path_) -> tuple[str, ...]:
        """Names that texts know; whether there are such is checked with the texts."""
        asked = value.get(REQUIRES, [])
        names = asked if isinstance(asked, list) else [asked]
        for i, name in enumerate(names):
            here = (*at, REQUIRES, i) if isinstance(asked, list) else (*at, REQUIRES)
            if not isinstance(name, str) or not re.fullmatch(NAMED, name):
                self._note(
                    here, f"write for example contact.first_name here, and not {shown(name)}"
                )
        return tuple(str(name) for name in names)

    def _approval(self, value: dict[str, Any], at: Path_) -> NeededApproval | None:
        """Who must approve, in short or with the time they have."""
        if "approval" not in value:
            return None
        at, asked = (*at, "approval"), value["approval"]
        if not isinstance(asked, dict):
            return NeededApproval(by=self._approvers(asked, at))
        known = ("by", "expires")
        for key in asked:
            if key not in known:
                hint = nearest(key, known)
                self._note_key((*at, key), f"unknown key “{key}” in “approval”{hint}")
        expires = self._duration(asked, "expires", at)
        if expires is not None and (expires.business_days or not expires.length):
            self._note(
                (*at, "expires"), "an approval expires after calendar time, for example 2 days"
            )
        by = self._approvers(asked.get("by", self._owner), (*at, "by") if "by" in asked else at)
        return NeededApproval(by=by, expires=expires)

    def _approvers(self, value: object, at: Path_) -> tuple[str, ...]:
        names = value if isinstance(value, list) else [value]
        if any(isinstance(name, str) and name.startswith(TEAM) for name in names):
            self._note(at, "one person approves: write a path to a user, and no team")
            return ()
        return self._assignees(value, at)

    def _assignees(self, value: object, at: Path_) -> tuple[str, ...]:
        names = value if isinstance(value, list) else [value]
        if not names:
            self._note(at, "name at least one user here, for example owner")
        for i, name in enumerate(names):
            here = (*at, i) if isinstance(value, list) else at
            if not isinstance(name, str):
                self._note(here, f"a path to a user is a text, and not {shown(name)}")
            elif name.startswith(TEAM):
                team = name.removeprefix(TEAM)
                if team not in self.teams:
                    hint = nearest(team, self.teams)
                    self._note(here, f"there is no team “{team}” in the config{hint}")
            else:
                problem = self._person(name, ("user",))
                if problem is not None:
                    self._note(here, problem)
        return tuple(str(name) for name in names)

    def _recipient(self, value: object, at: Path_, depth: int = 0) -> Recipient:
        if isinstance(value, str):
            problem = self._person(value, ("contact", "user"))
            if problem is not None:
                self._note(at, problem)
            return Recipient(path=value)
        if not isinstance(value, dict) or depth > _MOST_ALTERNATIVES:
            self._note(
                at, f"write “to: primary_contact” or “to: {{role: …}}”, and not {shown(value)}"
            )
            return Recipient()
        known = ("role", "path", "otherwise")
        for key in value:
            if key not in known:
                self._note_key((*at, key), f"unknown key “{key}” in “to”{nearest(key, known)}")
        role, path = value.get("role"), value.get("path")
        if ("role" in value) == ("path" in value):
            self._note(at, "“to” needs either a role or a path")
        elif "role" in value:
            self._check_role(role, (*at, "role"))
        elif isinstance(path, str):
            self._recipient(path, (*at, "path"), depth + 1)
        else:
            self._note((*at, "path"), f"a path to a person is a text, and not {shown(path)}")
        otherwise = None
        if "otherwise" in value:
            otherwise = self._recipient(value["otherwise"], (*at, "otherwise"), depth + 1)
        return Recipient(
            path=None if path is None else str(path),
            role=None if role is None else str(role),
            otherwise=otherwise,
        )

    def _check_role(self, role: object, at: Path_) -> None:
        if not isinstance(role, str):
            self._note(at, f"a role is a text, and not {shown(role)}")
        elif self.table != "account" and self.catalog.relation(self.table, "account") is None:
            self._note(at, f"a role is sought among an account's contacts; {self.table} has none")

    def _person(self, path: str, targets: tuple[str, ...]) -> str | None:
        """None where the path leads to a person of these tables, else why not."""
        if path == self.table and path in targets:  # the subject itself
            return None
        problem = None
        for target in targets:
            problem = paths.leads_to(self.catalog, self.table, path, target)
            if problem is None:
                return None
        return problem

    def _text(self, value: dict[str, Any], key: str, at: Path_) -> str:
        text = value.get(key, "")
        if not isinstance(text, str) or (key in value and not text.strip()):
            self._note((*at, key), f"“{key}” is a text, and not {shown(text) if text else 'empty'}")
            return ""
        return text

    def _duration(self, value: dict[str, Any], key: str, at: Path_) -> Duration | None:
        if key not in value:
            return None
        try:
            return parse_duration(value[key])
        except ValueError as error:
            self._note((*at, key), str(error))
            return None

    def _place(self, at: Path_) -> Place:
        return self.document.key_place(at)

    def _places(self, keys: dict[str, Any], at: Path_) -> dict[str, Place]:
        return {key: self.document.place((*at, key)) for key in keys}

    def _note(self, at: Path_, sentence: str) -> None:
        self.problems.add(self.document.place(at), sentence)

    def _note_key(self, at: Path_, sentence: str) -> None:
        self.problems.add(self.document.key_place(at), sentence)
