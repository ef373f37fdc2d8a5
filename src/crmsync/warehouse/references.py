"""References that lead nowhere: to records that no stream has given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot.expressions as sge

from crmsync.warehouse.database import RECORDS, named

if TYPE_CHECKING:
    from crmsync.warehouse.database import Database


@dataclass(frozen=True, kw_only=True)
class Astray:
    """References that lead nowhere.

    Attributes:
        references: how many records name one at all.
        example: the global id that one of them names; None where none is lost.
    """

    references: int
    lost: int
    example: str | None


def count_astray(
    database: Database, connection: str, table: str, field: str, target: str
) -> Astray:
    """How many of a connection's live records name a record of ``target`` that is not there.

    A tombstone is there: it was known once.
    """
    mine, theirs = "mine", "theirs"
    reference = sge.column(field, table=mine)
    lost = sge.column("id", table=theirs).is_(sge.null())
    select = (
        sge.select(
            sge.Count(this=sge.Star()),
            sge.Filter(this=sge.Count(this=sge.Star()), expression=sge.Where(this=lost)),
            sge.Filter(this=sge.Min(this=reference), expression=sge.Where(this=lost)),
        )
        .from_(sge.alias_(named(table, RECORDS), mine, table=True))
        .join(
            sge.alias_(named(target, RECORDS), theirs, table=True),
            on=sge.EQ(this=reference, expression=sge.column("id", table=theirs)),
            join_type="left",
        )
        .where(sge.column("deleted_at", table=mine).is_(sge.null()))
        .where(sge.Not(this=reference.copy().is_(sge.null())))
        .where(sge.column("connection", table=mine).eq(connection))
    )
    named_ones, lost_ones, example = (c[0].as_py() for c in database.fetch(select).columns)
    return Astray(references=named_ones, lost=lost_ones, example=example)
