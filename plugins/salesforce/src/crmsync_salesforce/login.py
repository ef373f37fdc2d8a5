"""Logs in, with the OAuth flows that an External Client App has."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import jwt

from crmsync.errors import AuthError, QuotaError, TransientError
from crmsync.observe import remember_secret
from crmsync_salesforce.errors import REST_AFTER_QUOTA, codes_of
from crmsync_salesforce.transport import sent

if TYPE_CHECKING:
    import requests

    from crmsync.clock import Clock
    from crmsync_salesforce.options import SalesforceOptions

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_VALID_SECONDS = 170  # the org takes at most three minutes
# help.salesforce.com 005132110, read on 30 April 2026.
PASSWORD_RETIRED = "Summer '27"  # noqa: S105  a release's name
_FORBIDDEN, _FIRST_FAILURE = 403, 500
# “unknown_error: retry your request”, and what OAuth has for a server that is busy.
_PASSING = {"unknown_error", "server_error", "temporarily_unavailable"}


@dataclass(frozen=True, kw_only=True)
class Login:
    """What a login gives.

    Attributes:
        address: what is called with the session.
        user: the id of whose session it is; None where that is not told.
    """

    session: str = field(repr=False)
    address: str
    user: str | None = None


def log_in(options: SalesforceOptions, http: requests.Session, clock: Clock) -> Login:
    """A new session, or the one that the config names.

    Raises:
        AuthError: the login is refused.
        TransientError: the org cannot be reached.
    """
    if options.session_id is not None:
        return Login(session=options.session_id.reveal(), address=options.url)
    response = sent(
        http, "POST", f"{options.url}/services/oauth2/token", writing=False, data=_form(options)
    )
    code, message = codes_of(response)
    if response.status_code >= _FIRST_FAILURE or code in _PASSING:
        wait = response.headers.get("Retry-After", "")
        raise TransientError(
            "Salesforce takes no logins now",
            retry_after=timedelta(seconds=int(wait)) if wait.isdigit() else None,
        )
    if response.status_code == _FORBIDDEN and "rate" in code:
        raise QuotaError("too many logins within an hour", until=clock.now() + REST_AFTER_QUOTA)
    if not response.ok:
        raise AuthError(f"Salesforce refuses the login: {_advice(code, message, options)}")
    try:
        told = response.json()
        login = Login(
            session=str(told["access_token"]),
            address=str(told.get("instance_url") or options.url),
            # The address of the user's own identity, which ends with their id.
            user=str(told.get("id") or "").rpartition("/")[2] or None,
        )
    except (ValueError, KeyError, AttributeError):
        raise AuthError(
            f"{options.url} answers a login with something else than a token; is it the org's "
            "My Domain address?"
        ) from None
    remember_secret(login.session)
    return login


def _form(options: SalesforceOptions) -> dict[str, str]:
    if options.private_key is not None:
        return {"grant_type": _JWT_BEARER, "assertion": _assertion(options)}
    form = {"client_id": options.client_id or ""}
    if options.client_secret is not None:
        form["client_secret"] = options.client_secret.reveal()
    if options.password is not None:
        form |= {"username": options.username or "", "password": options.password.reveal()}
        return form | {"grant_type": "password"}
    return form | {"grant_type": "client_credentials"}


def _assertion(options: SalesforceOptions) -> str:
    assert options.private_key is not None  # noqa: S101  the caller has seen it
    claims = {
        "iss": options.client_id,
        "sub": options.username,
        "aud": options.jwt_audience,
        "exp": int(time.time()) + _VALID_SECONDS,
    }
    try:
        assertion = jwt.encode(claims, options.private_key.reveal(), algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        raise AuthError(
            "the private key cannot be read; it must be an RSA key in PEM form"
        ) from None
    remember_secret(assertion)
    return assertion


def _advice(code: str, message: str, options: SalesforceOptions) -> str:
    told = f"{code}: {message}"
    if code in {"invalid_client", "invalid_client_id", "invalid_app_access"}:
        return f"{told}; look at client_id and client_secret of the External Client App"
    if options.private_key is not None and "approved" in message:
        return f"{told}; an administrator pre-authorizes the app for {options.username}"
    if options.password is not None:
        return f"{told}; logins by password end with {PASSWORD_RETIRED}, so prefer another way"
    return told
