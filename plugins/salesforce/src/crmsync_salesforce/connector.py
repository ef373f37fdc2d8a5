"""The connector: an org that is logged in when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.errors import AuthError
from crmsync.plugins.contract import CallCount, RemoteField
from crmsync_salesforce.checking import KEY_LENGTH, findings
from crmsync_salesforce.client import SalesforceClient
from crmsync_salesforce.describing import Descriptions
from crmsync_salesforce.errors import RefusedError
from crmsync_salesforce.mails import MAIL, keeps_mail
from crmsync_salesforce.options import SalesforceOptions, SalesforceStreamOptions
from crmsync_salesforce.reading import StreamReading
from crmsync_salesforce.writing import OrgWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.errors import ConnectorError
    from crmsync.model.actions import Action, Receipt
    from crmsync.model.pages import Cursor, Page
    from crmsync.plugins.contract import ConnectionContext, Finding


class SalesforceConnector:
    """An org: its objects are read, tasks and fields are written."""

    def __init__(self, context: ConnectionContext) -> None:
        assert isinstance(context.options, SalesforceOptions)  # noqa: S101  the spec names that model
        self._streams = context.streams
        self._client = SalesforceClient(
            context.options, context.folder, context.clock, told=context.allowance
        )
        self._descriptions = Descriptions(self._client)
        self._writer = OrgWriter(self._client, self._descriptions, context.streams)

    def __repr__(self) -> str:
        return f"SalesforceConnector({self._client!r})"

    def check(self) -> Sequence[Finding]:
        """Login, permissions, fields, the field for keys, and limits."""
        self._descriptions.forget()
        return list(findings(self._client, self._descriptions, self._streams))

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def describe(self, stream: str) -> Sequence[RemoteField]:
        """The fields that the org shows the API's user, and the optional columns, empty or not.

        Raises:
            ConnectorError: the org cannot be asked, or has no such object.
        """
        request = self._streams[stream]
        assert isinstance(request.options, SalesforceStreamOptions)  # noqa: S101  the spec names that model
        shown = self._descriptions.remote_fields(request.options.object, request.columns)
        names = {field.name for field in shown}
        return shown + [
            RemoteField(name=column, writable=False)
            for column in request.options.optional
            if column not in names
        ]

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        """What has changed since that cursor.

        Raises:
            ConnectorError: one of the five.
        """
        return StreamReading(self._client, self._descriptions, self._streams[stream], since).pages()

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Create tasks, and change fields."""
        return self._writer.apply(actions)

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """What was created under these keys."""
        return self._writer.find(keys)

    def call_count(self) -> CallCount:
        """The calls of this connection, and of the org's allowance in 24 hours."""
        client = self._client
        return CallCount(made=client.calls, used=client.used, allowed=client.allowed)

    def setup(self, *, dry_run: bool) -> Sequence[str]:
        """Make the field that keeps the keys, of activities and of mails, where it is missing.

        Raises:
            ConnectorError: the org does not let the API's user make it; or it is there and hidden.
        """
        self._descriptions.forget()
        name = self._client.options.key_field
        if name is None:
            return []
        wanted = [("Task", "Activity", "activities")]
        if keeps_mail(self._descriptions):
            wanted.append((MAIL, MAIL, "logged mails"))
        made, hidden = [], []
        for described, owner, told in wanted:
            if name in self._descriptions.fields(described):
                continue
            try:
                made.append(self._made_field(owner, name, told, dry_run=dry_run))
            except RefusedError as error:
                if error.code != "DUPLICATE_DEVELOPER_NAME":
                    raise
                hidden.append(told)
        if hidden:
            raise AuthError(
                f"the field {name} of {' and '.join(hidden)} is there, and field-level security "
                "hides it from the API's user, as it does of every field that was made so; a "
                "permission set must let the user read and edit it"
            )
        return made

    def _made_field(self, owner: str, name: str, told: str, *, dry_run: bool) -> str:
        if not dry_run:
            field = {
                "type": "Text",
                "length": KEY_LENGTH,
                "label": "crmsync key",
                "description": "Written by crmsync, so that nothing is created twice.",
                "externalId": True,
                "unique": True,
                "caseSensitive": True,
            }
            asked = {"FullName": f"{owner}.{name}", "Metadata": field}
            self._client.call("POST", "tooling/sobjects/CustomField", json=asked, writing=True)
        return (
            f"the field {name} of {told}: Text({KEY_LENGTH}), External ID, unique; nobody sees it "
            "until a permission set lets the API's user read and edit it"
        )
