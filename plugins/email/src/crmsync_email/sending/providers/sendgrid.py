"""Twilio SendGrid (twilio.com/docs/sendgrid/api-reference/mail-send)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx

from crmsync.errors import AuthError, ConnectorError, QuotaError, RejectedError
from crmsync_email.sending.providers.http import limited, text_of, told
from crmsync_email.sending.providers.lists import (
    BOUNCED,
    COMPLAINED,
    INVALID,
    UNSUBSCRIBED,
    in_path,
)
from crmsync_email.sending.providers.names import quoted_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crmsync_email.addresses import Mailbox
    from crmsync_email.options import SendgridOptions
    from crmsync_email.sending.message import Mail

_REST = timedelta(hours=1)
# Blocks are no such list: SendGrid tries those addresses again.
_LISTS = {
    "suppression/bounces": BOUNCED,
    "suppression/spam_reports": COMPLAINED,
    "suppression/invalid_emails": INVALID,
    "asm/suppressions/global": UNSUBSCRIBED,
}


class Sendgrid:
    """Takes mail; its search is sold apart, and lags behind, so it finds nothing."""

    name = "SendGrid"
    right = "the permission Suppressions (read)"

    def __init__(self, options: SendgridOptions) -> None:
        self._url = options.url
        self._headers = {"Authorization": f"Bearer {options.api_key.reveal()}"}

    def request(self, http: httpx.Client, mail: Mail) -> httpx.Request:
        """By which it takes a mail."""
        content = [{"type": "text/plain", "value": mail.text or " "}]
        if mail.html:
            content.append({"type": "text/html", "value": mail.html})
        body = {
            "personalizations": [
                {"to": [_person(mail.recipient)], "custom_args": {"crmsync_key": mail.key}}
            ],
            "from": _person(mail.sender),
            "subject": mail.subject,
            "content": content,
            "headers": mail.headers | {"Message-ID": f"<{mail.message_id}>"},
            "tracking_settings": {
                "click_tracking": {"enable": False, "enable_text": False},
                "open_tracking": {"enable": False},
            },
        }
        if mail.reply_to is not None:
            body["reply_to"] = _person(mail.reply_to)
        url = f"{self._url}/v3/mail/send"
        return http.build_request("POST", url, json=body, headers=self._headers)

    def remote_id(self, response: httpx.Response, mail: Mail) -> str | None:
        """SendGrid's own id of the request."""
        if response.status_code != httpx.codes.ACCEPTED:
            return None
        return response.headers.get("X-Message-Id") or mail.message_id

    def refusal(self, response: httpx.Response, now: datetime) -> ConnectorError:
        """By the status, and the words where the status says too little."""
        errors = told(response).get("errors")
        first = errors[0] if isinstance(errors, list) and errors else {}
        words = text_of(first.get("message")) if isinstance(first, dict) else ""
        sentence = f"SendGrid refuses it ({response.status_code}): {words}"
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return limited(response, self.name, now)
        if "maximum credits exceeded" in words.lower():
            return QuotaError(sentence, until=now + _REST)
        if response.status_code in {401, 403}:
            return AuthError(
                f"{sentence}; the API key needs the permission Mail Send, and the sender must be "
                "verified"
            )
        return RejectedError(sentence)

    def ask(self, http: httpx.Client, address: str) -> Iterator[tuple[httpx.Request, str]]:
        """On each of its lists."""
        for path, why in _LISTS.items():
            url = f"{self._url}/v3/{path}/{in_path(address)}"
            yield http.build_request("GET", url, headers=self._headers), why

    def entry(self, response: httpx.Response) -> str | None:
        """The lists are of objects; that of who has unsubscribed answers with one."""
        if told(response).get("recipient_email"):
            return ""
        try:
            found = response.json()
        except ValueError:
            return None
        first = found[0] if isinstance(found, list) and found else None
        return text_of(first.get("reason")) if isinstance(first, dict) else None

    def question(self, http: httpx.Client) -> httpx.Request:
        """What the key may do."""
        return http.build_request("GET", f"{self._url}/v3/scopes", headers=self._headers)

    def doubt(self, response: httpx.Response) -> str | None:
        """A key that may not send."""
        scopes = told(response).get("scopes")
        if isinstance(scopes, list) and "mail.send" not in scopes:
            return "the API key of SendGrid lacks the permission Mail Send"
        return None


def _person(mailbox: Mailbox) -> dict[str, str]:
    # It takes a comma or semicolon in a name for the beginning of another address.
    name = {"name": quoted_name(mailbox.name)} if mailbox.name else {}
    return {"email": mailbox.address} | name
