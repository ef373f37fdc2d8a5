"""Access tokens: a service key, or one of OAuth that is renewed.

HubSpot may answer a renewal with another refresh token, and the old one may be of no use from then
on. So the new one is kept in a file beside the config, for its owner only, and written before it
is used. The file is put in the old one's place in one step; it says for which token of the config
it was made, so a new token in the config wins.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from crmsync.errors import AuthError, ConnectorError, QuotaError, TransientError
from crmsync.observe import remember_secret
from crmsync_hubspot import waiting
from crmsync_hubspot.errors import retry_after, told_in

if TYPE_CHECKING:
    from crmsync.clock import Clock
    from crmsync.config.secrets import Secret
    from crmsync_hubspot.options import HubSpotOptions

TOKEN_PATH = "/oauth/2026-03/token"  # noqa: S105  an address; /oauth/v1 ends on 16 February 2027
_SECONDS = 30.0
_EARLIER = timedelta(minutes=1)  # than a token expires
_TRIES = 3


class Tokens:
    """The access token of a connection; another where it has expired."""

    def __init__(self, options: HubSpotOptions, name: str, folder: Path, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self._kept = folder / f".hubspot-{name}.token"
        self._ca_file = None if options.ca_file is None else str(folder / options.ca_file)
        self._lock = threading.Lock()
        self._token: str | None = None
        self._expires: datetime | None = None

    @property
    def renewable(self) -> bool:
        """Whether there can be another."""
        return self._options.access_token is None

    def token(self) -> str:
        """The access token.

        Raises:
            ConnectorError: there is none.
        """
        if self._options.access_token is not None:
            return self._options.access_token.reveal()
        with self._lock:
            now = self._clock.now()
            if self._token is None or (self._expires is not None and now >= self._expires):
                self._renew()
            assert self._token is not None  # noqa: S101  it was set, or an error raised
            return self._token

    def forget(self, token: str) -> None:
        """That token is not accepted any more; another thread may have renewed it meanwhile."""
        with self._lock:
            if self._token == token:
                self._token = None

    def _renew(self) -> None:
        refresh = self._refresh_token()
        try:
            answer = self._asked(refresh)
        except AuthError:
            # Another process may have renewed the login a moment ago, and kept what it got.
            newer = self._refresh_token()
            if newer == refresh:
                raise
            refresh, answer = newer, self._asked(newer)
        token, new = str(answer["access_token"]), str(answer.get("refresh_token") or refresh)
        remember_secret(token)
        remember_secret(new)
        if new != refresh:
            self._keep(new)
        self._token = token
        lives = timedelta(seconds=int(answer.get("expires_in") or 1800))
        self._expires = self._clock.now() + max(lives - _EARLIER, lives / 2)

    def _asked(self, refresh: str) -> dict[str, Any]:
        """The endpoint's answer; after one that was lost there is nothing but to ask again."""
        options = self._options
        assert options.client_id is not None  # noqa: S101  the options' own check
        form = {
            "grant_type": "refresh_token",
            "client_id": options.client_id,
            "client_secret": _revealed(options.client_secret),
            "refresh_token": refresh,
        }
        error: ConnectorError = TransientError("HubSpot cannot be reached to renew the login")
        for attempt in range(_TRIES):
            waiting.sleep(attempt * 2.0)
            try:
                response = httpx.post(
                    options.url + TOKEN_PATH,
                    data=form,
                    timeout=_SECONDS,
                    verify=_verified(self._ca_file),
                )
            except httpx.HTTPError:
                continue  # its own text would quote the request
            if response.status_code == httpx.codes.OK:
                return _read(response.content)
            error = self._refused(response)
            if not isinstance(error, TransientError):
                break
        raise error

    def _refused(self, response: httpx.Response) -> ConnectorError:
        told = told_in(response.content)
        now = self._clock.now()
        wait = retry_after(response.headers, now)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return TransientError("HubSpot renews no login at the moment", retry_after=wait)
        if response.status_code == 477:  # noqa: PLR2004  HubSpot: a migration is under way
            return QuotaError(
                "HubSpot moves the portal to another data centre",
                until=now + (wait or timedelta(hours=24)),
            )
        if response.is_server_error:
            return TransientError(f"HubSpot failed ({response.status_code})", retry_after=wait)
        why = told.category or told.message or str(response.status_code)
        return AuthError(
            f"HubSpot does not renew the login ({why}); install the app in the portal anew, and "
            "put its new refresh token where refresh_token points"
        )

    def _refresh_token(self) -> str:
        """The newest one: that of the config, or that which came after it."""
        given = _revealed(self._options.refresh_token)
        try:
            kept = orjson.loads(self._kept.read_bytes())
            if kept["after"] == _digest(given):
                new = str(kept["refresh_token"])
                remember_secret(new)
                return new
        except FileNotFoundError:
            pass
        except OSError as error:
            raise AuthError(f"{self._kept} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            pass
        return given

    def _keep(self, token: str) -> None:
        after = _digest(_revealed(self._options.refresh_token))
        text = orjson.dumps({"after": after, "refresh_token": token})
        try:
            # The file of a new name is for its owner only from the beginning.
            descriptor, name = tempfile.mkstemp(dir=self._kept.parent, prefix=self._kept.name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._kept)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise AuthError(
                f"HubSpot gave a new refresh token, and {self._kept} cannot be written to keep it: "
                f"{error.strerror}"
            ) from None


def _revealed(secret: Secret | None) -> str:
    assert secret is not None  # noqa: S101  the options' own check
    return secret.reveal()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read(body: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = orjson.loads(body)
        if not answer["access_token"]:
            raise KeyError
    except (ValueError, KeyError, TypeError):
        raise TransientError(
            "HubSpot's answer to the renewal of the login cannot be read"
        ) from None
    return answer


def _verified(ca_file: str | None) -> Any:  # noqa: ANN401  as httpx takes it
    if ca_file is None:
        return True
    import ssl  # noqa: PLC0415  rarely needed

    return ssl.create_default_context(cafile=ca_file)
