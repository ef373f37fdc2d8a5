"""Builds the sample company's records, account by account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.app.sample import history, people
from crmsync.app.sample.dice import Dice
from crmsync.app.sample.export import Account, Export
from crmsync.app.sample.names import PLACES, Place
from crmsync.app.sample.profiles import COHORTS, Profile

if TYPE_CHECKING:
    from crmsync.app.sample.people import Row

ACCOUNTS = 500
ZONE = "Europe/Zurich"
_SEED = 20_240_229
_TIERS = {"strategic": (90_000, 400_000), "growth": (24_000, 90_000), "starter": (3_000, 24_000)}
_INDUSTRIES = (
    "Manufacturing",
    "Logistics",
    "Retail",
    "Healthcare",
    "Food",
    "Energy",
    "Software",
    "Education",
)
_LOOK_ALIKE_EVERY = 160
_FOREIGNERS = 0.15


def build(now: datetime) -> dict[str, list[Row]]:
    """All rows by file, relative to an instant. Nothing else decides what is drawn."""
    now = now.astimezone(UTC).replace(microsecond=0)
    export = Export(dice=Dice(_SEED), rows={"users": people.user_rows()})
    profiles = [replace(profile, count=1) for profile in COHORTS for _ in range(profile.count)]
    profiles += [Profile()] * (ACCOUNTS - len(profiles))
    export.dice.shuffle(profiles)
    taken: set[str] = set()
    for number, profile in enumerate(profiles, start=1):
        _build_account(number, profile, now, taken, export)
    history.add_unreadable_order(export, now)
    return export.rows


def _build_account(
    number: int, profile: Profile, now: datetime, taken: set[str], export: Export
) -> None:
    place = _draw_place(export.dice)
    today = now.astimezone(ZoneInfo(ZONE)).date()
    account_id = f"A-{1000 + number}"
    name, domain = _unique_company(place, taken, export.dice)
    if number % _LOOK_ALIKE_EVERY == 0:
        # Nobody can tell whether these two are one customer, so they stay two.
        before = export.rows["accounts"][-1]
        name, domain = f"{before['name']} ", str(before["website"]).removeprefix("https://www.")
    tier = profile.tier or export.dice.one_of(
        ("strategic", "growth", "growth", "starter", "starter")
    )
    low, high = _TIERS[tier]
    account = Account(
        id=account_id,
        profile=profile,
        place=place,
        zone=export.dice.one_of(place.zones),
        since=_since(profile, today, export.dice),
        renewal=today + timedelta(days=export.dice.between(*profile.renewal)),
        revenue=int(export.dice.between(low, high) * place.scale) // 100 * 100,
        owner="",
        contacts=(),
        now=now,
        today=today,
    )
    account = replace(account, owner=_owner(account, export.dice))
    account = replace(account, contacts=_build_contacts(account, domain, export))
    export.add(
        "accounts",
        id=account_id,
        name=name,
        website=f"https://www.{domain}",
        owner_id=account.owner,
        primary_contact_id=_primary(account, export.dice),
        tier=tier,
        status={"active": "Customer", "onboarding": "Onboarding"}.get(profile.status, "Churned"),
        industry=export.dice.one_of(_INDUSTRIES) if export.dice.chance(0.9) else "",
        country=place.country,
        time_zone=account.zone if export.dice.chance(0.95) else "",
        currency=place.currency,
        annual_revenue=account.revenue,
        customer_since=account.since,
        renewal_date=account.renewal,
        seats=export.dice.between(5, 250),
        do_not_contact="yes" if profile.do_not_contact else "no",
        merged_into="",
        created_at=_midday(account.since - timedelta(days=export.dice.between(20, 90))),
        updated_at=account.ago(export.dice.between(1, 20), export.dice),
    )
    history.add_history(account, export)
    if profile.merged_from:
        _add_duplicate(account, name, export)


def _draw_place(dice: Dice) -> Place:
    left = dice.between(1, sum(place.weight for place in PLACES))
    for place in PLACES:
        left -= place.weight
        if left <= 0:
            return place
    raise AssertionError("the weights do not add up")


def _unique_company(place: Place, taken: set[str], dice: Dice) -> tuple[str, str]:
    for _ in range(50):
        name, domain = people.draw_company(place, dice)
        if name not in taken:
            break
    else:
        name, domain = f"{name} {len(taken)}", f"{len(taken)}-{domain}"
    taken.add(name)
    return name, domain


def _since(profile: Profile, today: date, dice: Dice) -> date:
    years = dice.between(1, 5)
    if profile.leap_day:
        year = today.year - years
        while year % 4 or (year % 100 == 0 and year % 400):
            year -= 1
        return date(year, 2, 29)
    if profile.anniversary is not None:
        full = today + timedelta(days=profile.anniversary)
        try:
            return full.replace(year=full.year - years)
        except ValueError:  # a 29th of February, and no leap year then
            return full.replace(year=full.year - years, day=28)
    if profile.age is not None:
        return today - timedelta(days=dice.between(*profile.age))
    # No other year is full within the next days, nor was in the last.
    return today - timedelta(days=365 * years + dice.between(30, 330))


def _owner(account: Account, dice: Dice) -> str:
    if account.profile.owner == "none":
        return ""
    if account.profile.owner == "inactive":
        return people.WHO_LEFT
    return dice.one_of(people.OWNERS[account.zone.partition("/")[0]])


def _primary(account: Account, dice: Dice) -> str:
    profile = account.profile
    first = profile.unsubscribed or profile.no_email or profile.no_first_name
    return account.contacts[0 if first or dice.chance(0.7) else -1]


def _build_contacts(account: Account, domain: str, export: Export) -> tuple[str, ...]:
    low, high = account.profile.contacts
    count = export.dice.between(max(low, 2) if account.profile.bounced else low, high)
    roles = ("champion", "decision maker", "billing", "user", "user", "user", "user", "user")
    return tuple(_build_contact(account, domain, roles[index], export) for index in range(count))


def _build_contact(account: Account, domain: str, role: str, export: Export) -> str:
    profile, place, zone = account.profile, account.place, account.zone
    champion = role == "champion"
    if not champion and export.dice.chance(_FOREIGNERS):
        place = _draw_place(export.dice)
        zone = export.dice.one_of(place.zones)
    person = people.draw_person(place, export.dice)
    number = len(export.rows.get("contacts", ())) + 1
    contact_id = f"C-{20000 + number}"
    export.add(
        "contacts",
        id=contact_id,
        account_id=account.id,
        first_name="" if champion and profile.no_first_name else person.given,
        last_name=person.family,
        full_name="" if champion and profile.no_first_name else person.full,
        email="" if champion and profile.no_email else f"{person.mail_name}{number}@{domain}",
        role=role,
        country=place.country,
        time_zone=zone if export.dice.chance(0.9) else "",
        locale=place.locale if export.dice.chance(0.9) else "",
        opted_out="yes" if champion and profile.unsubscribed else "no",
        bounced="yes" if role == "decision maker" and profile.bounced else "no",
        created_at=_midday(account.since - timedelta(days=export.dice.between(1, 20))),
        updated_at=account.ago(export.dice.between(1, 60), export.dice),
    )
    return contact_id


def _add_duplicate(account: Account, name: str, export: Export) -> None:
    """An account that was merged into this one; what refers to it is this one's."""
    row = next(row for row in reversed(export.rows["accounts"]) if row["id"] == account.id)
    duplicate = account.id.replace("A-1", "A-9")
    export.add(
        "accounts",
        **{**row, "id": duplicate, "name": f"{name} (old)", "merged_into": account.id},
    )
    export.add(
        "activities",
        **history.activity(
            replace(account, id=duplicate),
            account.contacts[0],
            "call",
            account.ago(export.dice.between(2, 5), export.dice),
            direction="outbound",
            subject="Call about next year's plans",
        ),
    )


def _midday(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
