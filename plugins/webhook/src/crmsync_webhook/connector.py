"""The connector: each message is a POST of its own."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from crmsync.errors import AuthError, RejectedError, TransientError, UncertainError
from crmsync.model.actions import CustomAction, Receipt
from crmsync.observe import redact
from crmsync.plugins.contract import Finding
from crmsync_webhook import Body, WebhookOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.errors import ConnectorError
    from crmsync.model.actions import Action
    from crmsync.plugins.contract import ConnectionContext

# What servers and the proxies before them say of a request that they have not taken.
_NOTHING_HAPPENED = frozenset({408, 425, 429, 502, 503})
_GONE = frozenset({404, 410})
_HTTPX_LOG = logging.getLogger("httpx")


class WebhookConnector:
    """An address that takes messages."""

    def __init__(self, context: ConnectionContext) -> None:
        assert isinstance(context.options, WebhookOptions)  # noqa: S101  the spec names that model
        self._options = context.options
        self._clock = context.clock
        # Nobody who answers may send us elsewhere: the message would go to strangers.
        self._client = httpx.Client(timeout=self._options.time_out, follow_redirects=False)
        # httpx tells its log each address that it calls, and this one is the credential.
        _HTTPX_LOG.addFilter(self._is_harmless)

    def check(self) -> Sequence[Finding]:
        """Whether the address is one. Whether it takes messages only a message would tell."""
        try:
            url = httpx.URL(self._options.url.reveal())
        except (httpx.InvalidURL, TypeError):
            return [Finding(sentence="“url” refers to no address such as https://…")]
        if url.scheme not in {"http", "https"} or not url.host:
            return [Finding(sentence="“url” refers to no address such as https://…")]
        if url.scheme == "http" and url.host not in {"localhost", "127.0.0.1", "::1"}:
            told = "“url” begins with http:, so that anybody on the way can read along and write"
            return [Finding(sentence=told, fatal=False)]
        return []

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
        _HTTPX_LOG.removeFilter(self._is_harmless)

    def _is_harmless(self, record: logging.LogRecord) -> bool:
        path = self._options.url.reveal().partition("://")[2].partition("/")[2]
        return not path or path not in record.getMessage()

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Post each of them."""
        return [self._post(action) for action in actions]

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:  # noqa: ARG002  nobody can tell
        """Never asked: what a webhook has taken it tells nobody."""
        return {}

    def _post(self, action: Action) -> Receipt | ConnectorError:
        if not isinstance(action, CustomAction) or action.name != "notify":
            return RejectedError("a webhook takes notifications and nothing else")
        try:
            url = self._options.url.reveal()
            headers = {"Idempotency-Key": action.key}
            answer = self._client.post(url, json=self._body(action), headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            # An httpx error holds the address, which is the credential.
            return TransientError("nobody listens at the webhook's address now")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return RejectedError("the webhook's “url” is no address such as https://…")
        except UnicodeEncodeError:
            return RejectedError("a text holds half a character, which no webhook can take")
        except httpx.HTTPError as error:
            return UncertainError(f"the webhook did not answer: {type(error).__name__}")
        return self._outcome(action.key, answer)

    def _body(self, action: CustomAction) -> dict[str, Any]:
        if self._options.body is Body.JSON:
            about = [{"table": one.table, "id": one.id} for one in action.about]
            return {"key": action.key, "kind": action.name, **action.texts, "about": about}
        title = action.texts.get("title")
        return {"text": "\n".join(part for part in (title, action.texts["text"]) if part)}

    def _outcome(self, key: str, answer: httpx.Response) -> Receipt | ConnectorError:
        said = f"the webhook answered {answer.status_code} {answer.reason_phrase}".strip()
        words = redact(" ".join(answer.text.split()))[:200]  # some quote the address
        sentence = f"{said}: {words}" if words else said
        if answer.is_success:
            return Receipt(key=key, remote_id=key)
        if answer.status_code in {401, 403}:
            return AuthError(sentence)
        if answer.status_code in _NOTHING_HAPPENED:
            return TransientError(sentence, retry_after=self._retry_after(answer))
        if answer.is_server_error:
            return UncertainError(sentence)
        if answer.is_redirect:
            return RejectedError(f"{said}; it sends elsewhere, and “url” must name that itself")
        if answer.status_code in _GONE:
            return AuthError(f"{sentence}; has the webhook been taken away?")
        return RejectedError(sentence)

    def _retry_after(self, answer: httpx.Response) -> timedelta | None:
        """Seconds or a date (RFC 9110, 10.2.3)."""
        text = answer.headers.get("Retry-After", "").strip()
        if text.isdecimal():
            return timedelta(seconds=min(int(text), 86_400))
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        now: datetime = self._clock.now()
        return max(at.replace(tzinfo=at.tzinfo or UTC) - now, timedelta())
