"""The endpoints for associations, version 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync_hubspot.simulator.access import object_scopes
from crmsync_hubspot.simulator.bodies import (
    batch_body,
    id_of,
    inputs_of,
    maybe_text,
    objects_of,
    specs_of,
    text_of,
)
from crmsync_hubspot.simulator.errors import PortalError, bad_json, not_found, unknown_item
from crmsync_hubspot.simulator.links import USER_DEFINED, LinkType
from crmsync_hubspot.simulator.messages import Answer, Fault, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync_hubspot.simulator.access import Access
    from crmsync_hubspot.simulator.definitions import ObjectType
    from crmsync_hubspot.simulator.portal import Portal

MOST_READ, MOST_WRITTEN = 1000, 2000
_ENDS_ON_PAGE = 500
_FIRST_LABEL = 37


class LinksApi:
    """Answers requests for associations and their labels."""

    def __init__(self, portal: Portal, access: Access) -> None:
        self._portal, self._access = portal, access
        self._labels = _FIRST_LABEL

    def batch(self, request: Request, fault: Fault | None) -> Answer:
        """Answer a request whose route is ``associations``, two types and what to do."""
        source, target = (self._portal.type(name) for name in request.route[1:3])
        self._need(source, writes=request.writes)
        if self._portal.links.plain(source.name, target.name) is None:
            raise PortalError(f"{source.name} and {target.name} cannot be associated")
        match request.method, request.route[3:]:
            case "POST", ("batch", "read"):
                return self._read(source, target, request, fault)
            case "POST", ("batch", "create"):
                inputs = inputs_of(request.fields(), MOST_WRITTEN)
                return self._write(source, target, inputs)
            case "POST", ("batch", "associate", "default"):
                inputs = inputs_of(request.fields(), MOST_WRITTEN)
                return self._write_default(source, target, inputs)
            case "POST", ("batch", "archive"):
                return self._remove(source, target, inputs_of(request.fields(), MOST_WRITTEN))
            case "POST", ("batch", "labels", "archive"):
                return self._unlabel(source, target, inputs_of(request.fields(), MOST_WRITTEN))
            case _, ("labels", *rest):
                return self._labels_of(source, target, request, rest)
        raise not_found()

    def single(self, request: Request) -> Answer:
        """Answer a request for the associations of one record."""
        source = self._portal.type(request.route[1])
        self._need(source, writes=request.writes)
        start = id_of(request.route[2])
        match request.method, request.route[4:]:
            case "GET", (other,):
                return self._page(source, start, self._portal.type(other), request)
            case "PUT", ("default", other, end):
                told = [{"from": {"id": str(start)}, "to": {"id": end}}]
                return self._write_default(source, self._portal.type(other), told)
            case "PUT", (other, end):
                target = self._portal.type(other)
                labels = self._link(source, start, target, id_of(end), specs_of(request.json()))
                return Answer(status=201, body=self._labelled(source, start, target, end, labels))
            case "DELETE", (other, end):
                target = self._portal.type(other)
                self._portal.links.remove(source.name, start, target.name, id_of(end))
                return Answer(status=204)
        raise not_found()

    def _need(self, kind: ObjectType, *, writes: bool) -> None:
        self._access.require(
            *object_scopes(kind.name, custom=kind.custom is not None, writes=writes)
        )

    def _read(
        self, source: ObjectType, target: ObjectType, request: Request, fault: Fault | None
    ) -> Answer:
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for one in inputs_of(request.fields(), MOST_READ):
            told = text_of(one, "id")
            first = _first(maybe_text(one, "after"))
            ends = self._known_ends(source, id_of(told), target)
            if not ends:
                error = not_found(
                    f"No {target.singular} is associated with {source.singular} {told}.",
                    fromObjectId=[told],
                    fromObjectType=[source.singular],
                    toObjectType=[target.singular],
                )
                errors.append(error.as_item())
                continue
            size = 1 if fault is Fault.SHORT_PAGE else _ENDS_ON_PAGE
            page = ends[first : first + size]
            result: dict[str, Any] = {
                "from": {"id": told},
                "to": [self._end(source, id_of(told), target, end) for end in page],
            }
            if len(ends) > first + len(page):
                result["paging"] = {"next": {"after": str(first + len(page))}}
            results.append(result)
        if fault is Fault.ITEM_UNKNOWN and results:
            errors.append(unknown_item(results.pop(0)["from"]["id"]).as_item())
        status = 207 if errors else 200
        return Answer(status=status, body=batch_body(self._portal, results, errors))

    def _page(self, source: ObjectType, start: int, target: ObjectType, request: Request) -> Answer:
        self._portal.get(source.name, start)
        limit = request.number("limit", _ENDS_ON_PAGE, _ENDS_ON_PAGE)
        first = _first(request.text("after"))
        ends = self._known_ends(source, start, target)
        page = ends[first : first + limit]
        body: dict[str, Any] = {"results": [self._end(source, start, target, end) for end in page]}
        if len(ends) > first + len(page):
            body["paging"] = {"next": {"after": str(first + len(page))}}
        return Answer(body=body)

    def _known_ends(self, source: ObjectType, start: int, target: ObjectType) -> list[int]:
        """The ends that are live; none of a record that is not."""
        records = self._portal.tables[target.name].records
        table = self._portal.tables[source.name]
        start = table.surviving(start)
        one = table.records.get(start)
        if one is None or one.archived is not None:
            return []
        ends = self._portal.links.of(source.name, start, target.name)
        return sorted(end for end in ends if end in records and records[end].archived is None)

    def _end(self, source: ObjectType, start: int, target: ObjectType, end: int) -> dict[str, Any]:
        links, settings = self._portal.links, self._portal.settings
        start = self._portal.tables[source.name].surviving(start)
        types = links.types[source.name, target.name]
        told = [types[n] for n in links.numbers(source.name, start, target.name, end)]
        return {
            "toObjectId": end if settings.numeric_ends else str(end),
            "associationTypes": [self._type(one) for one in told],
        }

    def _type(self, one: LinkType) -> dict[str, Any]:
        body: dict[str, Any] = {"category": one.category, "typeId": one.number}
        if one.label is not None or self._portal.settings.null_values:
            body["label"] = one.label
        return body

    def _write(
        self, source: ObjectType, target: ObjectType, inputs: list[dict[str, Any]]
    ) -> Answer:
        results, errors = [], []
        pairs = [(*self._pair(one), specs_of(one.get("types"))) for one in inputs]
        for start, end, types in pairs:
            try:
                labels = self._link(source, start, target, end, types)
            except PortalError as error:
                ids = {"fromObjectId": [str(start)], "toObjectId": [str(end)]}
                errors.append(error.as_item(**ids))
                continue
            results.append(self._labelled(source, start, target, str(end), labels))
        status = 207 if errors else 201
        return Answer(status=status, body=batch_body(self._portal, results, errors))

    def _write_default(
        self, source: ObjectType, target: ObjectType, inputs: list[dict[str, Any]]
    ) -> Answer:
        number = self._portal.links.plain(source.name, target.name)
        if number is None:
            raise PortalError(f"{source.name} and {target.name} cannot be associated")
        back = self._portal.links.plain(target.name, source.name)
        category = self._portal.links.types[source.name, target.name][number].category
        spec = {"associationCategory": category, "associationTypeId": number}
        inverse = spec | {"associationTypeId": back}
        results, errors = [], []
        for one in inputs:
            start, end = self._pair(one)
            try:
                self._link(source, start, target, end, [spec])
            except PortalError as error:
                errors.append(error.as_item())
                continue
            ends = {"id": str(start)}, {"id": str(end)}
            results.append({"from": ends[0], "to": ends[1], "associationSpec": spec})
            results.append({"from": ends[1], "to": ends[0], "associationSpec": inverse})
        return Answer(body=batch_body(self._portal, results, errors))

    def _link(
        self,
        source: ObjectType,
        start: int,
        target: ObjectType,
        end: int,
        types: list[dict[str, Any]],
    ) -> list[str]:
        """Associate two records; answers with the labels.

        Raises:
            PortalError: it is not possible.
        """
        one = self._portal.get(source.name, start)
        other, found, numbers = self._portal.link_of(source.name, str(end), types)
        if other != target.name:
            raise PortalError(f"These types of association do not lead to {target.name}")
        self._portal.link(source.name, one.id, other, found, numbers)
        known = self._portal.links.types[source.name, target.name]
        labels = (known[number].label for number in numbers)
        return [label for label in labels if label is not None]

    def _labelled(
        self,
        source: ObjectType,
        start: int,
        target: ObjectType,
        end: str,
        labels: Sequence[str],
    ) -> dict[str, Any]:
        return {
            "fromObjectTypeId": source.id,
            "fromObjectId": str(start),
            "toObjectTypeId": target.id,
            "toObjectId": end,
            "labels": list(labels),
        }

    def _pair(self, one: dict[str, Any]) -> tuple[int, int]:
        if not isinstance(one.get("from"), dict) or not isinstance(one.get("to"), dict):
            raise bad_json("from and to must be objects")
        return id_of(text_of(one["from"], "id")), id_of(text_of(one["to"], "id"))

    def _remove(
        self, source: ObjectType, target: ObjectType, inputs: list[dict[str, Any]]
    ) -> Answer:
        for one in inputs:
            for end in _ends(one):
                start = id_of(text_of(one["from"], "id"))
                self._portal.links.remove(source.name, start, target.name, id_of(end))
        return Answer(status=204)

    def _unlabel(
        self, source: ObjectType, target: ObjectType, inputs: list[dict[str, Any]]
    ) -> Answer:
        known = self._portal.links.types[source.name, target.name]
        for start, end, types in [(*self._pair(one), specs_of(one.get("types"))) for one in inputs]:
            told = [spec["associationTypeId"] for spec in types]
            numbers = [number for number in known if number in told]
            self._portal.links.remove_labels(source.name, start, target.name, end, numbers)
        return Answer(status=204)

    def _labels_of(
        self, source: ObjectType, target: ObjectType, request: Request, rest: Sequence[str]
    ) -> Answer:
        match request.method, rest:
            case "GET", []:
                return self._all_labels(source, target)
            case "POST", []:
                return self._new_label(source, target, request.fields())
            case "DELETE", [number]:
                return self._remove_label(source, target, number)
        raise not_found()

    def _all_labels(self, source: ObjectType, target: ObjectType) -> Answer:
        types = self._portal.links.types[source.name, target.name]
        return Answer(body={"results": [self._type(types[number]) for number in sorted(types)]})

    def _new_label(self, source: ObjectType, target: ObjectType, body: dict[str, Any]) -> Answer:
        label, name = text_of(body, "label"), text_of(body, "name")
        types = self._portal.links.types[source.name, target.name]
        if any(one.label == label for one in types.values()):
            raise PortalError(f"There is a label {label} already", context={"name": [name]})
        there, back = self._labels, self._labels + 1
        self._labels += 2
        two_sided = source.name != target.name or "inverseLabel" in body
        inverse = body.get("inverseLabel") or label
        for number, other, told, ends in (
            (there, back, label, (source, target)),
            (back, there, inverse, (target, source)),
        ):
            self._portal.links.define(
                LinkType(
                    number=number,
                    category=USER_DEFINED,
                    label=told,
                    source=ends[0].name,
                    target=ends[1].name,
                    inverse=other if two_sided else number,
                )
            )
        made = [{"category": USER_DEFINED, "typeId": there, "label": label}]
        made.append({"category": USER_DEFINED, "typeId": back, "label": inverse})
        return Answer(body={"results": made})

    def _remove_label(self, source: ObjectType, target: ObjectType, number: str) -> Answer:
        types = self._portal.links.types[source.name, target.name]
        one = types.get(int(number)) if number.isdecimal() else None
        if one is None or one.category != USER_DEFINED:
            raise not_found()
        back = self._portal.links.types[target.name, source.name].get(one.inverse)
        self._portal.links.forget(one)
        if back is not None and back is not one:
            self._portal.links.forget(back)
        return Answer(status=204)


def _ends(one: dict[str, Any]) -> list[str]:
    if not isinstance(one.get("from"), dict):
        raise bad_json("from must be an object")
    if one.get("to") is None:
        raise bad_json("to must be a list of objects")
    return [text_of(end, "id") for end in objects_of(one, "to")]


def _first(after: str) -> int:
    if after and not after.isdecimal():
        raise PortalError(f"Invalid after: {after}")
    return int(after or 0)
