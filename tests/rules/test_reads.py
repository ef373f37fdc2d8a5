"""Which fields a query reads."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import ibis
import pytest

from crmsync.rules.evaluation.reads import fields_read
from crmsync.rules.evaluation.world import World
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.rules_world import CATALOG, FACTS, NOW, a_day

if TYPE_CHECKING:
    from crmsync.model.catalog import FactSpec

A = ibis.table({"id": "string", "x": "int64", "y": "int64", "z": "int64"}, name="a")
B = ibis.table({"id": "string", "a": "string", "v": "int64", "w": "int64"}, name="b")


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        (A.select("id", value=A.x), "a.id a.x"),
        (A.filter(A.y > 1).select("id", value=A.x + A.z), "a.id a.x a.y a.z"),
        (A.mutate(value=A.x).drop("y").select("id", "value"), "a.id a.x"),
        (B.group_by(id=B.a).aggregate(value=B.v.sum(where=B.w > 0)), "b.a b.v b.w"),
        (B.group_by(id=B.a).aggregate(value=B.count()), "b.a"),
        (A.left_join(B, [("id", "a")]).select("id", value="v"), "a.id b.a b.v"),
        (A.select("id", value="x").union(A.select("id", value="y")), "a.id a.x a.y"),
        (
            A.mutate(place=ibis.row_number().over(group_by=A.y, order_by=A.z))
            .filter(ibis._.place == 0)
            .select("id", value="x"),
            "a.id a.x a.y a.z",
        ),
        (A.semi_join(B.filter(B.w > 1), [("id", "a")]).select("id", value="x"), "a.id a.x b.a b.w"),
        (A.filter(A.id.isin(B.a)).select("id", value="x"), "a.id a.x b.a"),
        (A.distinct().select("id", value="x"), "a.id a.x a.y a.z"),
    ],
    ids=range(11),
)
def test_what_an_expression_reads(expression: ibis.Table, read: str) -> None:
    found = fields_read(expression, ["id", "value"], {"a": A, "b": B})
    assert sorted(f"{table}.{field}" for table, field in found) == read.split()


def _reads(fact: FactSpec) -> str:
    source = MemoryRecords(CATALOG.tables, {}, now=NOW)
    world = World(source, FACTS, now=NOW, company_zone=ZoneInfo("UTC"), country=None, bound=a_day)
    tables = {name: world.table(name) for name in CATALOG.tables}
    found = fields_read(world.fact(fact), ["id", "value"], tables)
    source.close()
    return " ".join(sorted(f"{table}.{field}" for table, field in found))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("open_deals", "deal.account deal.open deal.opened_on"),
        ("open_pipeline", "deal.account deal.amount deal.currency deal.open deal.opened_on"),
        ("open_tickets", "ticket.account ticket.closed_at ticket.opened_at ticket.status"),
        ("open_promises", "promise.account promise.state"),
        ("days_to_renewal", "account.id account.renewal_date"),
    ],
)
def test_what_facts_read(name: str, read: str) -> None:
    fact = CATALOG.fact("account", name)
    assert fact is not None
    assert _reads(fact) == read
