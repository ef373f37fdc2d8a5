"""Mailgun (documentation.mailgun.com: messages.mime)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from crmsync.errors import AuthError, ConnectorError, RejectedError
from crmsync_email.sending.providers.http import limited, text_of, told
from crmsync_email.sending.providers.lists import BOUNCED, COMPLAINED, UNSUBSCRIBED, in_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crmsync_email.options import MailgunOptions
    from crmsync_email.sending.message import Mail

# Of 400: what is the same for all mails.
_OF_ACCOUNT = re.compile(
    r"not allowed to send|limit exceeded|is disabled|not activated", re.IGNORECASE
)


_LISTS = {"bounces": BOUNCED, "unsubscribes": UNSUBSCRIBED, "complaints": COMPLAINED}


class Mailgun:
    """Takes mail as it is; its events come too late and go too soon to tell what was taken."""

    name = "Mailgun"
    right = "to be an API key of the account, not a sending key of the domain"

    def __init__(self, options: MailgunOptions) -> None:
        self._domain = options.domain
        self._base = f"{options.url}/v3"
        self._auth = httpx.BasicAuth("api", options.api_key.reveal())

    def request(self, http: httpx.Client, mail: Mail) -> httpx.Request:
        """By which it takes a mail."""
        return self._signed(
            http.build_request(
                "POST",
                f"{self._base}/{quote(self._domain)}/messages.mime",
                data={"to": mail.recipient.address, "o:tracking": "no"},
                files={"message": ("message.eml", mail.content, "message/rfc822")},
            )
        )

    def remote_id(self, response: httpx.Response, mail: Mail) -> str | None:
        """The Message-ID, without brackets."""
        del mail
        found = told(response).get("id")
        return found.strip("<>") if isinstance(found, str) else None

    def refusal(self, response: httpx.Response, now: datetime) -> ConnectorError:
        """By the status."""
        words = text_of(told(response).get("message")) or text_of(response.text)
        sentence = f"Mailgun refuses it ({response.status_code}): {words}"
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return limited(response, self.name, now)
        if response.status_code in {401, 403, 404}:
            return AuthError(
                f"{sentence}; look at api_key and domain, and whether the domain is in the region "
                "of url"
            )
        if _OF_ACCOUNT.search(words):
            return AuthError(sentence)
        return RejectedError(sentence)

    def ask(self, http: httpx.Client, address: str) -> Iterator[tuple[httpx.Request, str]]:
        """On each of the domain's lists."""
        for path, why in _LISTS.items():
            url = f"{self._base}/{quote(self._domain)}/{path}/{in_path(address)}"
            yield self._signed(http.build_request("GET", url)), why

    def entry(self, response: httpx.Response) -> str | None:
        """It answers 404 where there is none."""
        found = told(response)
        return text_of(found.get("error")) if found.get("address") else None

    def question(self, http: httpx.Client) -> httpx.Request:
        """Whether the domain is there."""
        return self._signed(
            http.build_request("GET", f"{self._base}/domains/{quote(self._domain)}")
        )

    def doubt(self, response: httpx.Response) -> str | None:
        """A domain that Mailgun does not trust."""
        domain = told(response).get("domain")
        state = domain.get("state") if isinstance(domain, dict) else None
        if isinstance(state, str) and state != "active":
            return f"Mailgun calls the domain {self._domain} {state}: look at its DNS records there"
        return None

    def _signed(self, request: httpx.Request) -> httpx.Request:
        return next(self._auth.auth_flow(request))
