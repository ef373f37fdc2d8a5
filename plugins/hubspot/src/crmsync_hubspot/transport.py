"""Sends requests through hubspot-api-client's raw request path.

That library has no time-out of its own, does not retry, hides answers that it does not expect, and
takes ten times as long to make its models as the JSON takes to be read. So its connections are
used, and nothing above them: each request has a time-out, and what breaks is named by what happens
next.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson
import urllib3
from hubspot.crm.objects.configuration import Configuration
from hubspot.crm.objects.rest import RESTClientObject

from crmsync.errors import AuthError, TransientError, UncertainError
from crmsync_hubspot.errors import UnreachedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
_CONNECTIONS = 8


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer, whatever its status. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Connections to one portal."""

    def __init__(self, url: str, ca_file: str | None) -> None:
        self._url = url
        configuration = Configuration(host=url)
        configuration.connection_pool_maxsize = _CONNECTIONS
        configuration.ssl_ca_cert = ca_file
        configuration.proxy = _proxy_on_the_way_to(url)
        configuration.proxy_headers = _credentials_in(configuration.proxy)
        self._pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        query: Sequence[tuple[str, str]],
        body: Any,  # noqa: ANN401  JSON
        *,
        writing: bool,
    ) -> Response:
        """The answer to a request.

        Raises:
            TransientError: it did not go out, or it only asked for something.
            UncertainError: it was on its way, and may have changed something.
            AuthError: whoever answers cannot prove to be HubSpot.
        """
        sent = dict(headers) | {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        address = self._url + path
        if query:
            address += "?" + urlencode(query)
        try:
            answer = self._pool.request(
                method,
                address,
                body=None if body is None else orjson.dumps(body),
                headers=sent,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise broken(error, self._url, writing=writing) from None
        return Response(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.headers.items()},
            body=answer.data,
        )


def _proxy_on_the_way_to(url: str) -> str | None:
    """The proxy that the environment names, as other programs go by it; the library does not."""
    parts = urlsplit(url)
    if parts.scheme != "https" or proxy_bypass(parts.netloc):
        return None
    proxy = getproxies().get("https")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _credentials_in(proxy: str | None) -> dict[str, str] | None:
    """A name and a password in a proxy's address, as it is sent them; the library leaves them."""
    parts = urlsplit(proxy or "")
    if parts.username is None:
        return None
    told = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(told.encode()).decode()}"}


def broken(
    error: Exception, url: str, *, writing: bool
) -> TransientError | UncertainError | AuthError:
    """The error for a request that broke off; the library's own text quotes the request."""
    if isinstance(error, urllib3.exceptions.SSLError):
        # A connection that breaks off in the middle is an SSLError, too.
        if "CERTIFICATE_VERIFY_FAILED" in repr(error):
            return AuthError(
                "the certificate of HubSpot's API is not trusted here; behind a company's proxy, "
                "name its certificates with ca_file"
            )
    elif isinstance(
        error,
        urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError,
    ):
        return UnreachedError(f"HubSpot cannot be reached at {url}")
    elif isinstance(error, urllib3.exceptions.ProxyError):
        # It lets nothing through before it has reached HubSpot.
        return UnreachedError(f"HubSpot cannot be reached at {url} through the proxy (HTTPS_PROXY)")
    slow = isinstance(error, urllib3.exceptions.TimeoutError)
    what = "did not answer in time" if slow else "broke the connection off"
    if writing:
        return UncertainError(f"HubSpot {what}, and may have done what it was asked for")
    return TransientError(f"HubSpot {what}")
