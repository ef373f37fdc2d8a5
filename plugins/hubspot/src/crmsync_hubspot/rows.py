"""What becomes of records that were found: their rows, or those of their associations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync_hubspot import objects
from crmsync_hubspot.cursor import Types, written
from crmsync_hubspot.describing import no_property
from crmsync_hubspot.linking import TYPES, asked_for, beside
from crmsync_hubspot.options import HubSpotStreamOptions
from crmsync_hubspot.records import batch_read
from crmsync_hubspot.tables import link_table, record_table, with_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.describing import Descriptions
    from crmsync_hubspot.linking import Links
    from crmsync_hubspot.reading import Results
    from crmsync_hubspot.sharing import Listed, Sharing


class _Linked:
    """Records of an object, and their links to others."""

    def __init__(self, client: HubSpotClient, source: str, targets: tuple[str, ...]) -> None:
        self._client, self._source = client, source
        self.targets = targets

    def _beside(self, results: Results, targets: tuple[str, ...]) -> dict[str, Links]:
        """The links in a list's answer, asked for where it tells too little of them."""
        found: dict[str, Links] = {}
        for target in targets:
            found[target], unclear = beside(results, self._source, target)
            if unclear:
                found[target] |= asked_for(self._client, self._source, target, unclear)
        return found

    def _asked(self, results: Results) -> dict[str, Links]:
        ids = [str(one["id"]) for one in results]
        return {
            target: asked_for(self._client, self._source, target, ids) for target in self.targets
        }


class RecordRows(_Linked):
    """The rows of a stream of records."""

    tells_archived = True

    def __init__(
        self,
        client: HubSpotClient,
        descriptions: Descriptions,
        request: StreamRequest,
        sharing: Sharing,
    ) -> None:
        assert isinstance(request.options, HubSpotStreamOptions)  # noqa: S101  the spec names that model
        self._options, self._descriptions = request.options, descriptions
        self._columns = tuple(dict.fromkeys((*request.columns, *request.key)))
        self._sharing = sharing
        own = objects.targets(self._columns)
        super().__init__(client, request.options.object, own)
        # Beside listed records they cost nothing.
        shared = sharing.targets(request.options.object)
        self.listed_targets = tuple(dict.fromkeys((*own, *shared)))
        merges = objects.merge_properties(request.options.object)
        self.history = _with_history(request)
        self._mapped = (*objects.properties(self._columns), *self.history)
        wanted = (*self._mapped, *merges)
        self.properties = tuple(dict.fromkeys(wanted))
        self.keeps_types = True

    def types(self) -> Types:
        """Ask the portal which properties are times.

        Raises:
            RefusedError: it has no such property. Its lists and searches would leave that out
                without a word, and all records would lose what they had there.
        """
        self._see_there(self._mapped)
        return self._descriptions.types(self._options.object, self.properties)

    def _see_there(self, names: Iterable[str]) -> None:
        there = self._descriptions.properties(self._options.object)
        for name in names:
            if name not in there:
                raise no_property(self._options.object, name, there)

    def listed(self, results: Results, types: Types, *, history: bool) -> pa.Table:
        """A page of a list; with their history, records come as often as they have changed."""
        links = self._beside(results, self.listed_targets)
        self._sharing.add(self._options.object, links)
        return self._table(self._versions(results, 0) if history else results, types, links)

    def begin(self, *, resumed: bool) -> None:
        """A list of all records begins, or goes on."""
        self._sharing.begin(self._options.object, resumed=resumed)

    def end(self, began: int) -> None:
        """It has come to its end."""
        self._sharing.end(self._options.object, began)

    def known(self, now: int) -> None:
        """Records are always listed."""
        del now

    def changed(self, results: Results, types: Types, since: int) -> pa.Table:
        """Records of a search, which tells no associations.

        Raises:
            RefusedError: the portal has lost a property since all was listed.
        """
        untold = [n for n in self._mapped if not any(n in one["properties"] for one in results)]
        if untold and results:
            self._see_there(untold)
        links = self._asked(results)
        return self._table(self._versions(results, since), types, links)

    def _table(self, results: Sequence[Any], types: Types, links: dict[str, Links]) -> pa.Table:
        return record_table(results, self._columns, types, links)

    def _versions(self, results: Results, since: int) -> Sequence[Any]:
        if not self.history or not results:
            return results
        asked = {"propertiesWithHistory": list(self.history)}
        ids = [str(one["id"]) for one in results]
        told = batch_read(self._client, self._options.object, asked, ids)
        histories = {key: one.get("propertiesWithHistory") or {} for key, one in told.items()}
        floor = written(since)
        return with_history(results, histories, self.history, lambda at: at >= floor)


def _with_history(request: StreamRequest) -> tuple[str, ...]:
    """The properties whose earlier values are read; none where nobody asks for any.

    Where one is asked for, those of all whose changes are kept come in the same calls: a former
    version is told whole.
    """
    assert isinstance(request.options, HubSpotStreamOptions)  # noqa: S101  the spec names that model
    understood = request.changed_at in objects.CHANGE_COLUMNS
    if not request.options.history and not (request.history_asked and understood):
        return ()
    kept = objects.properties(request.tracked)
    return tuple(dict.fromkeys((*request.options.history, *kept)))


class LinkRows(_Linked):
    """The rows of a stream of associations.

    They have no time of change, so those of each record that has changed lately are read again.
    """

    tells_archived = False
    keeps_types = False
    history: tuple[str, ...] = ()
    properties: tuple[str, ...] = (objects.OBJECT_ID,)

    def __init__(self, client: HubSpotClient, request: StreamRequest, sharing: Sharing) -> None:
        assert isinstance(request.options, HubSpotStreamOptions)  # noqa: S101  the spec names that model
        options = request.options
        self._sharing = sharing
        super().__init__(client, options.object, tuple(options.associations_to))
        # Beside a listed record one type of an association stands, by name; so who maps the types
        # has all of them asked for.
        self._with_types = TYPES in request.columns
        self.listed_targets = () if self._with_types else self.targets

    def types(self) -> Types:
        """There are none."""
        return Types()

    def listed(self, results: Results, types: Types, *, history: bool) -> pa.Table:
        """A page of a list."""
        del types, history
        if self._with_types:
            return self._table(results, self._asked(results))
        return self._table(results, self._beside(results, self.targets))

    def begin(self, *, resumed: bool) -> None:
        """Nobody shares these."""

    def end(self, began: int) -> None:
        """Nobody shares these."""

    def known(self, now: int) -> Listed | None:
        """Those of all records, where the records were listed lately."""
        return None if self._with_types else self._sharing.take(self._source, now)

    def changed(self, results: Results, types: Types, since: int) -> pa.Table:
        """Records of a search, which tells no associations."""
        del types, since
        return self._table(results, self._asked(results))

    def _table(self, results: Results, links: dict[str, Links]) -> pa.Table:
        return link_table([str(one["id"]) for one in results], self.targets, links)
