"""The same customer in two systems is one: who stands for whom is found anew after a sync.

Explicit ids come first (`external_id`: the other system's id, or one that both share), then the
exact domain of an account, or the exact address of a contact or a colleague. Never a guess: where
several records of one system would fit, none is joined, and a person is told.
Of several records, that of the connection which the config names first stands for the others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.model.tables import split_global_id
from crmsync.sync.matching import bare_domain
from crmsync.sync.public_domains import PUBLIC_DOMAINS
from crmsync.warehouse.twins import TWINNED, TwinState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from crmsync.warehouse.reader import Records
    from crmsync.warehouse.store import Warehouse

_MOST_TOLD = 50


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A record, and by what it can be found to be the same as another.

    Attributes:
        key: the domain or the address; empty where it has none.
        external: the id that it has elsewhere; empty where that is not known.
        within: the account of a contact, as its system has it.
    """

    id: str
    connection: str
    key: str
    external: str
    within: str
    name: str


def link_customers(warehouse: Warehouse, order: Sequence[str]) -> tuple[str, ...]:
    """Bring up to date which records are the same; answers with what is doubtful.

    Args:
        order: the connections that have customers, the first ones standing for the others.

    Raises:
        StoreBusyError: another process held the warehouse for too long.
        StoreError: the warehouse cannot be read or written.
    """
    with warehouse.reading() as records:
        state, before, mark = records.twin_state(), records.twins(), records.mark()
        if mark is None or (len(order) < 2 and not before):  # noqa: PLR2004  nobody to compare
            return ()
        if state.number is not None and mark.oldest <= state.number:
            changes = records.changed_since(state.number)
            if not {*changes.records, *changes.whole} & {*TWINNED}:
                return state.doubts
        pairs, doubts = find_pairs(records, order)
    # Others may have written since: the next time looks at what came after this mark.
    with warehouse.writing() as writer:
        writer.link_twins(pairs, TwinState(number=mark.number, doubts=doubts))
    return doubts


def find_pairs(
    records: Records, order: Sequence[str]
) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """By table, the records that another stands for, each with that one; and what is doubtful."""
    rank = {name: number for number, name in enumerate(order)}
    doubts: list[str] = []
    accounts = Groups(rank, [*_rows(records, "account", _domain, rank)])
    doubts += accounts.join()
    pairs = {"account": accounts.pairs()}

    def same_account(one: Candidate, other: Candidate) -> bool:
        known = pairs["account"]
        return not (one.within and other.within) or known.get(one.within, one.within) == known.get(
            other.within, other.within
        )

    for table, fits in (("contact", same_account), ("user", None)):
        groups = Groups(rank, [*_rows(records, table, _address, rank)], fits)
        groups.join()  # two contacts of one address in one system are everyday: nobody is told
        pairs[table] = groups.pairs()
    return {table: found for table, found in pairs.items() if found}, tuple(doubts[:_MOST_TOLD])


def _domain(rows: ir.Table) -> ir.Value:
    domain = bare_domain(rows.domain)
    return domain.isin(PUBLIC_DOMAINS).ifelse("", domain)


def _address(rows: ir.Table) -> ir.Value:
    return rows.email.strip().lower()


def _rows(
    records: Records,
    table: str,
    key: Callable[[ir.Table], ir.Value],
    rank: Mapping[str, int],
) -> Iterator[Candidate]:
    """The records that may be the same as others: all, or only those whose key others share."""

    def build() -> ir.Table:
        rows = records.apart(table)
        empty = rows.id.substr(0, 0)
        found = rows.select(
            "id",
            "connection",
            key=key(rows).fill_null(""),
            external=rows.external_id.strip().fill_null("")
            if "external_id" in rows.columns
            else empty,
            within=rows.account.fill_null("") if table == "contact" else empty,
            name=rows.name.fill_null(""),
        )
        several = found.group_by("key").agg(of=lambda t: t.connection.nunique())
        shared = several.filter((several.of > 1) & (several.key != "")).select("key")
        explicit = (found.external != "").any().over()
        found = found.mutate(explicit=explicit)
        alike = found.semi_join(shared, "key")
        return alike.union(found.filter(found.explicit), distinct=True).drop("explicit")

    found = records.query(records.compiled(f"the same {table}", build))
    columns = found.to_pydict()
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        if row["connection"] in rank:
            yield Candidate(**row)


@dataclass
class Groups:
    """Records, and which of them were found to be the same."""

    rank: Mapping[str, int]
    rows: Sequence[Candidate]
    fits: Callable[[Candidate, Candidate], bool] | None = None
    members: dict[str, list[Candidate]] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rows = sorted(self.rows, key=lambda row: (self.rank[row.connection], row.id))
        self.members = {row.id: [row] for row in self.rows}

    def join(self) -> list[str]:
        """By ids that were given, then by keys; answers with what cannot be told."""
        return [*self._by_external(), *self._by_key()]

    def pairs(self) -> dict[str, str]:
        """Those for which another stands, each with that one."""
        return {r.id: members[0].id for members in self.members.values() for r in members[1:]}

    def _by_external(self) -> Iterator[str]:
        given = [row for row in self.rows if row.external]
        if not given:
            return
        local: dict[str, list[Candidate]] = defaultdict(list)
        for row in self.rows:
            local[split_global_id(row.id)[1]].append(row)
        alike: dict[str, list[Candidate]] = defaultdict(list)
        for row in given:
            alike[row.external].append(row)
        for name, rows in sorted(alike.items()):
            others = [row for row in local.get(name, []) if row not in rows]
            systems = {row.connection for row in rows}
            found = [*rows, *(row for row in others if row.connection not in systems)]
            if len({row.connection for row in found}) < 2:  # noqa: PLR2004  nobody else
                continue
            joined = self._joined(found)
            if joined is None:
                self.blocked |= {row.id for row in found}
                yield _doubt(f"the id “{name}”", found)
            else:
                self._merge(joined)

    def _by_key(self) -> Iterator[str]:
        keyed: dict[str, list[Candidate]] = defaultdict(list)
        for row in self.rows:
            if row.key and row.id not in self.blocked:
                keyed[row.key].append(row)
        for key, rows in sorted(keyed.items()):
            if len({row.connection for row in rows}) < 2 or self._are_one(rows):  # noqa: PLR2004  as above
                continue
            joined = self._joined(rows)
            if joined is not None and self._agree(joined):
                self._merge(joined)
            elif joined is None and not self._are_whole(rows):
                yield _doubt(f"the domain {key}", rows)

    def _are_one(self, rows: Sequence[Candidate]) -> bool:
        return all(row in self.members[rows[0].id] for row in rows)

    def _are_whole(self, rows: Sequence[Candidate]) -> bool:
        """Whether each of them was found in every system that has the key, by its id."""
        systems = {row.connection for row in rows}
        return all(systems <= {one.connection for one in self.members[row.id]} for row in rows)

    def _joined(self, rows: Iterable[Candidate]) -> list[Candidate] | None:
        """All that would be one; None where a system would have several of it."""
        found = {one.id: one for row in rows for one in self.members[row.id]}
        systems = [one.connection for one in found.values()]
        if len(systems) != len(set(systems)):
            return None
        return sorted(found.values(), key=lambda row: self.rank[row.connection])

    def _agree(self, rows: Sequence[Candidate]) -> bool:
        """Whether no ids say that they are different, and whatever else must fit does."""
        first = rows[0]
        apart = any(
            one.external and other.external and other not in self.members[one.id]
            for one in rows
            for other in rows
        )
        fits = self.fits
        return not apart and (fits is None or all(fits(first, row) for row in rows[1:]))

    def _merge(self, rows: list[Candidate]) -> None:
        for row in rows:
            self.members[row.id] = rows


def _doubt(by: str, rows: Sequence[Candidate]) -> str:
    named = ", ".join(f"{row.name or 'without a name'} ({row.id})" for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""  # noqa: PLR2004  as above
    return (
        f"by {by} it cannot be told which accounts are the same customer: {named}{more}; give "
        "those that are the same “external_id”, until then each stands for itself"
    )
