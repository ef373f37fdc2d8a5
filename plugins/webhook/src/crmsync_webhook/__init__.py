"""Rules notify a chat, or any program that listens for HTTP.

This module is loaded at every start, so what is heavy is imported when a connection is opened.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from crmsync.config.base import Settings
from crmsync.config.secrets import Secret
from crmsync.model.actions import ActionKind, CustomKind, KeyHandling
from crmsync.plugins.contract import ConnectorSpec
from crmsync.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.plugins.contract import ConnectionContext, Connector


class Body(StrEnum):
    """What is posted."""

    CHAT = "chat"  # {"text": …}, as Slack, Mattermost, Rocket.Chat and Google Chat take it
    JSON = "json"  # the key and all that was said, for a program


class WebhookOptions(Settings):
    """Where it is posted. Who knows the address of a chat's webhook can write there."""

    url: Secret
    body: Body = Body.CHAT
    time_out: float = Field(default=20.0, gt=0, le=240)


class WebhookStreamOptions(Settings):
    """Nothing can be read from it, so it has no streams."""


def _open(context: ConnectionContext) -> Connector:
    from crmsync_webhook.connector import WebhookConnector  # noqa: PLC0415  heavy

    return WebhookConnector(context)


NOTIFY = CustomKind(
    name="notify",
    description="A message to a chat, or to a program that listens for HTTP.",
    takes={"text": "What is said.", "title": "What stands above it, where the chat shows that."},
    needed=("text",),
)


@hookimpl
def crmsync_connectors() -> Sequence[ConnectorSpec]:
    """The connector “webhook”."""
    return [
        ConnectorSpec(
            name="webhook",
            description="A chat's incoming webhook, or any program that listens for HTTP.",
            options=WebhookOptions,
            stream_options=WebhookStreamOptions,
            open=_open,
            # A webhook tells nobody what it has taken.
            actions={ActionKind.CUSTOM: KeyHandling.UNSAFE},
            batch_size=20,
            custom=(NOTIFY,),
        )
    ]
