"""Sends requests: each has a time-out, and what breaks is named by what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from crmsync.errors import AuthError, TransientError, UncertainError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 150.0


class _Adapter(HTTPAdapter):
    """Gives each request a time-out, and the certificates that the config names."""

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file
        super().__init__()

    def send(  # noqa: PLR0917  the base's own signature
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,  # noqa: ANN401  likewise
        verify: bool | str = True,
        cert: Any = None,  # noqa: ANN401  likewise
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request."""
        # A certificate that the environment names would win over the session's own.
        return super().send(
            request,
            stream=stream,
            timeout=timeout or (CONNECT_SECONDS, ANSWER_SECONDS),
            verify=self._ca_file or verify,
            cert=cert,
            proxies=proxies,
        )


def http_session(ca_file: str | None) -> requests.Session:
    """A session for calls to one org."""
    session = requests.Session()
    session.mount("https://", _Adapter(ca_file))
    # Else a password in a .netrc would take the place of the session's own header.
    session.auth = _unchanged
    return session


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def sent(
    http: requests.Session,
    method: str,
    url: str,
    *,
    writing: bool,
    **arguments: Any,  # noqa: ANN401  as requests takes them
) -> requests.Response:
    """The answer to a request, whatever its status.

    Raises:
        TransientError: it did not go out, or it only asked for something.
        UncertainError: it was on its way, and may have changed something.
        AuthError: whoever answers cannot prove to be the org, or sends us on to somebody else.
    """
    host = urlsplit(url).netloc
    try:
        # Who follows carries secrets to whomever the answer names, and asks where it should write.
        response = http.request(method, url, allow_redirects=False, **arguments)
    except requests.exceptions.SSLError as error:
        # A connection that breaks off in the middle is an SSLError, too.
        if "CERTIFICATE_VERIFY_FAILED" not in repr(error):
            raise broken(error, host, writing=writing) from None
        raise AuthError(
            f"the certificate of {host} is not trusted here; behind a company's proxy, name its "
            "certificates with ca_file"
        ) from None
    except requests.exceptions.ConnectTimeout:
        raise TransientError(f"{host} cannot be reached: no connection in time") from None
    except requests.exceptions.RequestException as error:
        raise broken(error, host, writing=writing) from None
    if response.is_redirect:
        there = urlsplit(response.headers["location"]).netloc or host
        raise AuthError(
            f"{host} sends its callers on to {there}; write the org's present My Domain address as "
            "url (Setup, My Domain)"
        )
    return response


def broken(error: Exception, host: str, *, writing: bool) -> TransientError | UncertainError:
    """The error for a request that broke off; the library's own text quotes the request."""
    never_out = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
    if never_out:
        return TransientError(
            f"{host} cannot be reached from here; is there a network, and is it the org's address?"
        )
    slow = isinstance(error, requests.exceptions.Timeout)
    what = "did not answer in time" if slow else "broke the connection off"
    if writing:
        return UncertainError(f"Salesforce {what}, and may have done what it was asked for")
    return TransientError(f"Salesforce {what}")
