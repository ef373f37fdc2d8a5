from __future__ import annotations

from datetime import timedelta

import pytest

from crmsync.model.records import StreamState
from crmsync.rules.evaluation.freshness import Freshness
from rules.rules_world import NOW, a_day

HOUR = timedelta(hours=1)


def state(
    table: str,
    *,
    age: timedelta | None = HOUR,
    connection: str = "crm",
    stream: str | None = None,
    error: str | None = None,
    missing: int = 0,
) -> StreamState:
    return StreamState(
        connection=connection,
        stream=stream or table,
        table=table,
        read_at=None if age is None else NOW - age,
        error=error,
        missing=missing,
        rows=300 if missing else 0,
    )


@pytest.mark.parametrize(
    ("states", "reasons"),
    [
        ([state("activity")], ()),
        ([state("activity", age=timedelta(days=1))], ()),
        (
            [state("activity", age=timedelta(hours=25))],
            ("the activity stream of crm was last read 25 hours ago, longer than 24 hours",),
        ),
        ([state("activity", age=-HOUR)], ()),
        ([state("activity", age=None)], ("the activity stream of crm was never read",)),
        ([state("ticket")], ("the config has no activity stream of crm",)),
        (
            [state("activity", error="the file is gone")],
            ("the activity stream of crm could not be read to its end: the file is gone",),
        ),
        # A few bad rows are in every export; of more than a tenth, the mapping is wrong.
        ([state("activity", missing=30)], ()),
        (
            [state("activity", missing=31)],
            ("31 of 300 rows of the activity stream of crm could not be read",),
        ),
        # One of two streams of the table is enough to be in doubt.
        (
            [state("activity", stream="calls"), state("activity", stream="mails", age=None)],
            ("the activity stream “mails” of crm was never read",),
        ),
        # One cause that several streams have is told once.
        (
            [
                state("activity", stream="calls", error="no"),
                state("activity", stream="mail", error="no"),
                state("activity", stream="notes", error="the file is gone"),
                state("activity", stream="tasks", age=None, error="no"),
            ],
            (
                "the activity streams “calls” and “mail” of crm could not be read to their end: no",
                "the activity stream “notes” of crm could not be read to its end: the file is gone",
                "the activity stream “tasks” of crm was never read: no",
            ),
        ),
        # Links complete activities where they are read, and need not be there.
        (
            [state("activity"), state("activity_link", age=None)],
            ("the activity_link stream of crm was never read",),
        ),
        # A mailbox may have had mail of anybody's.
        (
            [
                state("account"),
                state("activity"),
                state("activity", connection="mailbox", stream="mails", age=None),
            ],
            ("the activity stream “mails” of mailbox was never read",),
        ),
        ([state("account"), state("activity", connection="mailbox")], ()),
        # Another CRM says nothing of this one's customers.
        (
            [
                state("activity"),
                state("account", connection="other"),
                state("activity", connection="other", age=None),
            ],
            (),
        ),
        # Another connection says nothing of this one.
        (
            [state("activity", age=None), state("activity", connection="other")],
            ("the activity stream of crm was never read",),
        ),
    ],
)
def test_why_a_table_cannot_be_trusted(states: list[StreamState], reasons: tuple[str, ...]) -> None:
    freshness = Freshness(states=states, now=NOW, bound=a_day)
    assert freshness.reasons("crm", ["activity"]) == reasons
    assert ("crm" in freshness.fresh_connections(["activity"])) == (not reasons)
