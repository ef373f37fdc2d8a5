"""How a connection proves who it is: a password, or an access token of Google or Microsoft."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from crmsync.config.base import Settings
from crmsync.config.secrets import Secret

ON_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
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
