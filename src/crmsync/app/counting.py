"""What the caps count: mails and tasks of the past, whoever sent them, and those of this run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa

from crmsync.config.policy import Capped, Per
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind, CreateTask, SendEmail, UpdateFields, WithdrawTask
from crmsync.model.addresses import bare_address
from crmsync.model.records import Given
from crmsync.model.tables import global_id
from crmsync.policy.caps import counted_under
from crmsync.rules.evaluation.asked import PRESENT
from crmsync.rules.evaluation.world import wanted
from crmsync.warehouse.associations import reached_by
from crmsync.warehouse.types import INSTANT
from crmsync.warehouse.variables import variable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from crmsync.config.policy import Cap
    from crmsync.journeys.book import RecordBook
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect
    from crmsync.model.actions import Action
    from crmsync.model.records import LiveRecords
    from crmsync.policy.drafts import Draft
    from crmsync.rules.evaluation.world import World

    # What is counted, and together with whose.
    Whose = tuple[Capped, Per, str]
    # Each action once, with the instant of it.
    Times = dict[Whose, dict[str, datetime]]

# What is on its way counts like what is there.
_SINCE = "counted since"
_COUNTED = (State.READY, State.SENDING, State.UNCERTAIN, State.DONE)
_KINDS = {Capped.EMAIL: ActionKind.EMAIL, Capped.TASK: ActionKind.TASK}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tally:
    """Counts for the caps. Nothing is asked of the stores before the first draft.

    Args:
        due: the keys of the effects that are asked about in this run: they count once they pass.
    """

    def __init__(
        self,
        caps: Sequence[Cap],
        records: LiveRecords,
        world: World,
        book: RecordBook,
        ledger: Ledger,
        *,
        due: Collection[str],
    ) -> None:
        self._caps = caps
        self._records = records
        self._world = world
        self._book = book
        self._ledger = ledger
        self._due = frozenset(due)

    def counts(self, draft: Draft) -> Mapping[Cap, Collection[datetime]]:
        """For each cap that concerns a draft, when the actions that it counts were taken."""
        found: dict[Cap, Collection[datetime]] = {}
        for cap in self._caps:
            whose = counted_under(cap, draft)
            if whose is not None:
                found[cap] = self._times.get((cap.of, cap.per, whose), {}).values()
        return found

    def add(self, draft: Draft) -> None:
        """Count a draft that passes in this run."""
        for cap in self._caps:
            whose = counted_under(cap, draft)
            if whose is not None:
                times = self._times.setdefault((cap.of, cap.per, whose), {})
                times[_name(draft.action)] = self._world.now

    @cached_property
    def _since(self) -> datetime:
        return self._world.now - max((cap.within.length for cap in self._caps), default=timedelta())

    @cached_property
    def _times(self) -> Times:
        times: Times = {}
        kinds = {cap.of for cap in self._caps}
        for key, action, at in (*self._own(kinds), *self._of_people(kinds)):
            # A mail of ours that a pull has brought back is known already by its Message-ID.
            times.setdefault(key, {}).setdefault(action, at)
        return times

    def _own(self, kinds: Collection[Capped]) -> Iterator[tuple[Whose, str, datetime]]:
        """What crmsync has done, or is doing."""
        found = self._ledger.effects(
            states=_COUNTED,
            kinds=[ActionKind.WITHDRAWAL, *(_KINDS[kind] for kind in kinds)],
            since=self._since,
        )
        undone = {
            one.action.task.key
            for one in found
            if isinstance(one.action, WithdrawTask) and one.state is State.DONE
        }
        effects = [
            one
            for one in found
            if one.key not in self._due | undone and not isinstance(one.action, WithdrawTask)
        ]
        colleagues = self._colleagues if Capped.EMAIL in kinds and effects else frozenset()
        accounts = {effect.id: self._account(effect) for effect in effects}
        owners = self._owners({account for account in accounts.values() if account is not None})
        for effect in effects:
            action, account, at = effect.action, accounts[effect.id], _time(effect)
            whose: list[tuple[Per, str | None]] = [(Per.ACCOUNT, account)]
            if isinstance(action, SendEmail):
                address = bare_address(action.recipient)
                if address in colleagues:
                    continue
                kind = Capped.EMAIL
                whose += [(Per.CONTACT, address), (Per.OWNER, owners.get(account or ""))]
            else:
                kind = Capped.TASK
                assignee = action.assignee if isinstance(action, CreateTask) else None
                whose.append((Per.OWNER, assignee and global_id(effect.connection, assignee)))
            for per, key in whose:
                if key:
                    yield (kind, per, key), _name(action), at

    def _account(self, effect: Effect) -> str | None:
        if isinstance(effect.action, UpdateFields):
            return None
        about = (ref.id for ref in effect.action.about if ref.table == "account")
        remote = next(about, None)
        if remote is None:
            return None
        found = global_id(effect.source, remote)
        return self._merged.get(found, found)

    @cached_property
    def _merged(self) -> Mapping[str, str]:
        return self._records.aliases().get("account", {})

    def _owners(self, accounts: Collection[str]) -> dict[str, str | None]:
        rows = self._records.rows("account", accounts) if accounts else {}
        return {account: row["owner"] for account, row in rows.items()}

    @cached_property
    def _colleagues(self) -> frozenset[str]:
        users = self._records.compiled(
            "addresses of users", lambda: self._world.table("user").select("email")
        )
        emails = self._records.query(users)
        return frozenset(bare_address(email) for email in emails["email"].to_pylist() if email)

    def _of_people(self, kinds: Collection[Capped]) -> Iterator[tuple[Whose, str, datetime]]:
        """The mails that people have sent, as far as the CRM knows of them."""
        if Capped.EMAIL not in kinds:
            return
        found = self._records.query(
            self._records.compiled("mails of people", self._mails), self._concerned()
        )
        columns = [found[name].to_pylist() for name in ("per", "whose", "action")]
        instants = found["at"].cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
        for per, whose, action, at in zip(*columns, instants, strict=True):
            yield (Capped.EMAIL, Per(per), whose), action, _EPOCH + timedelta(microseconds=at)

    def _mails(self) -> ir.Table:
        """Columns ``per``, ``whose``, ``action`` and ``at``: one query for all concerned."""
        table = self._world.table
        activity = table("activity")
        kind = activity["at"].type()
        since, now = (variable(name, INSTANT).cast(kind) for name in (_SINCE, PRESENT))
        mails = activity.filter(
            activity.kind == "email",
            activity.direction == "outbound",
            ~activity.automated.fill_null(False),
            ~activity.status.fill_null("completed").isin(("planned", "cancelled")),
            activity["at"] > since,
            activity["at"] <= now,
        )
        message = mails.message_id.replace("<", "").replace(">", "").strip().nullif("")
        mails = mails.mutate(action=message.lower().fill_null(mails.id))
        contact, account = table("contact"), table("account")
        columns = ("action", "at")
        to_contacts = reached_by("contact", mails, table, columns).join(
            contact.select(contact_id="id", address=contact.email.strip().lower()),
            [("record", "contact_id")],
        )
        to_accounts = reached_by("account", mails, table, columns)
        to_owners = to_accounts.join(
            account.select(account_id="id", owner="owner"), [("record", "account_id")]
        )
        found = ibis.union(
            to_contacts.select(*columns, per=ibis.literal(Per.CONTACT.value), whose="address"),
            to_accounts.select(*columns, per=ibis.literal(Per.ACCOUNT.value), whose="record"),
            to_owners.select(*columns, per=ibis.literal(Per.OWNER.value), whose="owner"),
            distinct=True,
        )
        return found.semi_join(wanted(), [("whose", "id")])

    def _concerned(self) -> Given:
        rows = self._book.rows
        owners = (row.get("owner") for row in rows.get("account", {}).values())
        addresses = (bare_address(str(c.get("email"))) for c in rows.get("contact", {}).values())
        ids = {*rows.get("account", {}), *addresses, *(owner for owner in owners if owner)}
        instants = {_SINCE: self._since, PRESENT: self._world.now}
        return Given(values=instants) | self._world.ids(ids)


def _name(action: Action) -> str:
    """What tells one action from another, also when it comes back by a pull."""
    return action.message_id.lower() if isinstance(action, SendEmail) else action.key


def _time(effect: Effect) -> datetime:
    if effect.state is State.DONE and isinstance(effect.action, SendEmail):
        return effect.action.at.astimezone(UTC)
    return max(effect.updated_at, effect.not_before or effect.updated_at)
