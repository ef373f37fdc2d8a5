"""Logins: the OAuth token endpoint, and which sessions are valid."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import jwt

from crmsync_salesforce.simulator.messages import Answer, Fault, Request
from crmsync_salesforce.simulator.objects import long_id

if TYPE_CHECKING:
    from crmsync_salesforce.simulator.service import Settings

ORGANIZATION = long_id("00D5e000000Abcd")
_LONGEST_ASSERTION = 180  # seconds
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Sessions:
    """Who is logged in."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._valid: set[str] = set()
        self._lock = threading.Lock()
        self.logins = 0

    def end_all(self) -> None:
        """From now on all sessions are expired."""
        with self._lock:
            self._valid.clear()

    def open(self) -> str:
        """A new session's id."""
        session = f"{ORGANIZATION[:15]}!{secrets.token_urlsafe(48)}"
        with self._lock:
            self._valid.add(session)
        return session

    def knows(self, request: Request) -> bool:
        """Whether a request belongs to a session that is valid."""
        scheme, _, session = request.headers.get("authorization", "").partition(" ")
        with self._lock:
            return scheme == "Bearer" and session in self._valid

    def answer(self, request: Request, fault: Fault | None, *, address: str, user: str) -> Answer:
        """Answer a request for a token of a session of that user's."""
        self.logins += 1
        if request.method != "POST":
            return _refused("invalid_request", "must use HTTP POST")
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        refusal = self._refusal(form, request)
        if fault is Fault.BAD_LOGIN or refusal is not None:
            return _refused(*(refusal or ("invalid_client", "invalid client credentials")))
        return Answer(
            body={
                "access_token": self.open(),
                "instance_url": address,
                "id": f"{address}/id/{ORGANIZATION}/{user}",
                "token_type": "Bearer",
                "scope": "api",
                "issued_at": str(int(time.time() * 1000)),
                "signature": "simulated",
            }
        )

    def _refusal(self, form: dict[str, str], request: Request) -> tuple[str, str] | None:
        match form.get("grant_type"):
            case "client_credentials":
                given = _client_of(form, request)
                if given != (self._settings.client_id, self._settings.client_secret):
                    return "invalid_client", "invalid client credentials"
            case "password":
                given = (form.get("client_id", ""), form.get("client_secret", ""))
                if given != (self._settings.client_id, self._settings.client_secret):
                    return "invalid_client_id", "client identifier invalid"
                told = (form.get("username"), form.get("password"))
                if told != (self._settings.username, self._settings.password):
                    return "invalid_grant", "authentication failure"
            case kind if kind == _JWT_BEARER:
                return self._refused_assertion(form.get("assertion", ""), request)
            case _:
                return "unsupported_grant_type", "grant type not supported"
        return None

    def _refused_assertion(self, assertion: str, request: Request) -> tuple[str, str] | None:
        del request
        if self._settings.public_key is None:
            return "invalid_grant", "user hasn't approved this consumer"
        try:
            claims = jwt.decode(
                assertion,
                self._settings.public_key,
                algorithms=["RS256"],
                audience=list(self._settings.audiences),
                issuer=self._settings.client_id,
                options={"require": ["exp", "iss", "sub", "aud"]},
            )
        except jwt.InvalidAudienceError:
            return "invalid_grant", "audience is invalid"
        except jwt.InvalidTokenError:
            return "invalid_grant", "invalid assertion"
        if claims["exp"] - time.time() > _LONGEST_ASSERTION + 5:
            return "invalid_grant", "expiration is too far in the future"
        if claims["sub"] != self._settings.username:
            return "invalid_grant", "user hasn't approved this consumer"
        return None


def _client_of(form: dict[str, str], request: Request) -> tuple[str, str]:
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        name, _, secret = base64.b64decode(told).decode().partition(":")
        return name, secret
    return form.get("client_id", ""), form.get("client_secret", "")


def _refused(error: str, description: str) -> Answer:
    return Answer(status=400, body={"error": error, "error_description": description})
