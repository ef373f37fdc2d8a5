"""Companies that live at a `StandIn`: what is in their CRM, and what crmsync is to make of it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from crmsync.app.sample import sample_config
from crmsync.app.sample.company import build
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind
from support.company import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from crmsync.ledger.values.effects import Effect
    from support.stand_in import StandIn

    # Plans from nothing, in a state folder of its own: (rule, subject) of all that is wanted.
    Plan = Callable[[], Collection[tuple[str, str]]]

_ROOT = Path(__file__).resolve().parents[2]
_POLICY = {"most_actions_per_run": 100_000, "most_share_of_accounts": 1.0}
SETTLED = frozenset({State.DONE, State.REJECTED, State.UNCERTAIN})


class Company(Protocol):
    """What differs from one to the other.

    Attributes:
        began: when its first life is.
        step: from one life to the next.
        settles: when everything is to be settled; None for the next step.
        ends: the states in which an effect may be left.
    """

    began: datetime
    step: timedelta
    settles: datetime | None
    ends: frozenset[State]

    def config(self) -> dict[str, Any]:
        """The config without what says where the remote and the ledger are."""

    def files(self) -> Mapping[str, str]:
        """What lies beside the config."""

    def begin(self, remote: StandIn, plan: Plan) -> None:
        """What is there before the first customer."""

    def grow(self, remote: StandIn, customers: int) -> None:
        """New customers."""

    def lost(self, effects: Sequence[Effect], plan: Plan) -> list[str]:
        """What is wanted, and not among these; a sentence each."""


class OneRule:
    """Each of its customers wants one task and one mail, which another connection sends."""

    began = datetime(2026, 3, 2, 9, tzinfo=UTC)
    step = timedelta(minutes=10)
    settles: datetime | None = None
    ends = SETTLED

    def __init__(self) -> None:
        self.customers = 0

    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(_CONFIG)
        return found

    def files(self) -> Mapping[str, str]:
        return {
            "rules/renewal-at-risk.yaml": _RULE,
            "templates/renewal/check-in.txt": TEMPLATE,
            "segments/.keep": "",
        }

    def begin(self, remote: StandIn, plan: Plan) -> None:
        remote.logged = self._logged
        remote.add("users", {"id": "U1", "name": "Jo Meyer", "email": "jo@vendor.example"})

    def grow(self, remote: StandIn, customers: int) -> None:
        for _ in range(customers):
            self.customers += 1
            one = f"A{self.customers}"
            account = {"id": one, "name": f"Acme {one}", "owner": "U1", "renewal": "2026-09-01"}
            remote.add("accounts", account)
            contact = {"id": f"C{one}", "account": one, "first": "Ann"}
            remote.add("contacts", contact | {"email": f"ann@{one.lower()}.example"})
            call = {"id": f"T{one}", "account": one, "kind": "call", "direction": "outbound"}
            call |= {"at": "2026-01-10T10:00:00Z", "message": "", "status": "completed"}
            remote.add("activities", call)

    def lost(self, effects: Sequence[Effect], plan: Plan) -> list[str]:
        known = {(effect.enrolment.subject, effect.action.kind) for effect in effects}
        return [
            f"{kind} for crm:A{number} was lost"
            for number in range(1, self.customers + 1)
            for kind in (ActionKind.EMAIL, ActionKind.TASK)
            if (f"crm:A{number}", kind) not in known
        ]

    def _logged(self, account: str, kind: str, message_id: str, status: str) -> dict[str, str]:
        row = {"account": account, "kind": kind, "direction": "outbound", "status": status}
        return row | {"at": "2026-03-02T09:00:00Z", "message": message_id}


class Sample:
    """The sample company with the rules that ship; its customers come one by one, for ever."""

    began = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
    step = timedelta(minutes=1)
    settles: datetime | None = datetime(2026, 3, 3, 8, tzinfo=UTC)
    ends = SETTLED | {State.DEFERRED, State.AWAITING, State.PLANNED, State.DROPPED}

    def __init__(self) -> None:
        self._rows = build(self.began)
        self._account_of = self._accounts()
        self._coming: Iterator[tuple[str, int]] = iter(())

    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(sample_config(self.began))
        connection = found["connections"]["crm"]
        del connection["path"]
        for stream in connection["streams"].values():
            for option in ("file", "complete", "updated_at", "encoding", "delimiter"):
                stream.pop(option, None)
        connection["streams"]["activities"]["fields"]["message_id"] = "message"
        return found

    def files(self) -> Mapping[str, str]:
        paths = [
            path
            for folder in ("rules", "templates", "segments")
            for path in (_ROOT / folder).rglob("*")
            if path.is_file() and "tests" not in path.parts
        ]
        return {str(path.relative_to(_ROOT)): path.read_text(encoding="utf-8") for path in paths}

    def begin(self, remote: StandIn, plan: Plan) -> None:
        """Finds out first of whom the rules want something: the others would make it slow."""
        remote.logged = self._logged
        for stream, rows in self._rows.items():
            for row in rows:
                remote.add(stream, _text(row, 0))
        concerned = {self._account_of[subject.partition(":")[2]] for _, subject in plan()}
        assert concerned
        remote.records.clear()
        for row in self._rows["users"]:
            remote.add("users", _text(row, 0))
        self._coming = ((account, copy) for copy in count() for account in sorted(concerned))

    def grow(self, remote: StandIn, customers: int) -> None:
        for _ in range(customers):
            account, copy = next(self._coming)
            for stream, rows in self._rows.items():
                for row in rows:
                    if self._account_of.get(str(row["id"])) == account:
                        remote.add(stream, _text(row, copy))

    def lost(self, effects: Sequence[Effect], plan: Plan) -> list[str]:
        known = {(effect.enrolment.rule, effect.enrolment.subject) for effect in effects}
        return [f"{rule} for {subject} was lost" for rule, subject in sorted({*plan()} - known)]

    def _accounts(self) -> dict[str, str]:
        """Of each record but users, the account that it belongs to; a duplicate's is the other."""
        accounts = {
            str(row["id"]): str(row["merged_into"] or row["id"]) for row in self._rows["accounts"]
        }
        return accounts | {
            str(row["id"]): accounts[str(row["account_id"])]
            for rows in self._rows.values()
            for row in rows
            if "account_id" in row
        }

    def _logged(self, account: str, kind: str, message_id: str, status: str) -> dict[str, str]:
        at = "2026-03-02T07:30:00Z"
        row = dict.fromkeys(self._rows["activities"][0], "")
        row |= {"account_id": account, "type": kind.capitalize(), "direction": "outbound"}
        return row | {"start": at, "updated_at": at, "status": status, "message": message_id}


_ID = re.compile(r"[A-Z]+-\d+")


def _text(row: Mapping[str, object], copy: int) -> dict[str, str]:
    """A row as the remote tells it; each copy of the company has its own ids and addresses."""
    told = {name: _shown(value) for name, value in row.items()}
    if "type" in told:
        told.setdefault("message", "")
    if not copy:
        return told
    return {name: _copied(value, copy) for name, value in told.items()}


def _copied(value: str, copy: int) -> str:
    if _ID.fullmatch(value) and not value.startswith("U-"):
        return f"{value}.{copy}"
    return value.replace("@", f"@c{copy}.").replace("://www.", f"://www.c{copy}.")


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else str(value)


def freely(config: dict[str, Any]) -> dict[str, Any]:
    """With no limit that a test of deliveries would run into."""
    return config | {"policy": _POLICY, "freshness": {"default": "3650 days"}, "existing": "enrol"}


_CONFIG = """\
company: {name: Vendor, email: hello@vendor.example, time_zone: Europe/Zurich, country: CH}
mail: post
connections:
  post: {}
  crm:
    streams:
      users: {table: user, key: id, fields: {name: name, email: email}}
      accounts:
        table: account
        key: id
        fields: {name: name, owner: owner, renewal_date: renewal}
      contacts:
        table: contact
        key: id
        fields: {account: account, first_name: first, email: email}
      activities:
        table: activity
        key: id
        fields:
          account: account
          kind: kind
          direction: direction
          at: at
          message_id: message
          status: status
"""

_RULE = """\
rule: renewal-at-risk
description: A renewal is near and nobody has spoken with the customer.
subject: account
when:
  - renewal_date: {in_next: 300 days}
  - last_contact: {older_than: 14 days}
then:
  - task:
      assign_to: owner
      subject: "Call {{ account.name }}"
  - email:
      to: primary_contact
      template: renewal/check-in
"""
