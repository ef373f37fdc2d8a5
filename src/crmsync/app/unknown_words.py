"""What check doubts of the words and ids in rules that no record has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.config.yaml import nearest
from crmsync.rules.conditions import HISTORY, Change, Comparison, Operator, Past, every_clause
from crmsync.rules.language import EmailStep, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crmsync.app.workspace import Workspace
    from crmsync.config.yaml import Place
    from crmsync.rules.conditions import Operand, Test
    from crmsync.rules.language import Rule
    from crmsync.rules.reading.load import RuleSet
    from crmsync.warehouse.reader import Records

_COMPARE = frozenset({Operator.IS, Operator.IS_NOT, Operator.IN, Operator.NOT_IN, *HISTORY})
# A field with more values than these is no choice among a few words.
_MOST_WORDS = 50
_ID = "id"


def doubts_about_values(workspace: Workspace, rules: RuleSet, records: Records) -> Iterator[str]:
    """A sentence for each word that no record has, where one is there that is much like it."""
    known: dict[tuple[str, str, bool], frozenset[str]] = {}
    for rule in rules.rules:
        for place, table, field, wanted, past in (*_asked(rule), *_recipients(rule)):
            definition = workspace.catalog.tables[table].field(field)
            # What a field was once is a word of its past, though no record has it today.
            once = past and definition is not None and definition.tracked
            key = (table, field, once)
            if key not in known:
                known[key] = _values(records, table, field, past=once)
            for word in wanted:
                hint = nearest(word, known[key])
                # A list may name a word for later beside one in use, both much alike.
                alike = word.lower() in {one.lower() for one in known[key]}
                meant = alike or not any(f"“{one}”" in hint for one in wanted)
                if word not in known[key] and hint.startswith("; did") and meant:
                    plural = workspace.catalog.tables[table].plural
                    yield f"{place}: none of the {plural} has the {field} “{word}”{hint}"


def doubts_about_ids(workspace: Workspace, rules: RuleSet, records: Records) -> Iterator[str]:
    """A sentence for each id that lacks its connection, of records that are there with it."""
    connections = workspace.installation.settings.connections
    for rule in rules.rules:
        for clause in every_clause(rule.when):
            if not isinstance(clause, Comparison) or clause.column.fact is not None:
                continue
            column = clause.column
            table = column.owner if column.name == _ID else column.references
            wanted = _words(clause.test) if table is not None else ()
            if not wanted or table is None:
                continue
            full = {f"{name}:{word}": word for word in wanted for name in connections}
            ids = _ids(records, table, {*wanted, *full})
            for word in wanted:
                meant = sorted(one for one in ids if full.get(one) == word)
                if word not in ids and meant:
                    written = " or ".join(f"“{one}”" for one in meant)
                    yield (
                        f"{clause.place}: no {table} has the id “{word}”: crmsync knows a record "
                        f"by its connection and its id in the CRM; write {written}"
                    )


def _asked(rule: Rule) -> Iterator[tuple[Place, str, str, tuple[str, ...], bool]]:
    """Place, table, field, the words that it is held against, and whether its past is."""
    for clause in every_clause(rule.when):
        if not isinstance(clause, Comparison):
            continue
        column = clause.column
        if column.fact is None and column.references is None and column.name != _ID:
            past = clause.test.operator in HISTORY
            yield clause.place, column.owner, column.name, _words(clause.test), past


def _recipients(rule: Rule) -> Iterator[tuple[Place, str, str, tuple[str, ...], bool]]:
    """The roles that the recipients of mails are sought by, in the same form."""
    for step in rule.then:
        to = step.to if isinstance(step, EmailStep) else None
        roles = []
        while to is not None:
            roles += [to.role] if to.role is not None else []
            to = to.otherwise
        if roles:
            yield place_of(step, "to"), "contact", "role", tuple(roles), False


def _words(test: Test) -> tuple[str, ...]:
    """The texts that a clause holds a field against, as a whole."""
    if test.operator not in _COMPARE:
        return ()
    return tuple(value for value in _operands(test.operand) if isinstance(value, str))


def _operands(operand: Operand) -> Iterable[object]:
    match operand:
        case Change():
            return (*(operand.before or ()), *(operand.after or ()))
        case Past():
            return operand.values
        case tuple():
            return operand
        case _:
            return (operand,)


def _values(records: Records, table: str, field: str, *, past: bool) -> frozenset[str]:
    """What a field holds, or held; nothing where that is more than a choice of words."""
    columns = [records.table(table)[field]]
    if past:
        changes = records.changes(table, field)
        columns += [changes.old, changes.new]
    found: set[str] = set()
    for column in columns:
        asked = column.name("value").as_table().distinct().limit(_MOST_WORDS + 1)
        values = records.query(asked).column("value").to_pylist()
        found |= {value for value in values if value is not None}
    return frozenset(found) if len(found) <= _MOST_WORDS else frozenset()


def _ids(records: Records, table: str, sought: Iterable[str]) -> frozenset[str]:
    """Which of these ids records of a table have."""
    rows = records.table(table)
    wanted = [ibis.literal(one) for one in sorted(sought)]
    found = records.query(rows.filter(rows.id.isin(wanted)).select("id"))
    return frozenset(found.column("id").to_pylist())
