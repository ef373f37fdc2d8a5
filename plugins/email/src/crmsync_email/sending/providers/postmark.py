"""Postmark (postmarkapp.com/developer/api/email-api and messages-api)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx

from crmsync.errors import (
    AuthError,
    ConnectorError,
    NobodyThereError,
    QuotaError,
    RejectedError,
    TransientError,
)
from crmsync_email.sending.providers.http import limited, text_of, told
from crmsync_email.sending.providers.names import quoted

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync_email.options import PostmarkOptions
    from crmsync_email.sending.message import Mail

_KEY = "crmsync-key"  # metadata: recipients do not see it, and the search knows it
_BAD_TOKEN, _OUT_OF_CREDITS, _NOT_ACTIVE = 10, 405, {412, 413}
_NOT_OUR_SENDER = {400, 401}
_INACTIVE = 406  # mail there has bounced, or was called spam
_REST = timedelta(hours=1)


class Postmark:
    """Takes mail, and finds it again by its key."""

    name = "Postmark"

    def __init__(self, options: PostmarkOptions) -> None:
        self._url, self._stream = options.url, options.stream
        self._headers = {
            "X-Postmark-Server-Token": options.token.reveal(),
            "Accept": "application/json",
        }

    def request(self, http: httpx.Client, mail: Mail) -> httpx.Request:
        """By which it takes a mail."""
        # Without X-PM-KeepID it replaces the Message-ID, by which answers find their mail.
        headers = mail.headers | {"Message-ID": f"<{mail.message_id}>", "X-PM-KeepID": "true"}
        body = {
            "From": quoted(mail.sender),
            "To": quoted(mail.recipient),
            "Subject": mail.subject,
            "TextBody": mail.text,
            "HtmlBody": mail.html,
            "ReplyTo": None if mail.reply_to is None else quoted(mail.reply_to),
            "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
            "MessageStream": self._stream,
            "Metadata": {_KEY: mail.key},
            "TrackOpens": False,
            "TrackLinks": "None",
        }
        given = {name: value for name, value in body.items() if value is not None}
        return http.build_request("POST", f"{self._url}/email", json=given, headers=self._headers)

    def remote_id(self, response: httpx.Response, mail: Mail) -> str | None:
        """Postmark's own id of the mail."""
        del mail
        answer = told(response)
        found = answer.get("MessageID")
        return found if answer.get("ErrorCode") == 0 and isinstance(found, str) else None

    def refusal(self, response: httpx.Response, now: datetime) -> ConnectorError:
        """By Postmark's own error codes."""
        answer = told(response)
        code, words = answer.get("ErrorCode"), text_of(answer.get("Message"))
        sentence = f"Postmark refuses it ({code or response.status_code}): {words}"
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return limited(response, self.name, now)
        if response.status_code in {401, 403} or code == _BAD_TOKEN or code in _NOT_ACTIVE:
            return AuthError(f"{sentence}; look at the server's API tokens in Postmark")
        if code == _OUT_OF_CREDITS:
            return QuotaError(sentence, until=now + _REST)
        if code == _INACTIVE:
            return NobodyThereError(sentence)
        if code in _NOT_OUR_SENDER:
            # Of one colleague, or of us all: asked again rather late, and not all day.
            sentence += "; confirm the sender in Postmark, or take their domain out of domains"
            return TransientError(sentence, retry_after=_REST)
        return RejectedError(sentence)

    def question(self, http: httpx.Client) -> httpx.Request:
        """Whether the token is good, and the stream is there."""
        url = f"{self._url}/message-streams/{self._stream}"
        return http.build_request("GET", url, headers=self._headers)

    def doubt(self, response: httpx.Response) -> str | None:
        """A stream that was archived."""
        if told(response).get("ArchivedAt"):
            return f"the message stream {self._stream} is archived, so Postmark sends nothing"
        return None

    def search(self, http: httpx.Client, key: str) -> httpx.Request:
        """For the mail with this key."""
        asked = {
            "count": "1",
            "offset": "0",
            "messagestream": self._stream,
            f"metadata_{_KEY}": key,
        }
        url = f"{self._url}/messages/outbound"
        return http.build_request("GET", url, params=asked, headers=self._headers)

    def found(self, response: httpx.Response, key: str) -> str | None:
        """Postmark's own id of the mail with this key."""
        for one in response.json()["Messages"]:
            if one["Metadata"].get(_KEY) == key:
                return str(one["MessageID"])
        return None
