"""Who may do what: tokens, scopes, and the OAuth token endpoint."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from crmsync_hubspot.simulator.errors import PortalError, not_found
from crmsync_hubspot.simulator.messages import Answer, Request

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.clock import Clock
    from crmsync_hubspot.simulator.settings import Settings

_SCOPES_PAGE = "https://developers.hubspot.com/scopes"
_NOT_GRANTED = (
    "This app hasn't been granted all required scopes to make this call. "
    f"Read more about required scopes here: {_SCOPES_PAGE}."
)
_NO_CREDENTIALS = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you "
    "can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)
_FAMILY = {"tasks", "emails", "calls", "meetings", "notes"}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls: the private app, or an OAuth app."""

    oauth: bool


class Access:
    """The valid tokens.

    Attributes:
        refreshes: how many access tokens were given out.
    """

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock, self._settings = clock, settings
        self._tokens: dict[str, datetime] = {}
        self._refresh_tokens = {settings.refresh_token}
        self._codes: dict[str, str] = {}
        self.refreshes = 0

    def caller(self, request: Request) -> Caller:
        """Who sent a request.

        Raises:
            PortalError: nobody who is known.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise PortalError(_NO_CREDENTIALS, status=401, category="INVALID_AUTHENTICATION")
        if secrets.compare_digest(token.encode(), self._settings.token.encode()):
            return Caller(oauth=False)
        ends = self._tokens.get(token)
        if ends is None:
            raise PortalError(
                "The OAuth token used to make this call is invalid or was revoked.",
                status=401,
                category="INVALID_AUTHENTICATION",
            )
        late = (self._clock.now() - ends).total_seconds()
        if late >= 0:
            raise expired(int(late))
        return Caller(oauth=True)

    def require(self, *alternatives: str) -> None:
        """Refuse where none of the scopes was granted.

        Raises:
            PortalError: it tells the first of them.
        """
        if self._settings.scopes.isdisjoint(alternatives):
            raise PortalError(
                _NOT_GRANTED,
                status=403,
                category="MISSING_SCOPES",
                details=[
                    {
                        "message": "One or more of the following scopes are required.",
                        "context": {"requiredGranularScopes": [alternatives[0]]},
                    }
                ],
                links={"scopes": _SCOPES_PAGE},
            )

    def end_all(self) -> None:
        """From now on all access tokens are expired."""
        for token in self._tokens:
            self._tokens[token] = self._clock.now()

    def revoke_all(self) -> None:
        """An administrator has uninstalled the app: refresh tokens are worth nothing."""
        self._tokens.clear()
        self._refresh_tokens.clear()

    def code(self) -> str:
        """What the browser is sent back with, once an administrator has installed the app."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = self._settings.redirect_uri
        return code

    def answer(self, request: Request) -> Answer:
        """The token endpoint."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if request.method != "POST" or kind != "application/x-www-form-urlencoded":
            raise PortalError("HTTP 415 Unsupported Media Type", status=415)
        if request.route != ("oauth", "token"):
            raise not_found()
        form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        return self._token(form)

    def _token(self, form: dict[str, str]) -> Answer:
        settings = self._settings
        if form.get("client_id") != settings.client_id:
            raise _refused("BAD_CLIENT_ID", "missing or unknown client id")
        if form.get("client_secret") != settings.client_secret:
            raise _refused("BAD_CLIENT_SECRET", "missing or invalid client secret")
        match form.get("grant_type"):
            case "refresh_token":
                old = form.get("refresh_token", "")
                if old not in self._refresh_tokens:
                    raise _refused("BAD_REFRESH_TOKEN", "missing or invalid refresh token")
            case "authorization_code":
                old = ""
                uri = self._codes.pop(form.get("code", ""), None)
                if uri is None:
                    raise _refused("BAD_AUTH_CODE", "missing or unknown auth code")
                if form.get("redirect_uri") != uri:
                    raise _refused("MISMATCH_REDIRECT_URI_AUTH_CODE", "redirect uri does not match")
            case _:
                raise _refused("BAD_GRANT_TYPE", "missing or unknown grant type")
        new = old
        if settings.rotates or not old:
            self._refresh_tokens.discard(old)
            new = f"eu1-{secrets.token_urlsafe(30)}"
            self._refresh_tokens.add(new)
        access = f"C{secrets.token_urlsafe(220)}"
        self._tokens[access] = self._clock.now() + settings.token_lives
        self.refreshes += 1
        body: dict[str, Any] = {
            "token_type": "bearer",
            "token_use": "access_token",
            "access_token": access,
            "refresh_token": new,
            "expires_in": int(settings.token_lives.total_seconds()),
            "hub_id": settings.portal_id,
            "user_id": settings.user_id,
            "scopes": sorted(settings.scopes),
        }
        return Answer(body=body, headers={"Cache-Control": "no-store"})


def object_scopes(name: str, *, custom: bool, writes: bool) -> tuple[str, ...]:
    """The scopes of which one is needed for the records of a type."""
    verb = "write" if writes else "read"
    if custom:
        return (f"crm.objects.custom.{verb}",)
    if name == "tickets":
        return ("tickets",)
    if name == "emails":
        return (f"crm.objects.contacts.{verb}", "sales-email-read")
    if name in _FAMILY:
        return (f"crm.objects.contacts.{verb}",)
    if name == "line_items":
        return (f"crm.objects.line_items.{verb}", "e-commerce")
    if name == "feedback_submissions":
        return ("crm.objects.feedback_submissions.read", "crm.objects.contacts.read")
    return (f"crm.objects.{name}.{verb}",)


def schema_scopes(name: str, *, custom: bool, writes: bool) -> tuple[str, ...]:
    """The scopes of which one is needed for the properties and pipelines of a type."""
    if custom:
        verb = "write" if writes else "read"
        return (f"crm.schemas.custom.{verb}", *(() if writes else ("crm.objects.custom.read",)))
    if name in _FAMILY:
        name = "contacts"
    if writes:
        return (f"crm.schemas.{name}.write", *(("tickets",) if name == "tickets" else ()))
    return (
        f"crm.schemas.{name}.read",
        *object_scopes(name, custom=False, writes=False),
    )


def expired(seconds: int) -> PortalError:
    """The access token is too old."""
    return PortalError(
        f"The OAuth token used to make this call expired {seconds} second(s) ago.",
        status=401,
        category="EXPIRED_AUTHENTICATION",
    )


def _refused(status: str, words: str) -> PortalError:
    return PortalError(words, category=status)
