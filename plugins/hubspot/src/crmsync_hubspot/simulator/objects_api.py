"""The endpoints for records: lists, batches, searches, merges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync_hubspot.simulator.access import object_scopes
from crmsync_hubspot.simulator.bodies import (
    asked_for,
    batch_body,
    id_of,
    inputs_of,
    maybe_text,
    objects_of,
    properties_of,
    record_body,
    specs_of,
    text_of,
    texts_of,
    whole_body,
)
from crmsync_hubspot.simulator.errors import (
    PortalError,
    bad_json,
    not_allowed,
    not_found,
    unknown_item,
)
from crmsync_hubspot.simulator.messages import Answer, Fault, Request
from crmsync_hubspot.simulator.search import LONGEST, searched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crmsync_hubspot.simulator.access import Access
    from crmsync_hubspot.simulator.definitions import ObjectType
    from crmsync_hubspot.simulator.portal import Portal
    from crmsync_hubspot.simulator.records import Record

_MERGEABLE = {"contacts", "companies", "deals", "tickets"}
_READ_ONLY = {"feedback_submissions"}
_MOST_HISTORY_INPUTS = 50
_KEPT_ARCHIVED = 90 * 24 * 3600 * 1000  # milliseconds
_MULTI = 207
_TRACE = "objectWriteTraceId"


class ObjectsApi:
    """Answers requests for records."""

    def __init__(self, portal: Portal, access: Access) -> None:
        self._portal, self._access = portal, access

    def answer(self, request: Request, fault: Fault | None) -> Answer:
        """Answer a request whose route begins behind ``objects``."""
        kind = self._portal.type(request.route[1])
        custom = kind.custom is not None
        scopes = object_scopes(kind.name, custom=custom, writes=request.writes)
        self._access.require(*scopes)
        if kind.name in _READ_ONLY and request.writes:
            raise not_allowed()
        match request.method, request.route[2:]:
            case "GET", ():
                return self._list(kind, request, fault)
            case "POST", ():
                made = self._create(kind, request.fields())
                return Answer(status=201, body=whole_body(self._portal, kind, made))
            case "POST", ("search",):
                return self._search(kind, request, fault)
            case "POST", ("merge",) if kind.name in _MERGEABLE or custom:
                return self._merge(kind, request.fields())
            case "POST", ("gdpr-delete",) if kind.name == "contacts":
                return self._forget(kind, request.fields())
            case "POST", ("batch", verb):
                return self._batch(kind, verb, request, fault)
            case _, (told,):
                return self._one(kind, told, request)
            case _, () | ("batch", _):
                raise not_allowed()
        raise not_found()

    def _one(self, kind: ObjectType, told: str, request: Request) -> Answer:
        match request.method:
            case "GET":
                return self._get(kind, told, request)
            case "PATCH":
                one = self._found(kind, told, request.text("idProperty"))
                values = properties_of(request.fields())
                changed = self._portal.update(kind.name, one.id, values)
                return Answer(body=whole_body(self._portal, kind, changed))
            case "DELETE":
                self._portal.archive(kind.name, id_of(told))
                return Answer(status=204)
        raise not_allowed()

    def _list(self, kind: ObjectType, request: Request, fault: Fault | None) -> Answer:
        history = request.names("propertiesWithHistory") or []
        settings = self._portal.settings
        most = settings.history_rows if history else settings.page_rows
        limit = request.number("limit", 10, most)
        archived = request.flag("archived")
        told = request.text("after")
        if told and not told.isdecimal():
            raise PortalError(f"Invalid after: {told}")
        first = int(told or 0)
        size = _faulty_size(limit, fault)
        found = self._portal.tables[kind.name].page(
            first, max(size, 1) + 1, archived=archived, since=self._portal.now() - _KEPT_ARCHIVED
        )
        page, more = found[:size], len(found) > size
        names = asked_for(kind, request.names("properties"))
        ends = [self._portal.type(one) for one in request.names("associations") or []]
        results = []
        for one in page:
            body = record_body(self._portal, kind, one, names, history)
            told_ends = {_plural(e): x for e in ends if (x := self._ends(kind, one, e))}
            results.append(body | ({"associations": told_ends} if told_ends else {}))
        after = str(found[size].id) if more else None
        return Answer(body=self._paged(request, {"results": results}, after, fault))

    def _search(self, kind: ObjectType, request: Request, fault: Fault | None) -> Answer:
        body = request.fields()
        if len(request.body.decode()) > LONGEST:
            raise PortalError(f"The body of a search has at most {LONGEST} characters")
        limit = body.get("limit", 10)
        size = _faulty_size(limit, fault) if isinstance(limit, int) else 1
        found = searched(self._portal, kind, body, size)
        names = asked_for(kind, found.properties or None)
        results = [record_body(self._portal, kind, one, names) for one in found.records]
        after = None if found.after is None else str(found.after)
        if fault is Fault.EMPTY_PAGE and found.total:
            after = str(body.get("after") or 0)
        told = {"total": found.total, "results": results}
        return Answer(body=self._paged(request, told, after, fault))

    def _paged(
        self, request: Request, body: dict[str, Any], after: str | None, fault: Fault | None
    ) -> dict[str, Any]:
        """A page with the token of the next one, or with what a fault makes of it."""
        if fault is Fault.SAME_PAGE:
            told = request.text("after")
            if request.searches:
                told = str(request.fields().get("after") or "0")
            after = told or after
        if fault is Fault.ENDLESS:
            after = after or request.text("after") or "1"
        if after is None:
            return body
        following: dict[str, str] = {"after": after}
        if not request.searches:
            path = request.target.partition("?")[0]
            following["link"] = f"https://api.hubapi.com{path}?after={after}"
        return body | {"paging": {"next": following}}

    def _get(self, kind: ObjectType, told: str, request: Request) -> Answer:
        history = request.names("propertiesWithHistory") or []
        archived = request.flag("archived")
        one = self._found(kind, told, request.text("idProperty"), archived=archived)
        names = asked_for(kind, request.names("properties"))
        body = record_body(self._portal, kind, one, names, history)
        ends = [self._portal.type(name) for name in request.names("associations") or []]
        told_ends = {_plural(e): x for e in ends if (x := self._ends(kind, one, e))}
        return Answer(body=body | ({"associations": told_ends} if told_ends else {}))

    def _found(
        self, kind: ObjectType, told: str, id_property: str, *, archived: bool = False
    ) -> Record:
        """A record by its id, or by a unique property.

        Raises:
            PortalError: it is not there.
        """
        if not id_property or id_property == "hs_object_id":
            return self._portal.get(kind.name, id_of(told), archived=archived)
        self._unique(kind, id_property)
        found = self._portal.tables[kind.name].with_value(id_property, told)
        if found is None:
            raise not_found()
        return self._portal.get(kind.name, found, archived=archived)

    def _unique(self, kind: ObjectType, name: str) -> None:
        definition = kind.live(name)
        if definition is None or not definition.unique:
            raise PortalError(
                f"{name} is not a unique property of {kind.name}",
                context={"idProperty": [name]},
            )

    def _ends(self, kind: ObjectType, one: Record, other: ObjectType) -> dict[str, Any]:
        ends = self._portal.links.of(kind.name, one.id, other.name)
        if not ends:
            return {}
        most = self._portal.settings.listed_ends
        type_ = f"{kind.singular}_to_{other.singular}"
        told: dict[str, Any] = {"results": [{"id": str(e), "type": type_} for e in ends[:most]]}
        if len(ends) > most:
            path = f"/crm/v4/objects/{kind.name}/{one.id}/associations/{other.name}"
            link = f"https://api.hubapi.com{path}?after={most}"
            told["paging"] = {"next": {"after": str(most), "link": link}}
        return told

    def _create(self, kind: ObjectType, body: dict[str, Any]) -> Record:
        """Create a record with its associations, or neither."""
        links = [self._link(kind, told) for told in objects_of(body, "associations")]
        made = self._portal.create(kind.name, properties_of(body))
        for other, end, numbers in links:
            self._portal.link(kind.name, made.id, other, end, numbers)
        return made

    def _link(self, kind: ObjectType, told: dict[str, Any]) -> tuple[str, int, list[int]]:
        if not isinstance(told.get("to"), dict):
            raise bad_json("an association must have to and types")
        types = specs_of(told.get("types"))
        if not types:
            raise bad_json("an association must have types")
        return self._portal.link_of(kind.name, text_of(told["to"], "id"), types)

    def _merge(self, kind: ObjectType, body: dict[str, Any]) -> Answer:
        primary, other = text_of(body, "primaryObjectId"), text_of(body, "objectIdToMerge")
        made = self._portal.merge(kind.name, id_of(primary), id_of(other))
        return Answer(body=whole_body(self._portal, kind, made))

    def _forget(self, kind: ObjectType, body: dict[str, Any]) -> Answer:
        one = self._found(kind, text_of(body, "objectId"), maybe_text(body, "idProperty"))
        self._portal.archive(kind.name, one.id)
        self._portal.purge(kind.name, one.id)
        return Answer(status=204)

    def _batch(self, kind: ObjectType, verb: str, request: Request, fault: Fault | None) -> Answer:
        body = request.fields()
        match verb:
            case "read":
                archived = request.flag("archived")
                return self._batch_read(kind, body, archived=archived, fault=fault)
            case "archive":
                for one in inputs_of(body):
                    self._portal.archive(kind.name, id_of(text_of(one, "id")))
                return Answer(status=204)
            case "create":
                inputs = inputs_of(body)
                _need_traces_of_their_own(inputs)
                return self._each(kind, inputs, self._created, fault, 201)
            case "update":
                inputs = inputs_of(body)
                _refuse_repeated(inputs)
                return self._each(kind, inputs, self._updated, fault, 200)
            case "upsert":
                inputs = inputs_of(body)
                _refuse_repeated(inputs)
                return self._each(kind, inputs, self._upserted, fault, 200)
        raise not_found()

    def _batch_read(
        self, kind: ObjectType, body: dict[str, Any], *, archived: bool, fault: Fault | None
    ) -> Answer:
        history = texts_of(body, "propertiesWithHistory") or []
        inputs = inputs_of(body)
        if history and len(inputs) > _MOST_HISTORY_INPUTS:
            raise PortalError(
                "The maximum number of inputs supported in a batch request for property histories "
                f"is {_MOST_HISTORY_INPUTS}. Received {len(inputs)}"
            )
        names = asked_for(kind, texts_of(body, "properties"))
        id_property = maybe_text(body, "idProperty")
        if id_property:
            self._unique(kind, id_property)
        found: dict[int, Record] = {}
        missing: list[str] = []
        for told in dict.fromkeys(text_of(one, "id") for one in inputs):
            try:
                one = self._found(kind, told, id_property, archived=archived)
                found[one.id] = one
            except PortalError:
                missing.append(told)
        # In the order of the ids, not of the inputs.
        results = [record_body(self._portal, kind, found[i], names, history) for i in sorted(found)]
        errors = [_some_missing(kind, missing).as_item()] if missing else []
        if fault is Fault.ITEM_UNKNOWN and results:
            errors.append(unknown_item(results.pop(0)["id"]).as_item())
        if not errors:
            return Answer(body=batch_body(self._portal, results))
        return Answer(status=_MULTI, body=batch_body(self._portal, results, errors))

    def _each(
        self,
        kind: ObjectType,
        inputs: list[dict[str, Any]],
        written: Callable[[ObjectType, dict[str, Any]], dict[str, Any]],
        fault: Fault | None,
        status: int,
    ) -> Answer:
        """Write inputs; the rest of the batch stands only where each has a trace of its own."""
        results, errors, missing = [], [], []
        traced = bool(inputs) and all(maybe_text(one, _TRACE) for one in inputs)
        undo = self._portal.checkpoint(kind.name)
        for place, one in enumerate(inputs):
            trace = maybe_text(one, _TRACE)
            try:
                if fault is Fault.ITEM_FAILS and place == 0:
                    raise _failed_item(one)
                told = written(kind, one)
                results.append(told | ({"objectWriteTraceId": trace} if trace else {}))
            except PortalError as error:
                if error.status == 404 and not traced:  # noqa: PLR2004  HTTP: not found
                    missing.append(text_of(one, "id"))
                elif traced or fault is Fault.ITEM_FAILS:
                    context = {"objectWriteTraceId": [trace]} if trace else {}
                    errors.append(error.as_item(**context))
                else:
                    undo()
                    raise
        if missing:
            errors.append(_some_missing(kind, missing).as_item())
        if not errors:
            return Answer(status=status, body=batch_body(self._portal, results))
        return Answer(status=_MULTI, body=batch_body(self._portal, results, errors))

    def _created(self, kind: ObjectType, one: dict[str, Any]) -> dict[str, Any]:
        return whole_body(self._portal, kind, self._create(kind, one))

    def _updated(self, kind: ObjectType, one: dict[str, Any]) -> dict[str, Any]:
        values = properties_of(one)
        found = self._found(kind, text_of(one, "id"), maybe_text(one, "idProperty"))
        return whole_body(self._portal, kind, self._portal.update(kind.name, found.id, values))

    def _upserted(self, kind: ObjectType, one: dict[str, Any]) -> dict[str, Any]:
        name, told, values = maybe_text(one, "idProperty"), text_of(one, "id"), properties_of(one)
        if not name:
            raise PortalError("idProperty is required to upsert", context={"id": [told]})
        self._unique(kind, name)
        found = self._portal.tables[kind.name].with_value(name, told)
        if found is None:
            written = self._portal.create(kind.name, {name: told} | values)
        else:
            written = self._portal.update(kind.name, found, values)
        return whole_body(self._portal, kind, written) | {"new": found is None}


def _faulty_size(limit: int, fault: Fault | None) -> int:
    if fault is Fault.SHORT_PAGE:
        return max(limit // 2, 1)
    return 0 if fault in {Fault.EMPTY_PAGE, Fault.ENDLESS} else limit


def _plural(kind: ObjectType) -> str:
    """The name of a type in the associations of a record, however it was asked for.

    With a space for an underscore, but that of a custom one is its full name.
    """
    return kind.full_name if kind.custom else kind.name.replace("_", " ")


def _some_missing(kind: ObjectType, ids: Sequence[str]) -> PortalError:
    return not_found(
        f"Could not get some {kind.singular.upper()} objects, they may be deleted or not exist. "
        "Check that ids are valid.",
        ids=list(ids),
    )


def _failed_item(one: dict[str, Any]) -> PortalError:
    return PortalError(
        "Something went wrong while this input was written",
        category="VALIDATION_ERROR",
        context={"id": [one["id"]]} if isinstance(one.get("id"), str) else {"index": ["0"]},
    )


def _refuse_repeated(inputs: list[dict[str, Any]]) -> None:
    told = [(maybe_text(one, "idProperty"), text_of(one, "id")) for one in inputs]
    if len(set(told)) < len(told):
        repeated = sorted({one for one in told if told.count(one) > 1})
        names = ", ".join(value for _, value in repeated)
        raise PortalError(f"Duplicate IDs found in batch input: [{names}]. IDs must be unique")


def _need_traces_of_their_own(inputs: list[dict[str, Any]]) -> None:
    traces = [trace for one in inputs if (trace := maybe_text(one, _TRACE))]
    if len(set(traces)) < len(traces):
        raise PortalError("Duplicate objectWriteTraceId values found in batch input")
