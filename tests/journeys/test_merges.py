from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from crmsync.journeys.keys import once_key
from crmsync.journeys.merges import follow_merges
from crmsync.ledger.values.enrolments import (
    Enrolment,
    EnrolmentRef,
    EnrolmentSnapshot,
    EnrolmentStatus,
    History,
)
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Column
from journeys.rule_world import MONDAY, a_rule

NAME = "renewal-at-risk"
MERGED = {"account": {"crm:1": "crm:2"}}


def column(name: str, kind: FieldType, references: str | None = None) -> Column:
    return Column(table="account", hops=(), name=name, type=kind, references=references)


COLUMNS = (
    column("id", FieldType.TEXT),
    column("primary_contact", FieldType.REFERENCE, "contact"),
    column("name", FieldType.TEXT),
)
RULE = replace(
    a_rule(once_per=tuple(one.path for one in COLUMNS)),
    once_per_columns=COLUMNS,
)


def key(*values: str) -> str:
    return once_key(RULE.once_per, values)


def inside(subject: str, value: str) -> Enrolment:
    return Enrolment(
        id=1,
        ref=EnrolmentRef(rule=NAME, subject=subject, key=value),
        rule_version="1",
        steps=("mail",),
        status=EnrolmentStatus.ACTIVE,
        entered_at=MONDAY,
    )


def test_without_merges_the_snapshot_stays_as_it_is() -> None:
    snapshot = EnrolmentSnapshot(open=(inside("crm:1", key("crm:1", "crm:1", "crm:1")),))
    assert follow_merges(snapshot, [RULE], {}) is snapshot
    assert follow_merges(snapshot, [RULE], {"account": {}}) is snapshot
    assert follow_merges(snapshot, [RULE], {"deal": {"crm:1": "crm:2"}}) == snapshot


def test_the_survivor_stands_in_an_enrolment_that_keeps_its_key() -> None:
    used = key("crm:1", "crm:1", "crm:1")
    snapshot = EnrolmentSnapshot(open=(inside("crm:1", used),), used_keys={(NAME, used): "crm:1"})
    followed = follow_merges(snapshot, [RULE], MERGED)
    # A contact of the same id, and a name that looks like it, are something else.
    now = key("crm:2", "crm:1", "crm:1")
    assert followed.open[0].ref == EnrolmentRef(rule=NAME, subject="crm:2", key=used)
    assert followed.keys_now == {(NAME, used): now}
    assert followed.used_keys == {(NAME, used): "crm:1", (NAME, now): "crm:2"}


def test_ids_in_keys_are_followed_in_the_table_that_they_belong_to() -> None:
    used = key("crm:7", "crm:1", "crm:1")
    snapshot = EnrolmentSnapshot(used_keys={(NAME, used): "crm:7"})
    followed = follow_merges(snapshot, [RULE], {"contact": {"crm:1": "crm:9"}})
    assert followed.used_keys[NAME, key("crm:7", "crm:9", "crm:1")] == "crm:7"


def test_the_last_time_counts_and_only_own_enrolments_are_numbered() -> None:
    later = MONDAY + timedelta(days=1)
    snapshot = EnrolmentSnapshot(
        histories={
            (NAME, "crm:1"): History(enrolments=5, last_active_at=later),
            (NAME, "crm:2"): History(enrolments=2, last_active_at=MONDAY),
            (NAME, "crm:3"): History(enrolments=1, last_active_at=None),
            ("other", "crm:1"): History(enrolments=1, last_active_at=later),
        }
    )
    aliases = {"account": {"crm:1": "crm:2", "crm:3": "crm:4"}}
    followed = follow_merges(snapshot, [RULE], aliases).histories
    assert followed[NAME, "crm:2"] == History(enrolments=2, last_active_at=later)
    assert followed[NAME, "crm:4"] == History()
    assert ("other", "crm:2") not in followed
