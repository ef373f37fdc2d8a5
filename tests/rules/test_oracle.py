from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from crmsync.model.records import StreamState
from crmsync.rules.evaluation.evaluate import Form, evaluate
from crmsync.rules.evaluation.world import World
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.oracle import Oracle
from rules.rules_world import CATALOG, FACTS, THEN, a_day, rules_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.rules.language import Rule

# The days on which clocks change in Zurich and Los Angeles, a leap day, and the turn of a year.
PRESENTS = [
    datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 0, tzinfo=UTC),
    datetime(2026, 3, 8, 10, 0, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 0, tzinfo=UTC),
]
ZONES = [None, "Pacific/Auckland", "America/Los_Angeles", "Europe/Zurich", "Nowhere/Land", ""]
ACCOUNTS = ["a1", "a2", "a3", "a4"]
TEXTS = ["gold", "silver", "go", "", "öl d"]
OFFSETS = [timedelta(days=d, seconds=s) for d in (-3, -2, -1, 0, 1, 2, 3) for s in (-1, 0, 1)]
# On the bounds of windows that look back a month, a quarter and longer.
FAR_OFFSETS = [timedelta(days=-d, seconds=s) for d in (31, 60, 100, 400) for s in (-1, 0, 1)]


STREAMS = [
    (connection, table)
    for connection in ("test", "one", "two")
    for table in ("activity", "activity_link", "ticket", "contact", "deal", "account", "user")
]
# What is the matter with a stream.
TROUBLES = st.sampled_from(["never read", "broken off", "stale"])
SEGMENTS = {
    "quiet": """\
segment: quiet
subject: account
when:
  - any:
      - last_contact: {older_than: 2 days}
      - none: {of: tickets, where: [{status: open}]}
""",
    "fine": """\
segment: fine
subject: account
when:
  - not: [{segment: quiet}]
  - tier: {is_not: silver, if_unknown: hold}
""",
    "pressing": """\
segment: pressing
subject: ticket
when:
  - status: open
  - none_of: [{opened_at: {in_last: 1 business day}}]
""",
}


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


@st.composite
def companies(draw: st.DrawFn) -> dict[str, Any]:
    now = draw(st.sampled_from(PRESENTS))
    instants = st.sampled_from([now + offset for offset in OFFSETS])
    days = st.sampled_from([now.date() + timedelta(days=d) for d in range(-4, 5)])
    numbers = st.sampled_from([Decimal(n) for n in ("-5", "0", "0.5", "1", "2", "1000.25")])

    def past(**fields: st.SearchStrategy[Any]) -> dict[str, Any]:
        told: dict[str, Any] = {
            name: [
                {"was": draw(maybe(values)), "until": until}
                for until in sorted(draw(st.sets(instants, max_size=2)))
            ]
            for name, values in fields.items()
        }
        since = draw(st.one_of(st.none(), instants))
        return told | ({} if since is None else {"known_since": since})

    connections = st.sampled_from([None, None, "one", "two"] if draw(st.booleans()) else [None])
    if draw(st.booleans()):
        # Several at the same time.
        tied = st.sampled_from([now + offset for offset in draw(st.permutations(OFFSETS))[:2]])
        times = far_times = tied
    else:
        times = instants
        far_times = st.sampled_from([now + d for d in (*OFFSETS, *FAR_OFFSETS)])
    accounts = [
        {
            "id": name,
            "connection": draw(connections),
            "tier": draw(maybe(st.sampled_from(TEXTS))),
            "recurring_revenue": draw(maybe(numbers)),
            "renewal_date": draw(maybe(days)),
            "customer_since": draw(maybe(days)),
            "created_at": draw(maybe(instants)),
            "do_not_contact": draw(maybe(st.booleans())),
            "time_zone": draw(st.sampled_from(ZONES)),
            "owner": draw(st.sampled_from([None, "u1", "u2", "gone"])),
            "history": past(tier=st.sampled_from(TEXTS), renewal_date=days),
        }
        for name in ACCOUNTS
    ]
    owners = st.sampled_from([*ACCOUNTS, None, "gone"])
    tickets = [
        {
            "id": f"t{i}",
            "connection": draw(connections),
            "account": draw(owners),
            "status": draw(maybe(st.sampled_from(["open", "closed"]))),
            "opened_at": draw(maybe(times)),
            "history": past(status=st.sampled_from(["open", "closed"])),
        }
        for i in range(draw(st.integers(0, 6)))
    ]
    deals = [
        {
            "id": f"d{i}",
            "connection": draw(connections),
            "account": draw(owners),
            "amount": draw(maybe(numbers)),
            "currency": draw(st.sampled_from(["EUR", "EUR", "USD", None])),
            "open": draw(maybe(st.booleans())),
            "close_date": draw(maybe(days)),
        }
        for i in range(draw(st.integers(0, 5)))
    ]
    contacts = [
        {
            "id": f"p{i}",
            "connection": draw(connections),
            "account": draw(owners),
            "role": draw(st.sampled_from([None, "champion", "user"])),
            "created_at": draw(maybe(times)),
        }
        for i in range(draw(st.integers(0, 3)))
    ]
    references = {
        "account": owners,
        "contact": st.sampled_from([None, None, "p0", "p1", "gone"]),
        "deal": st.sampled_from([None, None, "d0", "d1"]),
    }
    activities = [
        {
            "id": f"c{i}",
            "connection": draw(connections),
            **{name: draw(ids) for name, ids in references.items()},
            "kind": draw(st.sampled_from(["call", "call", "meeting", "note"])),
            "at": draw(maybe(far_times)),
            "ended_at": draw(st.one_of(st.none(), st.none(), instants)),
            "automated": draw(st.sampled_from([None, None, False, True])),
            "status": draw(st.sampled_from([None, "completed", "planned"])),
        }
        for i in range(draw(st.integers(0, 6)))
    ]
    links = [
        {
            "id": f"l{i}",
            "activity": draw(st.sampled_from(["c0", "c1", "c2", "gone"])),
            **{name: draw(ids) for name, ids in references.items()},
        }
        for i in range(draw(st.integers(0, 4)))
    ]
    users = [
        {
            "id": "u1",
            "active": draw(maybe(st.booleans())),
            "time_zone": None,
            "history": past(active=st.booleans()),
        },
        {"id": "u2", "active": True, "time_zone": "America/Los_Angeles"},
    ]
    return {
        "now": now,
        "zone": draw(st.sampled_from(["UTC", "Europe/Zurich", "Pacific/Auckland"])),
        "country": draw(st.sampled_from([None, "CH", "US"])),
        "unread": draw(st.sampled_from([[], [], [], ["activity"], ["ticket", "activity"]])),
        "untrusted": draw(st.dictionaries(st.sampled_from(STREAMS), TROUBLES, max_size=3)),
        "records": {
            "account": accounts,
            "ticket": tickets,
            "deal": deals,
            "contact": contacts,
            "activity": activities,
            "activity_link": links,
            "user": users,
        },
    }


TEXT_TESTS = st.one_of(
    st.sampled_from(TEXTS),
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3),
    st.builds(
        lambda key, text: {key: text},
        st.sampled_from(["is", "is_not", "contains", "starts_with", "ends_with"]),
        st.sampled_from(TEXTS),
    ),
    st.sampled_from([{"not_in": ["gold", "x"]}, {"matches": "^g.*d$"}, {"matches": "o"}]),
)
NUMBERS = st.sampled_from([-5, 0, 0.5, 1, 2, 1000.25])
NUMBER_TESTS = st.one_of(
    NUMBERS,
    st.lists(NUMBERS, min_size=1, max_size=2),
    st.builds(
        lambda key, number: {key: number},
        st.sampled_from(["is", "is_not", "over", "under", "at_least", "at_most"]),
        NUMBERS,
    ),
    st.sampled_from([{"between": [0, 1]}, {"not_in": [0, 2]}, {"between": [-5, 0.5]}]),
)
COUNT_TESTS = st.one_of(
    st.integers(0, 2),
    st.builds(
        lambda key, number: {key: number},
        st.sampled_from(["is", "over", "under", "at_least", "at_most"]),
        st.integers(0, 3),
    ),
    st.just({"between": [1, 2]}),
)
AGES = st.builds(
    lambda key, age: {key: age},
    st.sampled_from(["in_next", "in_last", "older_than", "further_than"]),
    st.sampled_from(
        ["0 days", "1 day", "2d", "3 days", "1 week", "1 business day", "2 business days"]
    ),
)
NAMED_DAYS = st.sampled_from(
    [(now.date() + timedelta(days=d)).isoformat() for now in PRESENTS for d in (-2, -1, 0, 1, 2)]
)
# With an offset, and by the clocks of the account's zone.
NAMED_INSTANTS = st.sampled_from(
    [
        (now + timedelta(hours=h)).isoformat()[: 25 if offset else 19]
        for now in PRESENTS
        for h in (-30, -1, 0, 1, 13)
        for offset in (True, False)
    ]
)
DAYS = st.one_of(st.just("today"), NAMED_DAYS)
DAY_TESTS = st.one_of(
    AGES,
    st.builds(lambda key, day: {key: day}, st.sampled_from(["before", "after"]), DAYS),
    st.builds(lambda low: {"between": [low, "today"]}, st.just("today")),
    st.builds(lambda pair: {"between": sorted(pair)}, st.tuples(DAYS, DAYS)).filter(
        lambda test: "today" not in test["between"]
    ),
)
INSTANT_TESTS = st.one_of(
    DAY_TESTS,
    AGES,
    st.builds(lambda key, at: {key: at}, st.sampled_from(["before", "after"]), NAMED_INSTANTS),
    st.sampled_from([{"older_than": "12h"}, {"in_last": "36h"}, {"in_next": "90 minutes"}]),
)
PRESENT = st.builds(lambda answer: {"present": answer}, st.booleans())
IF_UNKNOWN = st.sampled_from([None, None, None, "hold", "yes", "no"])


@st.composite
def clauses_of(
    draw: st.DrawFn, choices: list[tuple[str, st.SearchStrategy[Any]]]
) -> dict[str, Any]:
    field, tests = draw(st.sampled_from(choices))
    test = draw(tests)
    said = draw(IF_UNKNOWN)
    if said is not None:
        if not isinstance(test, dict):
            test = {"in" if isinstance(test, list) else "is": test}
        test = {**test, "if_unknown": said}
    return {field: test}


def past_tests(values: list[Any]) -> st.SearchStrategy[Any]:
    one_of = st.one_of(st.sampled_from(values), st.lists(st.sampled_from(values), min_size=1))
    ages = st.sampled_from(["0 days", "1 day", "2d", "3 days", "24 hours", "2 business days"])
    thens = st.one_of(ages, NAMED_DAYS, NAMED_INSTANTS)
    keys = {"in_last": ages, "from": one_of, "to": one_of}
    changed = [
        st.fixed_dictionaries({key: keys[key]}, optional={k: keys[k] for k in keys if k != key})
        for key in keys
    ]
    return st.one_of(
        st.one_of(changed).map(lambda change: {"changed": change}),
        st.builds(lambda value, at: {"was": {"value": value, "at": at}}, one_of, thens),
    )


FLAG = st.one_of(st.booleans(), st.sampled_from([{"is_not": True}]), PRESENT)
ACCOUNT_CLAUSES = clauses_of(
    [
        ("tier", st.one_of(TEXT_TESTS, PRESENT)),
        ("recurring_revenue", st.one_of(NUMBER_TESTS, PRESENT)),
        ("renewal_date", st.one_of(DAY_TESTS, PRESENT, DAYS)),
        ("renewal_date", st.sampled_from([{"before": "customer_since"}])),
        ("created_at", st.one_of(INSTANT_TESTS, PRESENT)),
        ("do_not_contact", FLAG),
        ("owner.active", FLAG),
        ("owner", PRESENT),
        ("last_contact", st.one_of(INSTANT_TESTS, PRESENT)),
        ("last_contact", st.sampled_from([{"before": "created_at"}])),
        ("open_tickets", COUNT_TESTS),
        ("tier", past_tests(TEXTS)),
        ("renewal_date", past_tests([now.date().isoformat() for now in PRESENTS])),
        ("owner.active", past_tests([True, False])),
    ]
)
TICKET_CLAUSES = clauses_of(
    [
        ("status", st.sampled_from(["open", "closed", {"is_not": "open"}, {"present": False}])),
        ("opened_at", st.one_of(INSTANT_TESTS, PRESENT)),
        ("open_since", st.one_of(AGES, PRESENT)),
        ("account.tier", TEXT_TESTS),
        ("account.last_contact", AGES),
        ("status", past_tests(["open", "closed"])),
        ("account.tier", past_tests(TEXTS)),
    ]
)
DEAL_CLAUSES = clauses_of([("open", FLAG), ("amount", NUMBER_TESTS), ("account.tier", TEXT_TESTS)])

FAR = st.builds(
    lambda key, age: {key: age},
    st.sampled_from(["in_last", "in_last", "older_than"]),
    st.sampled_from(["12h", "2d", "31 days", "60 days", "100 days", "400 days"]),
)
ACTIVITY_CLAUSES = clauses_of(
    [
        ("kind", st.sampled_from(["call", {"is_not": "note"}, ["meeting", "note"]])),
        ("at", st.one_of(FAR, FAR, INSTANT_TESTS, PRESENT)),
        ("automated", FLAG),
        ("account.tier", TEXT_TESTS),
    ]
)


def in_short(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same, of which hypothesis does not write out what it is made of."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Any:
        return draw(strategy)

    return drawn()


def nested(clauses: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        clauses,
        lambda inner: st.builds(
            lambda key, parts: {key: parts},
            st.sampled_from(["any", "all", "not", "none_of"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=4,
    )


def where(clauses: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    listed = st.lists(nested(clauses), min_size=1, max_size=2)
    return st.one_of(st.just({}), st.builds(lambda conditions: {"where": conditions}, listed))


UNKNOWN_OF_RELATED = IF_UNKNOWN.map(lambda said: {} if said is None else {"if_unknown": said})
TICKETS = in_short(where(TICKET_CLAUSES))
ACTIVITIES = in_short(where(ACTIVITY_CLAUSES))


def valued(
    kinds: list[str], of: str, field: str, which: Any, tests: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda kind, inside, test, said: {
            kind: {"of": of, "field": field, **inside, "is": test, **said}
        },
        st.sampled_from(kinds),
        which,
        tests,
        UNKNOWN_OF_RELATED,
    )


def quantified(of: str, which: Any, each: Any) -> list[st.SearchStrategy[dict[str, Any]]]:
    return [
        st.builds(
            lambda kind, inside, said: {kind: {"of": of, **inside, **said}},
            st.sampled_from(["some", "none"]),
            which,
            UNKNOWN_OF_RELATED,
        ),
        st.builds(
            lambda inside, test, said: {"count": {"of": of, **inside, "is": test, **said}},
            which,
            COUNT_TESTS,
            UNKNOWN_OF_RELATED,
        ),
        st.builds(
            lambda kind, inside, each: {kind: {"of": of, **inside, "is": [each]}},
            st.sampled_from(["every", "latest"]),
            which,
            each,
        ),
    ]


EXTREMES = ["min", "max"]
RELATED = in_short(
    st.one_of(
        *quantified("tickets", TICKETS, TICKET_CLAUSES),
        *quantified("activities", ACTIVITIES, ACTIVITY_CLAUSES),
        valued(["sum", "avg", *EXTREMES], "deals", "amount", where(DEAL_CLAUSES), NUMBER_TESTS),
        valued(EXTREMES, "deals", "close_date", where(DEAL_CLAUSES), st.one_of(DAY_TESTS, PRESENT)),
        valued(EXTREMES, "tickets", "opened_at", TICKETS, st.one_of(INSTANT_TESTS, PRESENT)),
        valued(EXTREMES, "activities", "at", ACTIVITIES, st.one_of(FAR, INSTANT_TESTS)),
    )
)
# Quantifiers within those of others, and segments.
OF_TICKETS_DEALS = in_short(
    st.one_of(
        *quantified("account.deals", where(DEAL_CLAUSES), DEAL_CLAUSES)[:2],
        *quantified("account.activities", ACTIVITIES, ACTIVITY_CLAUSES),
    )
)
OF_CONTACTS_ACTIVITIES = in_short(
    st.one_of(*quantified("activities", ACTIVITIES, ACTIVITY_CLAUSES))
)
CONTACT_CLAUSES = clauses_of(
    [
        ("role", st.sampled_from(["champion", {"is_not": "user"}, {"present": True}])),
        ("created_at", st.one_of(INSTANT_TESTS, PRESENT)),
    ]
)
TICKETS_DEEPER = in_short(
    where(st.one_of(TICKET_CLAUSES, OF_TICKETS_DEALS, st.just({"segment": "pressing"})))
)
CONTACTS_DEEPER = in_short(where(st.one_of(CONTACT_CLAUSES, OF_CONTACTS_ACTIVITIES)))
DEEPER = in_short(
    st.one_of(
        *quantified("tickets", TICKETS_DEEPER, st.one_of(TICKET_CLAUSES, OF_TICKETS_DEALS)),
        *quantified(
            "contacts", CONTACTS_DEEPER, st.one_of(CONTACT_CLAUSES, OF_CONTACTS_ACTIVITIES)
        ),
    )
)
IN_SEGMENTS = st.sampled_from([{"segment": "quiet"}, {"segment": "fine"}])
CONDITIONS = st.lists(
    nested(st.one_of(ACCOUNT_CLAUSES, ACCOUNT_CLAUSES, RELATED, RELATED, DEEPER, IN_SEGMENTS)),
    min_size=1,
    max_size=3,
)


def compiled(conditions: list[list[dict[str, Any]]]) -> tuple[Rule, ...]:
    texts = {
        f"r{i}": f"rule: r{i}\nsubject: account\nwhen: {json.dumps(when)}\n{THEN}"
        for i, when in enumerate(conditions)
    }
    with TemporaryDirectory() as folder:
        return rules_from(Path(folder), texts, SEGMENTS).rules


class ManyConnections(MemoryRecords):
    """Streams of several connections, some in trouble.

    Args:
        looks: whether to say which fields are empty nowhere, as the warehouse does.
    """

    def __init__(self, company: dict[str, Any], *, looks: bool) -> None:
        super().__init__(CATALOG.tables, company["records"], now=company["now"])
        self._company = company
        self._looks = looks

    def is_filled(self, table: str, field: str) -> bool:
        rows = self._company["records"].get(table, ())
        return self._looks and all(row.get(field) is not None for row in rows)

    def stream_states(self) -> Sequence[StreamState]:
        now = self._company["now"]
        read_at = {"never read": None, "broken off": now, "stale": now - timedelta(hours=25)}
        found = []
        for connection in ("test", "one", "two"):
            for table in CATALOG.tables:
                trouble = self._company["untrusted"].get((connection, table))
                trouble = "never read" if table in self._company["unread"] else trouble
                state = StreamState(
                    connection=connection,
                    stream=table,
                    table=table,
                    read_at=read_at.get(trouble, now),
                    error="the line broke" if trouble == "broken off" else None,
                )
                found.append(state)
        return found


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    # A failure is read more quickly than it is shrunk.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    company=companies(),
    conditions=st.lists(CONDITIONS, min_size=6, max_size=6),
    looks=st.booleans(),
    form=st.sampled_from(Form),
)
def test_compiled_rules_say_what_the_naive_evaluator_says(
    company: dict[str, Any],
    conditions: list[list[dict[str, Any]]],
    looks: bool,
    form: Form,
) -> None:
    rules = compiled(conditions)
    records, now, zone = company["records"], company["now"], company["zone"]
    source = ManyConnections(company, looks=looks)
    world = World(
        source,
        FACTS,
        now=now,
        company_zone=ZoneInfo(zone),
        country=company["country"],
        bound=a_day,
    )
    verdicts = evaluate(rules, world, form)
    # One rule alone is narrowed the most, and a fact asked for one thing the least computed.
    alone = {rule.name: evaluate([rule], world, form)[rule.name] for rule in rules[:2]}
    source.close()
    assert all(verdicts[name] == said for name, said in alone.items())
    oracle = Oracle(
        records,
        now=now,
        zone=zone,
        unread=company["unread"],
        untrusted=company["untrusted"].keys(),
        country=company["country"],
    )
    for rule in rules:
        said = verdicts[rule.name]
        for account in records["account"]:
            expected = oracle.verdict(rule.when, account, "account")
            actual = (
                True
                if account["id"] in said.matches
                else None
                if account["id"] in said.unknown
                else False
            )
            event(f"verdict {expected}")
            assert actual is expected, (
                account,
                json.dumps(conditions[int(rule.name[1:])]),
                records,
            )
        assert all(said.unknown.values()), "an unknown verdict has a reason"
