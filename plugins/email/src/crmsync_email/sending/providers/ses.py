"""Amazon SES (docs.aws.amazon.com/ses/latest/APIReference-V2: SendEmail, GetAccount)."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx

from crmsync.errors import AuthError, ConnectorError, QuotaError, RejectedError
from crmsync_email.sending.providers.http import limited, text_of, told
from crmsync_email.sending.providers.lists import BOUNCED, COMPLAINED, in_path
from crmsync_email.sending.providers.signature import AwsKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crmsync.clock import Clock
    from crmsync_email.options import SesOptions
    from crmsync_email.sending.message import Mail

_REST = timedelta(hours=1)  # the allowance is a rolling sum over 24 hours
_ACCOUNT = {"AccountSuspendedException", "SendingPausedException", "NotFoundException"}


class Ses:
    """Takes mail; it replaces the Message-ID and has no search, so it finds nothing."""

    name = "Amazon SES"
    right = "the right ses:GetSuppressedDestination"

    def __init__(self, options: SesOptions, clock: Clock) -> None:
        self._clock, self._options = clock, options
        self._url = options.url or f"https://email.{options.region}.amazonaws.com"
        token = options.session_token
        self._key = AwsKey(
            key_id=options.access_key_id,
            secret=options.secret_access_key.reveal(),
            session_token=None if token is None else token.reveal(),
            region=options.region,
            service="ses",
        )

    def request(self, http: httpx.Client, mail: Mail) -> httpx.Request:
        """By which it takes a mail."""
        body: dict[str, object] = {
            "FromEmailAddress": mail.sender.address,
            "Destination": {"ToAddresses": [mail.recipient.address]},
            "Content": {"Raw": {"Data": base64.b64encode(mail.content).decode("ascii")}},
        }
        if self._options.configuration_set is not None:
            body["ConfigurationSetName"] = self._options.configuration_set
        url = f"{self._url}/v2/email/outbound-emails"
        return self._key.sign(http.build_request("POST", url, json=body), self._clock.now())

    def remote_id(self, response: httpx.Response, mail: Mail) -> str | None:
        """The id that stands in the Message-ID which SES gives the mail."""
        del mail
        found = told(response).get("MessageId")
        return found if isinstance(found, str) and found else None

    def refusal(self, response: httpx.Response, now: datetime) -> ConnectorError:
        """By the kind of error."""
        answer = told(response)
        kind = response.headers.get("x-amzn-ErrorType", "").partition(":")[0]
        words = text_of(answer.get("message") or answer.get("Message"))
        sentence = f"Amazon SES refuses it ({kind or response.status_code}): {words}"
        if "daily message quota" in words.lower() or kind == "LimitExceededException":
            return QuotaError(sentence, until=now + _REST)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or kind.startswith("Throttling"):
            return limited(response, self.name, now)
        if response.status_code in {401, 403} or kind in _ACCOUNT:
            return AuthError(
                f"{sentence}; the access key needs ses:SendEmail and ses:GetAccount, and the "
                "account must be allowed to send in this region"
            )
        return RejectedError(sentence)

    def ask(self, http: httpx.Client, address: str) -> Iterator[tuple[httpx.Request, str]]:
        """On the account's list (API_GetSuppressedDestination)."""
        url = f"{self._url}/v2/email/suppression/addresses/{in_path(address)}"
        yield self._key.sign(http.build_request("GET", url), self._clock.now()), ""

    def entry(self, response: httpx.Response) -> str | None:
        """It answers 404 where there is none."""
        found = told(response).get("SuppressedDestination")
        if not isinstance(found, dict):
            return None
        return COMPLAINED if found.get("Reason") == "COMPLAINT" else BOUNCED

    def question(self, http: httpx.Client) -> httpx.Request:
        """What the account may do."""
        request = http.build_request("GET", f"{self._url}/v2/email/account")
        return self._key.sign(request, self._clock.now())

    def doubt(self, response: httpx.Response) -> str | None:
        """An account that sends to nobody yet."""
        answer = told(response)
        if answer.get("SendingEnabled") is False:
            return "Amazon SES has paused this account, so it sends nothing"
        if answer.get("ProductionAccessEnabled") is False:
            return "this account of Amazon SES is in the sandbox: it writes to verified people only"
        return None
