"""The connector: a portal that is asked when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.plugins.contract import CallCount
from crmsync_hubspot.checking import findings
from crmsync_hubspot.client import HubSpotClient
from crmsync_hubspot.describing import Descriptions
from crmsync_hubspot.objects import WITHOUT_CHANGES
from crmsync_hubspot.options import HubSpotOptions, HubSpotStreamOptions
from crmsync_hubspot.reading import StreamReading
from crmsync_hubspot.rows import LinkRows, RecordRows
from crmsync_hubspot.setting_up import set_up
from crmsync_hubspot.sharing import Sharing
from crmsync_hubspot.whole import whole_pages
from crmsync_hubspot.writing import PortalWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.errors import ConnectorError
    from crmsync.model.actions import Action, Receipt
    from crmsync.model.pages import Cursor, Page
    from crmsync.plugins.contract import ConnectionContext, Finding, RemoteField


class HubSpotConnector:
    """A portal: its objects are read, tasks, notes and properties are written."""

    def __init__(self, context: ConnectionContext) -> None:
        assert isinstance(context.options, HubSpotOptions)  # noqa: S101  the spec names that model
        self._streams = context.streams
        self._client = HubSpotClient(context.options, context.name, context.folder, context.clock)
        self._descriptions = Descriptions(self._client)
        self._sharing = Sharing(context.streams)
        self._writer = PortalWriter(self._client, self._descriptions, context.streams)

    def __repr__(self) -> str:
        return f"HubSpotConnector({self._client!r})"

    def check(self) -> Sequence[Finding]:
        """Token, scopes, properties, the property for keys, and limits."""
        self._descriptions.forget()
        return list(findings(self._client, self._descriptions, self._streams))

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def describe(self, stream: str) -> Sequence[RemoteField]:
        """The columns that a stream can have.

        Raises:
            ConnectorError: the portal cannot be asked, or has no such object.
        """
        request = self._streams[stream]
        assert isinstance(request.options, HubSpotStreamOptions)  # noqa: S101  the spec names that model
        return self._descriptions.fields(request.options, request.columns)

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        """What has changed since that cursor.

        Raises:
            ConnectorError: one of the five.
        """
        request = self._streams[stream]
        assert isinstance(request.options, HubSpotStreamOptions)  # noqa: S101  the spec names that model
        if request.options.object in WITHOUT_CHANGES:
            return whole_pages(self._client, request, since)
        if request.options.associations_to:
            links = LinkRows(self._client, request, self._sharing)
            return StreamReading(self._client, request, links, since).pages()
        records = RecordRows(self._client, self._descriptions, request, self._sharing)
        return StreamReading(self._client, request, records, since).pages()

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Make tasks and notes, change properties, take tasks back."""
        return self._writer.apply(actions)

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """What was made under these keys."""
        return self._writer.find(keys)

    def call_count(self) -> CallCount:
        """The calls of this connection, and of the portal's allowance of the day."""
        budget = self._client.budget
        return CallCount(made=budget.made, used=budget.used, allowed=budget.allowed)

    def setup(self, *, dry_run: bool) -> Sequence[str]:
        """Make the properties that keep the keys, where they are missing.

        Raises:
            ConnectorError: the token may not make them.
        """
        return set_up(self._client, self._descriptions, dry_run=dry_run)
