"""How a connection proves who it is: a password, or an access token of Google or Microsoft."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field, model_validator

from crmsync.config.base import Settings
from crmsync.config.secrets import Secret
from crmsync.errors import AuthError, TransientError
from crmsync.observe import remember_secret

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.clock import Clock

ON_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_SECONDS = 20.0
_SPARE = timedelta(minutes=2)  # a token is not used in the last moments of its life
_UNKNOWN_LIFE = 300  # seconds, where the answer does not say
_FIRST_FAILURE, _TOO_MANY = 500, 429
_MICROSOFT = "https://login.microsoftonline.com"
# learn.microsoft.com, “Authenticate an IMAP, POP or SMTP connection using OAuth”.
_DELEGATED = (
    "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send "
    "offline_access"
)
_AS_THE_APP = "https://outlook.office365.com/.default"


class Security(StrEnum):
    """How the wire is protected."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class Provider(StrEnum):
    """Whose mailbox it is."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"


def _https(text: str) -> str:
    parts = urlsplit(text)
    if parts.hostname is None or (
        parts.scheme != "https" and parts.hostname not in ON_THIS_MACHINE
    ):
        raise ValueError(
            f"“{text}” is not the address of a token endpoint: it begins with https://"
        )
    return text


class OAuth(Settings):
    """How to get an access token (OAuth 2.0).

    With ``refresh_token`` the token is a person's, whoever has once agreed; without it, the
    application's own (client credentials; Microsoft only). ``tenant`` is Microsoft's directory.
    ``token_url`` and ``scope`` replace what follows from ``provider``.
    """

    provider: Provider
    client_id: str = Field(min_length=1)
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    tenant: str = "organizations"
    token_url: Annotated[str, AfterValidator(_https)] | None = None
    scope: str | None = None

    @model_validator(mode="after")
    def _enough(self) -> OAuth:
        if self.refresh_token is None:
            if self.client_secret is None:
                raise ValueError("give refresh_token, or client_secret for the application itself")
            if self.provider is Provider.GOOGLE:
                raise ValueError("with Google, refresh_token must be given")
            if self.token_url is None and self.tenant == "organizations":
                raise ValueError("an application logs in to one directory: give its tenant")
        return self

    @property
    def endpoint(self) -> str:
        """Where tokens are given out."""
        if self.token_url is not None:
            return self.token_url
        if self.provider is Provider.GOOGLE:
            return "https://oauth2.googleapis.com/token"
        return f"{_MICROSOFT}/{self.tenant}/oauth2/v2.0/token"

    def form(self) -> dict[str, str]:
        """What the endpoint is asked (RFC 6749, 4.4 and 6).

        Raises:
            AuthError: a secret is not where its reference points.
        """
        form = {"client_id": self.client_id}
        if self.client_secret is not None:
            form["client_secret"] = self.client_secret.reveal()
        if self.refresh_token is None:
            form["grant_type"], scope = "client_credentials", _AS_THE_APP
        else:
            form["grant_type"], scope = "refresh_token", _DELEGATED
            form["refresh_token"] = self.refresh_token.reveal()
        if self.scope is not None or self.provider is Provider.MICROSOFT:
            form["scope"] = self.scope or scope
        return form


class Login(Settings):
    """The keys of a connection that say who logs in: ``user``, and a password or a token."""

    user: str | None = None
    password: Secret | None = None
    oauth: OAuth | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Login:
        if self.password is not None and self.oauth is not None:
            raise ValueError("give one of password and oauth")
        if self.user is None and (self.password is not None or self.oauth is not None):
            raise ValueError("who logs in? give user, too")
        if self.user is not None and self.password is None and self.oauth is None:
            raise ValueError("how does the user log in? give password or oauth")
        return self


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
