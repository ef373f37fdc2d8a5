"""Access tokens (OAuth 2.0), fetched where they are given out, and kept while they are valid."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from crmsync.errors import AuthError, TransientError
from crmsync.observe import remember_secret

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.clock import Clock
    from crmsync_email.login import OAuth

_SECONDS = 20.0
_SPARE = timedelta(minutes=2)  # a token is not used in the last moments of its life
_UNKNOWN_LIFE = 300  # seconds, where the answer does not say
_FIRST_FAILURE, _TOO_MANY = 500, 429


class AccessTokens:
    """The access token of a connection, kept for as long as it is valid."""

    def __init__(self, options: OAuth, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self._token, self._until = "", clock.now()

    def forget(self) -> None:
        """The token was refused: the next one is a new one."""
        self._token = ""

    def token(self) -> str:
        """A token that is valid for some minutes yet.

        Raises:
            AuthError: the login is refused.
            TransientError: the endpoint cannot be reached, or is not well.
        """
        if not self._token or self._clock.now() >= self._until:
            self._token, self._until = self._fetched()
        return self._token

    def _fetched(self) -> tuple[str, datetime]:
        host = urlsplit(self._options.endpoint).netloc
        form = self._options.form()
        try:
            response = httpx.post(self._options.endpoint, data=form, timeout=_SECONDS)
        except httpx.HTTPError:
            # Its own text may quote the request.
            raise TransientError(f"{host}, which gives out the tokens, cannot be reached") from None
        told = _told(response)
        if response.status_code >= _FIRST_FAILURE or response.status_code == _TOO_MANY:
            raise TransientError(f"{host} gives out no tokens now ({response.status_code})")
        token, lives = told.get("access_token"), told.get("expires_in")
        if response.status_code != httpx.codes.OK or not isinstance(token, str) or not token:
            code = str(told.get("error", response.status_code))
            raise AuthError(f"{host} refuses the login ({code}): {_advice(code)}")
        remember_secret(token)
        seconds = int(str(lives)) if str(lives).isdigit() else _UNKNOWN_LIFE
        return token, self._clock.now() + max(timedelta(seconds=seconds) - _SPARE, timedelta())


def _told(response: httpx.Response) -> dict[str, object]:
    try:
        told = response.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _advice(code: str) -> str:
    if code == "invalid_grant":
        return (
            "the refresh token is not valid any more, so somebody must agree again, and "
            "refresh_token be replaced"
        )
    if code in {"invalid_client", "unauthorized_client"}:
        return "look at client_id and client_secret of the application"
    return "look at oauth of this connection"
