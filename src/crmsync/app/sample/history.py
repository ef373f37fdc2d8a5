"""What happened with an account of the sample, and what is planned."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.app.sample import people
from crmsync.app.sample.profiles import TicketPlan

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.app.sample.export import Account, Export
    from crmsync.app.sample.people import Row

_SUBJECTS = {
    "call": ("Monthly check-in", "Call about the rollout", "Questions on reporting"),
    "email": ("Re: your question", "Notes from our call", "Next steps", "Re: access for Finance"),
    "meeting": ("Quarterly review", "Planning session", "Training for new colleagues"),
}
_TICKET_TOPICS = (
    ("Login", "Single sign-on asks for the password twice"),
    ("Reports", "Report shows yesterday's figures"),
    ("Export", "CSV export stops at 10,000 rows"),
    ("Billing", "Invoice carries the old address"),
    ("Alerts", "Alert mails arrive late"),
    ("Integration", "Calendar sync has stopped"),
)
_PROMISES = (
    "Sandbox with a copy of the live data",
    "Single sign-on for the Lyon site",
    "Import of the 2019 archive",
    "Report on delivery times",
    "Training for the night shift",
)
_COMMENTS = {
    "good": ("Saves us a day a week.", "Support answers fast.", ""),
    "bad": ("Too many clicks.", "We waited too long for an answer.", ""),
}
_PROMOTER = 7
_SOLVED = TicketPlan(opened=(0, 0), status="closed")


def add_history(account: Account, export: Export) -> None:
    """Everything around an account."""
    _add_contact(account, export)
    _add_no_contact(account, export)
    _add_tickets(account, export)
    _add_usage(account, export)
    _add_deals(account, export)
    _add_purchases(account, export)
    _add_feedback(account, export)
    _add_promises(account, export)


def activity(
    account: Account,
    contact: str,
    kind: str,
    at: datetime,
    *,
    direction: str = "",
    subject: str,
    status: str = "completed",
    automated: bool = False,
) -> Row:
    """A row of the activities."""
    length = {"call": 20, "meeting": 50}.get(kind, 0)
    return {
        "account_id": account.id,
        "contact_id": contact,
        "owner_id": account.owner,
        "type": kind.capitalize(),
        "direction": direction,
        "start": at,
        "end": at + timedelta(minutes=length) if length else "",
        "automated": "yes" if automated else "no",
        "status": status,
        "subject": subject,
        "updated_at": min(at, account.now),
    }


def _add_contact(account: Account, export: Export) -> None:
    """Contact between people: the latest, the champion's latest reply, and what was before."""
    profile = account.profile
    silence = export.dice.between(*profile.silence)
    kind = export.dice.one_of(("call", "email", "email", "meeting"))
    _add_activity(account, export, export.dice.one_of(account.contacts), kind, silence)
    reply = None
    if profile.champion_silence is not None:
        reply = max(silence + 1, export.dice.between(*profile.champion_silence))
        _add_activity(account, export, account.contacts[0], "email", reply, direction="inbound")
    for _ in range(export.dice.between(2, 9)):
        earlier = silence + export.dice.between(8, 300)
        kind = export.dice.one_of(("call", "email", "email", "meeting"))
        # An inbound mail of the champion would be a later reply.
        inbound = kind == "email" and export.dice.chance(0.5)
        who = export.dice.one_of(account.contacts[1:] or account.contacts)
        if inbound and who == account.contacts[0]:
            inbound = reply is not None and earlier > reply
        direction = "inbound" if inbound else None
        _add_activity(account, export, who, kind, earlier, direction=direction)


def _add_activity(
    account: Account,
    export: Export,
    contact: str,
    kind: str,
    days: int,
    *,
    direction: str | None = None,
) -> None:
    if direction is None:
        direction = "" if kind == "meeting" else "outbound"
    at = account.ago(days, export.dice)
    subject = export.dice.one_of(_SUBJECTS[kind])
    row = activity(account, contact, kind, at, direction=direction, subject=subject)
    export.add("activities", **row)


def _add_no_contact(account: Account, export: Export) -> None:
    """What stands in the activities and is no contact: plans, machines, notes to ourselves."""
    profile, contact = account.profile, account.contacts[0]
    rows: list[Row] = []
    if profile.meeting is not None:
        at = account.now + timedelta(days=export.dice.between(*profile.meeting), hours=2)
        rows.append(activity(account, contact, "meeting", at, subject="Review", status="planned"))
    if profile.cancelled:
        at = account.ago(2, export.dice)
        rows.append(activity(account, contact, "meeting", at, subject="Review", status="cancelled"))
    if profile.machine_mail is not None:
        rows.append(
            activity(
                account,
                contact,
                "email",
                account.ago(profile.machine_mail, export.dice),
                direction="outbound",
                subject="Your monthly usage summary",
                automated=True,
            )
        )
    if export.dice.chance(0.2):
        at = account.ago(export.dice.between(1, 3), export.dice)
        rows.append(activity(account, contact, "note", at, subject="Talked to the team about them"))
    for row in rows:
        export.add("activities", **row)


def _add_tickets(account: Account, export: Export) -> None:
    for plan in account.profile.tickets:
        opened = account.ago(export.dice.between(*plan.opened), export.dice)
        closed = (
            None
            if plan.closed is None
            else account.ago(export.dice.between(*plan.closed), export.dice)
        )
        _add_ticket(account, export, opened, closed, plan)
    for _ in range(export.dice.between(0, 2)):
        days = export.dice.between(40, 300)
        opened, closed = (
            account.ago(days, export.dice),
            account.ago(days - export.dice.between(1, 9), export.dice),
        )
        _add_ticket(account, export, opened, closed, _SOLVED)


def _add_ticket(
    account: Account,
    export: Export,
    opened: datetime,
    closed: datetime | None,
    plan: TicketPlan,
) -> None:
    topic, subject = export.dice.one_of(_TICKET_TOPICS)
    export.add(
        "tickets",
        account_id=account.id,
        contact_id=export.dice.one_of(account.contacts),
        agent_id=export.dice.one_of(people.SUPPORT),
        subject=subject,
        topic=topic,
        status=plan.status,
        priority=plan.priority,
        opened=opened,
        closed="" if closed is None else closed,
        updated_at=closed or opened,
    )


def _add_usage(account: Account, export: Export) -> None:
    profile = account.profile
    if profile.status == "churned":
        return
    users = account.contacts[: export.dice.between(*profile.users)]
    for total, first_day in (
        (export.dice.between(*profile.usage), 2),
        (export.dice.between(*profile.usage_before), 33),
    ):
        if not total or (profile.age is not None and first_day > profile.age[0]):
            continue
        rows = max(len(users), len(profile.features), 6)
        for index in range(rows):
            count = total // rows + (1 if index < total % rows else 0)
            export.add(
                "usage",
                account_id=account.id,
                contact_id=users[index % len(users)],
                feature=profile.features[index % len(profile.features)],
                # A day of its own for each row: a user uses a feature once a day, or not.
                day=account.today - timedelta(days=first_day + index * 24 // rows),
                count=count,
            )


def _add_deals(account: Account, export: Export) -> None:
    won = account.since - timedelta(days=export.dice.between(1, 20))
    deals: list[tuple[str, str, object]] = [("new business", "Closed Won", won)]
    if export.dice.chance(0.3):
        lost = account.today - timedelta(days=export.dice.between(60, 500))
        deals.append(("expansion", "Closed Lost", lost))
    if account.profile.open_deal:
        closing = account.today + timedelta(days=export.dice.between(15, 80))
        deals.append(("expansion", export.dice.one_of(("Proposal", "Negotiation")), closing))
    for kind, stage, close_date in deals:
        is_open = not stage.startswith("Closed")
        export.add(
            "deals",
            account_id=account.id,
            contact_id=account.contacts[-1],
            owner_id=account.owner,
            name=f"{kind.capitalize()} {account.id}",
            kind=kind,
            stage=stage,
            amount=account.revenue if kind == "new business" else account.revenue // 4,
            currency=account.place.currency,
            opened_on=(account.today if is_open else won) - timedelta(days=45),
            close_date=close_date,
            updated_at=account.ago(export.dice.between(2, 30), export.dice),
        )


def _add_purchases(account: Account, export: Export) -> None:
    active = account.profile.status != "churned"
    export.add(
        "subscriptions",
        account_id=account.id,
        product=export.dice.one_of(("Brightwater Plan", "Brightwater Plan Plus")),
        start_date=account.since,
        end_date=account.renewal,
        recurring_amount=account.revenue,
        currency=account.place.currency,
        status="active" if active else "ended",
    )
    for _ in range(export.dice.between(0, 3)):
        at = account.ago(export.dice.between(5, 500), export.dice)
        whole, cents = divmod(export.dice.between(5_000, 400_000), 100)
        export.add(
            "orders",
            account_id=account.id,
            ordered=at.strftime("%d.%m.%Y %H:%M"),
            amount=f"{whole},{cents:02d}",
            currency=account.place.currency,
            items=export.dice.between(1, 20),
        )


def add_unreadable_order(export: Export, now: datetime) -> None:
    """One row that nobody can read: ``status`` names it, and the rest goes on."""
    first = export.rows["orders"][0]
    export.add("orders", **{**first, "id": "ORD-99999", "ordered": f"31.02.{now.year} 10:00"})


def _add_feedback(account: Account, export: Export) -> None:
    scores = []
    if account.profile.nps is not None:
        scores.append((account.profile.nps, export.dice.between(5, 60)))
    if export.dice.chance(0.4):
        scores.append((export.dice.between(5, 10), export.dice.between(120, 400)))
    for score, days in scores:
        mood = "good" if score >= _PROMOTER else "bad"
        export.add(
            "feedback",
            account_id=account.id,
            contact_id=account.contacts[0],
            survey="NPS",
            score=score,
            comment=export.dice.one_of(_COMMENTS[mood]),
            answered_at=account.ago(days, export.dice),
        )


def _add_promises(account: Account, export: Export) -> None:
    for plan in account.profile.promises:
        due = account.today + timedelta(days=export.dice.between(*plan.due))
        export.add(
            "promises",
            account_id=account.id,
            title=export.dice.one_of(_PROMISES),
            due=due,
            forecast="" if plan.slip is None else due + timedelta(days=plan.slip),
            said_by=account.owner,
            state=plan.state,
            updated_at=account.ago(export.dice.between(1, 20), export.dice),
        )
