"""What is answered to whom, as a WSGI application: links out of commercial mail, and hooks."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from crmsync.app.links import UNSUBSCRIBE
from crmsync.daemon.public.page import HEADERS, page
from crmsync.daemon.public.words import words_for
from crmsync.errors import CrmsyncError
from crmsync.observe import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from crmsync.daemon.public.words import Words

_NOTHING: tuple[tuple[str, str], ...] = (("Cache-Control", "no-store"),)
_HOOKS = "hooks"
_log = logger()


class Outside(Protocol):
    """What those outside can bring about; called from several threads at once."""

    @property
    def company(self) -> str:
        """Whose mails they are."""

    @property
    def base_path(self) -> str:
        """The path of the public URL, which a proxy may leave in front of ours."""

    def who(self, token: str) -> str | None:
        """The address that a link was made for; None where it is none of ours."""

    def unsubscribe(self, address: str) -> None:
        """Send no commercial mail there any more; harmless a second time."""

    def hear(
        self, name: str, method: str, uri: str, headers: Mapping[str, str], body: bytes
    ) -> HTTPStatus:
        """Take what is said to a connection for a hint; ``uri`` as it arrived."""


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: HTTPStatus
    headers: tuple[tuple[str, str], ...] = _NOTHING
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class PublicSite:
    """The application."""

    outside: Outside

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """One request."""
        method = str(environ["REQUEST_METHOD"])
        answer = self._answer(method, environ)
        status = f"{answer.status.value} {answer.status.phrase}"
        start(status, [*answer.headers, ("Content-Length", str(len(answer.body)))])
        return [] if method == "HEAD" else [answer.body]

    def _answer(self, method: str, environ: WSGIEnvironment) -> _Answer:
        path = str(environ.get("PATH_INFO", "")).removeprefix(self.outside.base_path)
        match path.strip("/").split("/"):
            case [first, token] if first == UNSUBSCRIBE:
                return self._unsubscribe(method, token, environ)
            case [first, name] if first == _HOOKS:
                return self._hear(method, name, environ)
            case _:
                return self._lost(environ)

    def _hear(self, method: str, name: str, environ: WSGIEnvironment) -> _Answer:
        if method != "POST":
            return _Answer(status=HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", "POST"),))
        uri = str(environ.get("REQUEST_URI", environ["PATH_INFO"]))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status = self.outside.hear(name, method, uri, _headers(environ), body)
        return _Answer(status=status)

    def _lost(self, environ: WSGIEnvironment) -> _Answer:
        language, words = _words(environ)
        return _Answer(
            status=HTTPStatus.NOT_FOUND, headers=HEADERS, body=page(language, words.lost)
        )

    def _unsubscribe(self, method: str, token: str, environ: WSGIEnvironment) -> _Answer:
        """Looking changes nothing: programs that scan mail for danger follow every link."""
        if method not in {"GET", "HEAD", "POST"}:
            allow = ("Allow", "GET, HEAD, POST")
            return _Answer(status=HTTPStatus.METHOD_NOT_ALLOWED, headers=(*_NOTHING, allow))
        language, words = _words(environ)
        company = self.outside.company
        try:
            address = self.outside.who(token)
            if address is None:
                return self._lost(environ)
            if method != "POST":
                text = words.explain.replace("{company}", company)
                body = page(language, words.ask, text, words.button)
                return _Answer(status=HTTPStatus.OK, headers=HEADERS, body=body)
            self.outside.unsubscribe(address)
        except CrmsyncError as error:
            _log.error("public.unsubscribe_failed", problem=str(error))
            retry = ("Retry-After", "120")
            body = page(language, words.ask, words.later, words.button)
            return _Answer(
                status=HTTPStatus.SERVICE_UNAVAILABLE, headers=(*HEADERS, retry), body=body
            )
        text = words.kept.replace("{company}", company)
        return _Answer(status=HTTPStatus.OK, headers=HEADERS, body=page(language, words.done, text))


def _words(environ: WSGIEnvironment) -> tuple[str, Words]:
    return words_for(str(environ.get("HTTP_ACCEPT_LANGUAGE", "")))


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    """By name in lower case."""
    named = {
        key.removeprefix("HTTP_"): str(value)
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in {"CONTENT_TYPE", "CONTENT_LENGTH"}
    }
    return {key.lower().replace("_", "-"): value for key, value in named.items()}
