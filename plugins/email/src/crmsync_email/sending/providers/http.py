"""What sending by the HTTP interface of any provider has in common."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import httpx

from crmsync.errors import (
    AuthError,
    ConnectorError,
    NobodyThereError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.model.actions import Receipt, SendEmail
from crmsync.plugins.contract import Finding
from crmsync_email.sending.answers import words_of
from crmsync_email.sending.identity import identity_of
from crmsync_email.sending.message import mail_of
from crmsync_email.sending.providers.lists import FORBIDDEN, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmsync.clock import Clock
    from crmsync.model.actions import Action
    from crmsync_email.options import SendingOptions
    from crmsync_email.sending.message import Mail
    from crmsync_email.sending.providers.lists import Lists

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_FOR_LISTS = httpx.Timeout(10.0)  # before each mail: all of them and the mail fit into the minutes
# The engine waits for five minutes; what was not begun by then was surely not sent.
_LAST_BEGIN_SECONDS = 150.0
_FIRST_FAILURE, _TOO_MANY = 500, 429
_EPOCH_IN_SECONDS = 10**11  # above it, providers count milliseconds


class Provider(Protocol):
    """A provider of mail.

    Attributes:
        name: what people call it.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def request(self, http: httpx.Client, mail: Mail) -> httpx.Request:
        """By which it takes a mail."""
        ...

    def remote_id(self, response: httpx.Response, mail: Mail) -> str | None:
        """What it calls a mail that it says it has taken; None where it does not say so."""
        ...

    def refusal(self, response: httpx.Response, now: datetime) -> ConnectorError:
        """Why it has surely not taken a mail, or does not answer a question."""
        ...

    def question(self, http: httpx.Client) -> httpx.Request:
        """That shows whether the credentials are good, and changes nothing."""
        ...

    def doubt(self, response: httpx.Response) -> str | None:
        """What an administrator should know of its answer to the question; None for nothing."""
        ...


class Finds(Protocol):
    """A provider whose search tells what it has taken."""

    def search(self, http: httpx.Client, key: str) -> httpx.Request:
        """For the mail with this key."""
        ...

    def found(self, response: httpx.Response, key: str) -> str | None:
        """What it calls the mail with this key; None where it has none."""
        ...


class HttpConnector:
    """Mail goes out through a provider's HTTP interface, one request a mail."""

    def __init__(
        self,
        provider: Provider,
        options: SendingOptions,
        clock: Clock,
        *,
        finds: Finds | None = None,
        lists: Lists | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider, self._options, self._clock = provider, options, clock
        self._finds, self._lists, self._monotonic = finds, lists, monotonic
        self._identity = identity_of(options)
        self._http = httpx.Client(timeout=_TIMEOUT, follow_redirects=False)

    def check(self) -> Sequence[Finding]:
        """Whether the provider can be reached, and takes our credentials."""
        try:
            response = self._asked(self._provider.question(self._http))
            hidden = self._hidden_lists()
        except ConnectorError as error:
            return [Finding(sentence=str(error))]
        doubts = (self._provider.doubt(response), hidden)
        return [Finding(sentence=one, fatal=False) for one in doubts if one is not None]

    def close(self) -> None:
        """End all connections."""
        self._http.close()

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Send mails; all other actions are refused."""
        begun = self._monotonic()
        answers: list[Receipt | ConnectorError] = []
        stopped: ConnectorError | None = None
        for action in actions:
            if not isinstance(action, SendEmail):
                answers.append(RejectedError(f"{self._provider.name} takes mail, and nothing else"))
                continue
            if stopped is None and self._monotonic() - begun > _LAST_BEGIN_SECONDS:
                stopped = TransientError(f"{self._provider.name} is slow, so this one waits")
            answer = stopped or self._answer(action)
            answers.append(answer)
            if isinstance(answer, QuotaError | AuthError):
                stopped = answer
        return answers

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """What was sent under these keys, as far as the provider can tell."""
        found = {}
        for key in keys if self._finds is not None else ():
            assert self._finds is not None  # noqa: S101  for the type checker
            response = self._asked(self._finds.search(self._http, key))
            try:
                remote_id = self._finds.found(response, key)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise self._unreadable() from None
            if remote_id is not None:
                found[key] = Receipt(key=key, remote_id=remote_id, already=True)
        return found

    def _answer(self, action: SendEmail) -> Receipt | ConnectorError:
        try:
            mail = mail_of(action, self._identity)
            self._assert_not_dropped(mail.recipient.address)
            request = self._provider.request(self._http, mail)
            response = self._sent(request, writing=True)
            if response.is_success:
                remote_id = self._provider.remote_id(response, mail)
                if remote_id is not None:
                    return Receipt(key=action.key, remote_id=remote_id)
            refusal = self._refusal(response, writing=True)
        except ConnectorError as error:
            refusal = error
        if isinstance(refusal, NobodyThereError) and self._options.redirect_to is not None:
            return RejectedError(str(refusal))  # it is the tester whom nobody knows
        return refusal

    def _assert_not_dropped(self, address: str) -> None:
        lists = self._lists
        for request, why in () if lists is None else lists.ask(self._http, address):
            request.extensions["timeout"] = _FOR_LISTS.as_dict()
            response = self._sent(request, writing=False)
            if response.status_code in FORBIDDEN:
                self._lists = (
                    None  # a key that may send, and no more: `check` tells what that hides
                )
                return
            if response.status_code in UNKNOWN:
                continue
            if not response.is_success:
                raise self._refusal(response, writing=False)
            words = None if lists is None else lists.entry(response)
            if words is not None:
                name, told = self._provider.name, ": ".join(filter(None, (why, words)))
                raise NobodyThereError(
                    f"{name} drops all mail to {address}, which is on its own list: {told}"
                )

    def _hidden_lists(self) -> str | None:
        """What nobody can know whose key may not read the provider's lists."""
        if self._lists is None:
            return None
        for request, _ in self._lists.ask(self._http, self._identity.own.address):
            if self._sent(request, writing=False).status_code in FORBIDDEN:
                name = self._provider.name
                return (
                    f"the key may not read which addresses {name} drops all mail to, so such mail "
                    f"counts as sent; it needs {self._lists.right}"
                )
        return None

    def _asked(self, request: httpx.Request) -> httpx.Response:
        response = self._sent(request, writing=False)
        if not response.is_success:
            raise self._refusal(response, writing=False)
        return response

    def _refusal(self, response: httpx.Response, *, writing: bool) -> ConnectorError:
        name, status = self._provider.name, response.status_code
        if response.is_redirect:
            return AuthError(f"{name} answers from another address; look at url of this connection")
        if status >= _FIRST_FAILURE or (response.is_success and writing):
            words = f"{name} failed ({status})"
            if writing:
                return UncertainError(f"{words}, and may have taken the mail all the same")
            return TransientError(words, retry_after=retry_after(response, self._clock.now()))
        if writing and status == httpx.codes.REQUEST_TIMEOUT:
            return UncertainError(f"{name} was asked too slowly, and may have taken the mail")
        refusal = self._provider.refusal(response, self._clock.now())
        unpaid = status == httpx.codes.PAYMENT_REQUIRED
        return AuthError(str(refusal)) if unpaid else refusal

    def _sent(self, request: httpx.Request, *, writing: bool) -> httpx.Response:
        """The answer, whatever it says; a library's own text may quote the request."""
        name = self._provider.name
        try:
            return self._http.send(request)
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise AuthError(f"the certificate of {name} is not trusted here") from None
            raise TransientError(f"{name} cannot be reached") from None
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            raise TransientError(f"{name} cannot be reached: no connection in time") from None
        except httpx.HTTPError as error:
            slow = isinstance(error, httpx.TimeoutException)
            what = "did not answer in time" if slow else "broke the connection off"
            if writing:
                raise UncertainError(f"{name} {what}, and may have taken the mail") from None
            raise TransientError(f"{name} {what}") from None

    def _unreadable(self) -> TransientError:
        return TransientError(f"{self._provider.name} answers something that cannot be read")


def told(response: httpx.Response) -> dict[str, object]:
    """An answer's JSON object; empty where it is none."""
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    """What a provider says, in a sentence."""
    return words_of(value if isinstance(value, str) else "")


def retry_after(response: httpx.Response, now: datetime) -> timedelta | None:
    """How long a provider wants to be left alone; None where it does not say."""
    wait = response.headers.get("Retry-After", "")
    if wait.isdigit():
        return timedelta(seconds=int(wait))
    reset = response.headers.get("X-RateLimit-Reset", "")
    if not reset.isdigit() or len(reset) > 15:  # noqa: PLR2004  no instant has so many digits
        return None
    seconds = int(reset) / (1000 if int(reset) > _EPOCH_IN_SECONDS else 1)
    return max(datetime.fromtimestamp(seconds, UTC) - now, timedelta())


def limited(response: httpx.Response, name: str, now: datetime) -> TransientError:
    """The error where a provider was asked too often."""
    return TransientError(
        f"{name} was asked too often within a short time", retry_after=retry_after(response, now)
    )
