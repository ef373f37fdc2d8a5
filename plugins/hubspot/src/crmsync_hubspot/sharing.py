"""Associations that came beside the records of a list, kept for the stream that tells of them.

A list of records tells their associations for nothing. A stream of associations of the same
records, read behind them over the same connection, need not list them again.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import pyarrow as pa

from crmsync_hubspot.linking import LINK_COLUMNS
from crmsync_hubspot.options import HubSpotStreamOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.linking import Links

_ROWS_A_PAGE = 50_000
_LATELY = 6 * 3600 * 1000  # milliseconds; what was changed since is read behind it in any case


class Listed:
    """The associations of all records of an object, in a few bytes each.

    Attributes:
        began: when the list of the records was begun; in milliseconds since 1970.
    """

    def __init__(self) -> None:
        self.began = 0
        self._from, self._to, self._kind = array("q"), array("q"), array("H")
        # For each kind of association the object at its other end, and its types.
        self._kinds: dict[tuple[str, tuple[str, ...]], int] = {}

    def add(self, links: Mapping[str, Links]) -> None:
        """Keep those of a page."""
        for target, found in links.items():
            for source, ends in found.items():
                for link in ends:
                    kind = (target, link.types)
                    self._from.append(int(source))
                    self._to.append(int(link.to))
                    self._kind.append(self._kinds.setdefault(kind, len(self._kinds)))

    def tables(self, targets: Sequence[str]) -> Iterator[tuple[pa.Table, bool]]:
        """Rows of those to these objects, each table with whether it is the last; at least one."""
        kinds = list(self._kinds)
        for start in range(0, max(len(self._kind), 1), _ROWS_A_PAGE):
            rows = [
                (str(source), str(to), *kinds[kind])
                for source, to, kind in zip(
                    self._from[start : start + _ROWS_A_PAGE],
                    self._to[start : start + _ROWS_A_PAGE],
                    self._kind[start : start + _ROWS_A_PAGE],
                    strict=True,
                )
                if kinds[kind][0] in targets
            ]
            values: dict[str, list[str | None]] = {
                "id": [f"{source}-{target}-{to}" for source, to, target, _ in rows],
                "from": [row[0] for row in rows],
                "to": [row[1] for row in rows],
                "to_object": [row[2] for row in rows],
                "types": [";".join(row[3]) for row in rows],
            }
            for name in targets:
                values[name] = [to if target == name else None for _, to, target, _ in rows]
            names = (*LINK_COLUMNS, *targets)
            table = pa.table({name: pa.array(values[name], pa.string()) for name in names})
            yield table, start + _ROWS_A_PAGE >= len(self._kind)


class Sharing:
    """What a connection's streams of records leave to its streams of associations."""

    def __init__(self, streams: Mapping[str, StreamRequest]) -> None:
        self._targets: dict[str, dict[str, None]] = {}
        for request in streams.values():
            options = request.options
            if isinstance(options, HubSpotStreamOptions) and options.associations_to:
                wanted = self._targets.setdefault(options.object, {})
                wanted.update(dict.fromkeys(options.associations_to))
        self._listed: dict[str, Listed] = {}
        self._whole: set[str] = set()

    def targets(self, object_name: str) -> tuple[str, ...]:
        """The objects to which a stream wants this object's associations."""
        return tuple(self._targets.get(object_name, ()))

    def begin(self, object_name: str, *, resumed: bool) -> None:
        """A list of all records begins; of one that goes on the first pages are not known here."""
        self._whole.discard(object_name)
        self._listed.pop(object_name, None)
        if not resumed and object_name in self._targets:
            self._listed[object_name] = Listed()

    def add(self, object_name: str, links: Mapping[str, Links]) -> None:
        """Keep those of a page."""
        listed = self._listed.get(object_name)
        if listed is not None:
            wanted = self._targets.get(object_name, {})
            listed.add({target: found for target, found in links.items() if target in wanted})

    def end(self, object_name: str, began: int) -> None:
        """The list has come to its end."""
        if object_name in self._listed:
            self._listed[object_name].began = began
            self._whole.add(object_name)

    def take(self, object_name: str, now: int) -> Listed | None:
        """The associations of all records, where this connection has listed them lately."""
        listed = self._listed.get(object_name) if object_name in self._whole else None
        return None if listed is None or now - listed.began > _LATELY else listed
