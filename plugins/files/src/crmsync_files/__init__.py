"""A folder of CSV, JSON Lines or Parquet exports is the CRM.

This module is loaded at every start, so what is heavy is imported when a connection is opened.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.plugins.contract import ConnectorSpec
from crmsync.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.plugins.contract import ConnectionContext, Connector


def _open(context: ConnectionContext) -> Connector:
    from crmsync_files.connector import FilesConnector  # noqa: PLC0415  heavy

    return FilesConnector(context)


@hookimpl
def crmsync_connectors() -> Sequence[ConnectorSpec]:
    """The connector “files”."""
    from crmsync_files.options import FilesOptions, FilesStreamOptions  # noqa: PLC0415  heavy

    return [
        ConnectorSpec(
            name="files",
            description="A folder of CSV, JSON Lines or Parquet exports.",
            options=FilesOptions,
            stream_options=FilesStreamOptions,
            open=_open,
            actions={
                kind: KeyHandling.NATIVE for kind in ActionKind if kind is not ActionKind.CUSTOM
            },
            batch_size=500,
            # They wait in the outbox, where a person can take them away; to look for what was sent
            # costs as much for one as for all.
            mails_at_once=500,
            lands_within=timedelta(),  # nobody goes on writing when the process has ended
        )
    ]
