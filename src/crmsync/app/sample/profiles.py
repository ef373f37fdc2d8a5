"""How the accounts of the sample stand: some for each shipped rule, some near each, and the rest.

Numbers are days before or after the instant that the sample is made for; pairs are ranges.
They keep a day away from the bounds of the rules, because dates turn at different instants in
different time zones; the exact bounds are the business of ``rules/tests``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Range = tuple[int, int]

VALUE = "report_shared"  # sharing a report is when the product begins to be worth its price
TIP = "alert"
FEATURES = ("dashboard", "report", VALUE, TIP, "export")


@dataclass(frozen=True, kw_only=True)
class TicketPlan:
    """A ticket: opened and, where it is closed, closed that many days ago."""

    opened: Range
    closed: Range | None = None
    priority: str = "normal"
    status: str = "open"


@dataclass(frozen=True, kw_only=True)
class PromisePlan:
    """Something promised: due in that many days, and forecast that many days after the due day."""

    due: Range
    slip: int | None = 0
    state: str = "open"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How an account stands. The defaults describe one that nobody has to look at.

    Attributes:
        age: since when it has been a customer; None draws some years and no anniversary soon.
        silence: the latest contact with anybody there.
        champion_silence: the champion's latest reply; None is never.
        meeting: the next meeting.
        machine_mail: an automated mail, which is no contact.
        cancelled: a meeting that did not take place, two days ago.
        anniversary: in how many days another year is full; None as ``age`` has it.
        leap_day: a customer since a 29th of February.
        usage, usage_before: uses in the last 30 days, and in the 30 days before.
        merged_from: a duplicate was merged into it, and has the latest contact.
    """

    count: int = 1
    status: str = "active"
    tier: str | None = None
    age: Range | None = None
    renewal: Range = (60, 330)
    silence: Range = (1, 10)
    champion_silence: Range | None = (11, 38)
    meeting: Range | None = None
    machine_mail: int | None = None
    cancelled: bool = False
    anniversary: int | None = None
    leap_day: bool = False
    usage: Range = (60, 240)
    usage_before: Range = (60, 240)
    features: tuple[str, ...] = FEATURES
    users: Range = (2, 4)
    contacts: Range = (2, 4)
    nps: int | None = None
    open_deal: bool = False
    tickets: tuple[TicketPlan, ...] = ()
    promises: tuple[PromisePlan, ...] = ()
    owner: str = "active"
    bounced: bool = False
    unsubscribed: bool = False
    do_not_contact: bool = False
    no_email: bool = False
    no_first_name: bool = False
    merged_from: bool = False


_RENEWAL = Profile(renewal=(4, 27), silence=(17, 40), champion_silence=(20, 40))
_ONBOARDING = Profile(
    status="onboarding", age=(25, 55), silence=(9, 18), usage=(0, 0), usage_before=(0, 0)
)
_FIRST_VALUE = Profile(
    status="onboarding", age=(17, 50), silence=(1, 5), usage=(10, 30), features=("dashboard",)
)
_TIP = Profile(
    age=(140, 320),
    usage=(80, 200),
    users=(2, 3),
    features=("dashboard", "report", VALUE, "export"),
)
_CHAMPION = Profile(tier="growth", champion_silence=(50, 120), silence=(2, 10))
_STUCK = Profile(tickets=(TicketPlan(opened=(7, 16), priority="high"),))
_SOLVED = Profile(
    tickets=(TicketPlan(opened=(4, 9), closed=(2, 3), status="closed", priority="normal"),)
)
_PROMISE = Profile(promises=(PromisePlan(due=(3, 10), slip=9),))
_ANNIVERSARY = Profile(anniversary=1)
_EXPANSION = Profile(
    tier="growth", usage=(500, 900), usage_before=(250, 400), users=(6, 7), contacts=(7, 8), nps=10
)

COHORTS: tuple[Profile, ...] = (
    # Renewal at risk, and near it.
    replace(_RENEWAL, count=3),
    replace(_RENEWAL, cancelled=True),
    replace(_RENEWAL, machine_mail=1, count=2),
    replace(_RENEWAL, owner="inactive"),
    replace(_RENEWAL, unsubscribed=True),
    replace(_RENEWAL, silence=(8, 12), champion_silence=(13, 30), count=4),
    replace(_RENEWAL, renewal=(33, 45), count=4),
    replace(_RENEWAL, meeting=(2, 6), count=2),
    replace(_RENEWAL, merged_from=True),
    replace(_RENEWAL, status="churned", count=2),
    # Onboarding slipping, and near it.
    replace(_ONBOARDING, count=5),
    replace(_ONBOARDING, owner="none"),
    replace(_ONBOARDING, age=(12, 18), count=3),
    replace(_ONBOARDING, silence=(1, 5), count=3),
    replace(_ONBOARDING, meeting=(1, 4), count=2),
    # First value not reached, and near it.
    replace(_FIRST_VALUE, count=5),
    replace(_FIRST_VALUE, no_first_name=True),
    replace(_FIRST_VALUE, age=(4, 11), count=3),
    replace(_FIRST_VALUE, features=("dashboard", VALUE), count=3),
    # A tip about a feature that is not used, and near it.
    replace(_TIP, count=6),
    replace(_TIP, unsubscribed=True),
    replace(_TIP, usage=(10, 30), count=3),
    replace(_TIP, tickets=(TicketPlan(opened=(1, 3)),), count=2),
    replace(_TIP, nps=3, count=2),
    # A champion who has gone quiet, and near it.
    replace(_CHAMPION, count=4),
    replace(_CHAMPION, champion_silence=None, tier="strategic"),
    replace(_CHAMPION, do_not_contact=True),
    replace(_CHAMPION, champion_silence=(40, 43), count=3),
    replace(_CHAMPION, meeting=(1, 5), count=2),
    replace(_CHAMPION, tier="starter", count=4),
    # A ticket open too long, and near it.
    replace(_STUCK, count=5),
    replace(_STUCK, tickets=(TicketPlan(opened=(6, 8), priority="urgent"),)),
    replace(_STUCK, tickets=(TicketPlan(opened=(1, 3), priority="urgent"),), count=3),
    replace(_STUCK, tickets=(TicketPlan(opened=(8, 20)),), count=3),
    replace(
        _STUCK, tickets=(TicketPlan(opened=(8, 20), status="waiting", priority="high"),), count=2
    ),
    # A ticket that was closed, and near it.
    replace(_SOLVED, count=6),
    replace(_SOLVED, tickets=(*_SOLVED.tickets, TicketPlan(opened=(1, 2))), count=2),
    replace(
        _SOLVED, tickets=(TicketPlan(opened=(9, 14), closed=(6, 8), status="closed"),), count=4
    ),
    # A promised date at risk, and near it.
    replace(_PROMISE, count=4),
    replace(_PROMISE, promises=(PromisePlan(due=(-6, -2), slip=None),), count=2),
    replace(_PROMISE, promises=(PromisePlan(due=(3, 10), slip=-1),), count=3),
    replace(_PROMISE, promises=(PromisePlan(due=(30, 60), slip=14),), count=2),
    replace(_PROMISE, promises=(PromisePlan(due=(-30, -5), slip=0, state="kept"),), count=6),
    # Another year is full, and near it.
    replace(_ANNIVERSARY, count=4),
    replace(_ANNIVERSARY, anniversary=2, count=2),
    replace(_ANNIVERSARY, anniversary=8, count=3),
    replace(_ANNIVERSARY, tickets=(TicketPlan(opened=(1, 3)),), count=2),
    replace(_ANNIVERSARY, status="churned"),
    Profile(leap_day=True, count=2),
    # Room to grow, and near it.
    replace(_EXPANSION, count=5),
    replace(_EXPANSION, open_deal=True, count=3),
    replace(_EXPANSION, nps=7, count=3),
    replace(_EXPANSION, usage_before=(950, 1200), count=2),
    # An address that bounces, and near it: a churned account, where nobody needs a new one.
    Profile(bounced=True, count=6),
    Profile(bounced=True, status="churned", count=2),
    # What else a CRM holds.
    Profile(owner="none", count=4),
    Profile(owner="inactive", count=4),
    Profile(no_email=True, count=4),
    Profile(no_first_name=True, count=3),
    Profile(unsubscribed=True, count=8),
    Profile(do_not_contact=True, count=4),
    Profile(merged_from=True, count=5),
    Profile(meeting=(1, 20), count=30),
    Profile(machine_mail=2, count=20),
    Profile(open_deal=True, count=25),
    Profile(nps=9, count=20),
    Profile(nps=5, count=10),
    Profile(status="churned", silence=(90, 400), champion_silence=(120, 500), count=18),
    Profile(tier="starter", contacts=(1, 1), users=(1, 1), count=40),
)
