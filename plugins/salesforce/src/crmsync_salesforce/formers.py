"""What records were before they were first read, from the org's own history of fields.

An org keeps it for the fields that an administrator has chosen, for 18 months or longer. A former
version is known only whole: where the org does not keep the history of every field whose changes
the mapping tracks, none is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from simple_salesforce.format import format_soql

from crmsync.errors import TransientError
from crmsync.observe import logger
from crmsync_salesforce import bulk, soql
from crmsync_salesforce.describing import CREATED
from crmsync_salesforce.errors import RefusedError
from crmsync_salesforce.options import SalesforceStreamOptions
from crmsync_salesforce.tables import rows_as_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.plugins.contract import StreamRequest
    from crmsync_salesforce.client import SalesforceClient
    from crmsync_salesforce.describing import Descriptions, Plan

_log = logger()
_RECORD_ID = r"^[0-9A-Za-z]{15}([0-9A-Za-z]{3})?$"
_LONGEST_KEPT = 255
_NAMED_OTHERWISE = {"Opportunity": "OpportunityFieldHistory"}


class Formers:
    """The former versions of an object's records.

    Args:
        changes: the columns ``id``, ``at``, ``field`` and ``old``; those of a record stand
            together, the oldest first.
        changed_at: the field that says since when a version stood.
    """

    def __init__(self, changes: pa.Table, *, changed_at: str) -> None:
        self._changes, self._changed_at = changes.drop_columns("id"), changed_at
        self.since: str = pc.min_max(changes["at"])["min"].as_py()
        counted = pc.value_counts(changes["id"])
        self._ids = counted.field("values")
        counts = counted.field("counts")
        starts = pc.subtract(pc.cumulative_sum(counts), counts)
        places = zip(starts.to_pylist(), counts.to_pylist(), strict=True)
        self._places = dict(zip(self._ids.to_pylist(), places, strict=True))

    def __len__(self) -> int:
        return len(self._places)

    def with_former(self, rows: pa.Table) -> pa.Table:
        """Records behind their former versions; the past of deleted ones is left out.

        A record that is younger than what the org has kept has a past from its creation on.
        """
        live = rows
        if "IsDeleted" in rows.column_names:
            live = rows.filter(pc.not_equal(rows["IsDeleted"], "true"))
        changed = pc.is_in(live["Id"], value_set=self._ids)
        same = live.filter(pc.invert(changed))
        place = same.schema.get_field_index(self._changed_at)
        created = same[CREATED]
        stood = pc.if_else(pc.greater(created, self.since), created, self.since)
        same = same.set_column(place, self._changed_at, stood)
        versions = [
            version for row in live.filter(changed).to_pylist() for version in self._versions(row)
        ]
        return pa.concat_tables([same, pa.Table.from_pylist(versions, schema=rows.schema), rows])

    def _versions(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What a record was, the oldest first, until it became what it is."""
        changes = self._changes.slice(*self._places[row["Id"]]).to_pylist()
        values = row
        states = [values]
        for change in reversed(changes):
            values = values | {change["field"]: change["old"]}
            states.append(values)
        starts = [max(self.since, row[CREATED]), *(change["at"] for change in changes)]
        for start, state in zip(starts, reversed(states), strict=True):
            yield state | {self._changed_at: start}


def formers(
    client: SalesforceClient, descriptions: Descriptions, request: StreamRequest, plan: Plan
) -> Formers | None:
    """The former versions of a stream's records; None where the org does not tell them.

    Raises:
        ConnectorError: the org cannot be asked now.
    """
    assert isinstance(request.options, SalesforceStreamOptions)  # noqa: S101  the spec names that model
    name, changed_at = request.options.object, request.changed_at
    fields = {column.partition(":")[0] for column in request.tracked}
    if not fields or changed_at not in plan.selected or CREATED not in plan.selected:
        return None
    try:
        described = descriptions.fields(name)
        # Of longer texts the org keeps that they were changed, and not what they were.
        longer = {field for field in fields if int(described[field]["length"]) > _LONGEST_KEPT}
        unkept = fields - _kept(client, name) | longer
        if unkept:
            _log.info("former_values_unknown", object=name, fields_without_history=sorted(unkept))
            return None
        called = {_called(field, described[field]): field for field in fields}
        rows = _history(client, name, list(called), bulk_from=request.options.bulk_from)
    except RefusedError as error:
        _log.info("former_values_unknown", object=name, why=str(error))
        return None
    references = [own for own, field in called.items() if described[field]["type"] == "reference"]
    changes = _by_record(rows, name, called, references)
    if not changes.num_rows:
        return None
    found = Formers(changes, changed_at=changed_at)
    _log.info("former_values_read", object=name, records=len(found), since=found.since)
    return found


def _by_record(
    rows: pa.Table, name: str, called: Mapping[str, str], references: Sequence[str]
) -> pa.Table:
    """The org's history as `Formers` takes it."""
    refers = pc.is_in(rows["Field"], value_set=pa.array(references, pa.string()))
    by_id = pc.and_(_is_id(rows["OldValue"]), _is_id(rows["NewValue"]))
    # The same change of a reference is also told by names.
    rows = rows.filter(pc.or_(pc.invert(refers), by_id))
    order = [(column, "ascending") for column in (_parent(name), "CreatedDate", "Id")]
    rows = rows.sort_by(order).combine_chunks()
    own = pc.index_in(rows["Field"], value_set=pa.array(list(called), pa.string()))
    return pa.table(
        {
            "id": rows[_parent(name)],
            "at": rows["CreatedDate"],
            "field": pa.array(list(called.values()), pa.string()).take(own.combine_chunks()),
            "old": rows["OldValue"],
        }
    )


def _kept(client: SalesforceClient, name: str) -> set[str]:
    """The fields of which the org keeps the history."""
    query = soql.everything(
        "FieldDefinition",
        ("QualifiedApiName", "IsFieldHistoryTracked"),
        format_soql("WHERE EntityDefinition.QualifiedApiName = {}", name),
    )
    records = client.call("GET", "query", params={"q": query}).json()["records"]
    return {row["QualifiedApiName"] for row in records if row["IsFieldHistoryTracked"]}


def _history(
    client: SalesforceClient, name: str, called: Sequence[str], *, bulk_from: int
) -> pa.Table:
    """All that the org keeps of these fields."""
    history = f"{name[:-3]}__History" if name.endswith("__c") else f"{name}History"
    history = _NAMED_OTHERWISE.get(name, history)
    selected = ("Id", _parent(name), "Field", "OldValue", "NewValue", "CreatedDate")
    where = format_soql("WHERE Field IN {}", sorted(called))
    query = soql.everything(history, selected, where)
    counted = client.call(
        "GET", "query", params={"q": soql.everything(history, ("count()",), where)}
    )
    if int(counted.json()["totalSize"]) >= bulk_from:
        try:
            return pa.concat_tables(_by_job(client, query, selected))
        except bulk.NoBulkError as error:
            _log.info("reads_by_queries", object=history, why=str(error))
    return pa.concat_tables(_by_queries(client, query, selected))


def _by_queries(
    client: SalesforceClient, query: str, selected: Sequence[str]
) -> Iterator[pa.Table]:
    for records in client.pages("query", query):
        yield rows_as_table(records, selected)


def _by_job(client: SalesforceClient, query: str, selected: Sequence[str]) -> Iterator[pa.Table]:
    job = bulk.create_job(client, query)
    try:
        if not bulk.wait_for(client, job):
            raise TransientError("the org has not gathered the history of fields yet")
        locator: str | None = None
        while True:
            for table, following, complete in bulk.results(client, job, locator, selected):
                yield table
                ended = complete and following is None
                locator = following if complete else locator
            if ended:
                return
    except bulk.JobLostError as error:
        raise TransientError(str(error)) from None


def _parent(name: str) -> str:
    """The field of a history that leads to the record."""
    return "ParentId" if name.endswith("__c") else f"{name}Id"


def _called(field: str, described: Mapping[str, Any]) -> str:
    """A field as the history of fields calls it."""
    lookup = described["type"] == "reference" and not described["custom"]
    return field.removesuffix("Id") if lookup else field


def _is_id(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(texts, _RECORD_ID).fill_null(fill_value=True)
