"""Connectors to a `StandIn`, one for each way in which a remote honours keys."""

from __future__ import annotations

import http.client
import json
import smtplib
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmsync.config.base import Settings
from crmsync.errors import RejectedError, TransientError, UncertainError
from crmsync.model.actions import ActionKind, CreateTask, KeyHandling, LogEmail, Receipt, SendEmail
from crmsync.model.pages import Page
from crmsync.plugins.contract import ConnectorSpec
from crmsync.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.errors import ConnectorError
    from crmsync.model.actions import Action
    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import ConnectionContext, Finding, RemoteField

LANDS_WITHIN = timedelta(milliseconds=400)
_TIMEOUT = 20.0


class Options(Settings):
    http: str
    smtp_port: int


class StreamOptions(Settings):
    pass


class StandInConnector:
    def __init__(self, context: ConnectionContext) -> None:
        assert isinstance(context.options, Options)
        self._options = context.options

    def check(self) -> Sequence[Finding]:
        return []

    def close(self) -> None:
        pass

    def describe(self, stream: str) -> Sequence[RemoteField]:
        return []

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        after = int(since or 0)
        rows = self._call("GET", f"/{stream}?after={after}")["rows"]
        if rows:
            yield Page(records=pa.Table.from_pylist(rows), cursor=str(after + len(rows)))

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        return [self._apply(action) for action in actions]

    def _apply(self, action: Action) -> Receipt | ConnectorError:
        try:
            match action:
                case CreateTask():
                    task = {"key": action.key, "account": _account(action)}
                    self._call("POST", "/tasks", task)
                case SendEmail():
                    self._send(action)
                case LogEmail():
                    log = {"key": action.key, "account": _account(action)}
                    self._call("POST", "/logs", log | {"message_id": action.message_id})
                case _:
                    return RejectedError(f"no {action.kind} here")
        except (TransientError, UncertainError) as error:
            return error
        return Receipt(key=action.key, remote_id=action.key)

    def _send(self, action: SendEmail) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"] = action.sender, action.recipient
        mail["Subject"], mail["Message-ID"] = action.subject, f"<{action.message_id}>"
        mail["X-Key"], mail["X-Account"] = action.key, _account(action)
        mail.set_content(action.text)
        try:
            with smtplib.SMTP("127.0.0.1", self._options.smtp_port, timeout=_TIMEOUT) as server:
                server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            raise TransientError(str(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            raise UncertainError(f"the mail server did not answer: {error}") from error

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        found = self._call("POST", "/search", {"keys": list(keys)})["found"]
        return {key: Receipt(key=key, remote_id=key, already=True) for key in found}

    def _call(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(self._options.http, timeout=_TIMEOUT)
        try:
            # What nobody reads would make the server reset the connection when it closes it.
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise UncertainError(f"the connection broke: {error!r}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise TransientError(f"{response.status}: {answer}")
        return answer


def _account(action: CreateTask | SendEmail | LogEmail) -> str:
    return next((record.id for record in action.about if record.table == "account"), "")


@hookimpl
def crmsync_connectors() -> Sequence[ConnectorSpec]:
    # No mail server dedupes; its log can be asked, or nobody can.
    return [
        ConnectorSpec(
            name=f"stand-in-{handling}",
            description="A remote for tests.",
            options=Options,
            stream_options=StreamOptions,
            open=StandInConnector,
            actions={
                ActionKind.TASK: handling,
                ActionKind.LOG: handling,
                ActionKind.EMAIL: max(handling, KeyHandling.LOOKUP, key=list(KeyHandling).index),
            },
            batch_size=4,
            lands_within=LANDS_WITHIN,
        )
        for handling in KeyHandling
    ]
