"""What the daemon answers to those outside, over a real socket."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from crmsync.daemon.public.server import LONGEST_BODY, LONGEST_HEADER, open_to_public
from crmsync.daemon.public.site import PublicSite
from crmsync.errors import StoreBusyError, UsageError
from crmsync.observe import configure_logs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOKEN = "a-genuine-token"  # noqa: S105  it opens nothing
SMUGGLED = (
    b"POST /unsubscribe/a-genuine-token HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def quiet() -> None:
    configure_logs(level="critical")


@dataclass(kw_only=True)
class Remembering:
    """Those inside, who remember what was asked of them."""

    company: str = "Tom & Sons <Ltd>"
    base_path: str = "/mail"
    unsubscribed: list[str] = field(default_factory=list)
    heard: list[tuple[str, str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    busy: bool = False

    def who(self, token: str) -> str | None:
        return "ann@acme.example" if token == TOKEN else None

    def unsubscribe(self, address: str) -> None:
        if self.busy:
            raise StoreBusyError("another process holds the ledger")
        self.unsubscribed.append(address)

    def hear(
        self, name: str, method: str, uri: str, headers: Mapping[str, str], body: bytes
    ) -> HTTPStatus:
        self.heard.append((name, method, uri, headers, body))
        return HTTPStatus.OK if name == "crm" else HTTPStatus.NOT_FOUND


@dataclass(kw_only=True)
class Site:
    inside: Remembering
    address: str

    def asks(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body or None, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    @contextmanager
    def socket(self) -> Iterator[socket.socket]:
        parts = urlsplit(self.address)
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as sock:
            yield sock


@pytest.fixture
def site() -> Iterator[Site]:
    inside = Remembering()
    with open_to_public(PublicSite(outside=inside), "127.0.0.1:0") as address:
        yield Site(inside=inside, address=address)


LINK = f"/unsubscribe/{TOKEN}"


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def has(self, tag: str, **attributes: str) -> bool:
        return any(name == tag and attributes.items() <= had.items() for name, had in self.tags)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(site: Site, method: str) -> None:
    for path in (LINK, f"/mail{LINK}", f"{LINK}?utm_source=scanner"):
        status, headers, body = site.asks(method, path)
        assert status == 200
        assert (body == "") == (method == "HEAD")
        assert int(headers["Content-Length"]) > 500
    assert site.inside.unsubscribed == []


def test_the_page_asks_with_one_button_that_posts_to_where_it_came_from(site: Site) -> None:
    _, headers, body = site.asks("GET", LINK)
    page = _Page(body)
    assert page.has("html", lang="en")
    assert page.has("main")
    assert page.has("title")
    assert page.has("button", type="submit")
    (form,) = [had for tag, had in page.tags if tag == "form"]
    assert form == {"method": "post"}
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "Tom & Sons <Ltd> will send you no more mails" in page.text
    assert "acme" not in body
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] is None


@pytest.mark.parametrize("body", [ONE_CLICK, b"", b"anything=else"])
def test_one_click_unsubscribes(site: Site, body: bytes) -> None:
    status, _, page = site.asks("POST", LINK, body, **FORM)
    assert status == 200
    assert "You are unsubscribed" in page
    assert site.inside.unsubscribed == ["ann@acme.example"]
    assert site.asks("POST", LINK, body, **FORM)[0] == 200


def test_one_click_as_multipart_or_in_chunks(site: Site) -> None:
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--'
    )
    kind = {"Content_Type": "multipart/form-data; boundary=x"}
    assert site.asks("POST", LINK, parts, **kind)[0] == 200
    with site.socket() as sock:
        head = f"POST {LINK} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        sock.sendall(head.encode() + b"1a\r\n" + ONE_CLICK + b"\r\n0\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
    assert len(site.inside.unsubscribed) == 2


@pytest.mark.parametrize(
    ("accepted", "language", "title"),
    [
        ("de-CH,de;q=0.9,en;q=0.8", "de", "Abmelden"),
        ("xx, fr;q=0.3, it;q=0.7", "it", "Annullare l’iscrizione"),
        ("es", "es", "Cancelar la suscripción"),
        ("fr-FR", "fr", "Se désabonner"),
        ("", "en", "Unsubscribe"),
        ("*;q=oops,,;;", "en", "Unsubscribe"),
        ("tlh;q=nan", "en", "Unsubscribe"),
    ],
)
def test_it_speaks_the_readers_language(
    site: Site, accepted: str, language: str, title: str
) -> None:
    _, _, body = site.asks("GET", LINK, Accept_Language=accepted)
    page = _Page(body)
    assert page.has("html", lang=language)
    assert f"<h1>{title}</h1>" in body
    assert "{company}" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/unsubscribe/another-token",
        "/unsubscribe/",
        "/unsubscribe",
        f"{LINK}/more",
        f"/unsubscribe/{TOKEN}%00",
        "/unsubscribe/%ff%fe",
        "/",
        "/metrics",
        "/healthz",
        "/../../etc/passwd",
        "/hooks",
        "/hooks/a/b",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_all_else_is_a_page_that_says_nothing(site: Site, method: str, path: str) -> None:
    status, _, body = site.asks(method, path, ONE_CLICK if method == "POST" else b"")
    assert status == 404
    if method != "HEAD":
        assert "There is nothing here" in body
        assert not _Page(body).has("form")
    assert site.inside.unsubscribed == []
    assert site.inside.heard == []


def test_other_methods_are_refused(site: Site) -> None:
    status, headers, _ = site.asks("DELETE", LINK)
    assert (status, headers["Allow"]) == (405, "GET, HEAD, POST")
    assert site.asks("GET", "/hooks/crm")[0] == 405
    assert site.inside.unsubscribed == []


def test_what_could_not_be_recorded_is_not_called_done(site: Site) -> None:
    site.inside.busy = True
    status, headers, body = site.asks("POST", LINK, ONE_CLICK, **FORM)
    assert (status, headers["Retry-After"]) == (503, "120")
    assert "try again" in body
    assert "unsubscribed" not in body
    assert _Page(body).has("button")


def test_a_hook_gets_what_arrived_as_it_arrived(site: Site) -> None:
    body = b'[{"a": "\xc3\xa9"}]'
    asked = site.asks("POST", "/mail/hooks/crm?x=%2F&y=a+b", body, X_Sig="s", Content_Type="a/b")
    assert asked[0] == 200
    ((name, method, uri, headers, got),) = site.inside.heard
    assert (name, method, uri, got) == ("crm", "POST", "/mail/hooks/crm?x=%2F&y=a+b", body)
    assert headers["x-sig"] == "s"
    assert headers["content-type"] == "a/b"
    assert site.asks("POST", "/hooks/other", b"")[0] == 404


def test_what_is_too_large_is_refused_before_anybody_is_asked(site: Site) -> None:
    for path in ("/hooks/crm", LINK):
        with site.socket() as sock:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {LONGEST_BODY + 1}\r\n\r\n"
            sock.sendall(head.encode())
            assert b" 413 " in sock.recv(100)
    with site.socket() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * LONGEST_HEADER + b"\r\n\r\n")
        assert b" 431 " in sock.recv(100)
    assert site.inside.heard == []
    assert site.inside.unsubscribed == []
    assert site.asks("GET", LINK)[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",  # somebody speaks TLS
        b"GET / HTTP/9\r\n\r\n",
        b"POST " + LINK.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        SMUGGLED,
        b"\r\n\r\n\r\n",
        b"GET " + LINK.encode() + b"\r\n\r\n",
    ],
)
def test_noise_harms_nobody(site: Site, sent: bytes) -> None:
    with site.socket() as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1000)
    assert site.asks("GET", LINK)[0] == 200


def test_slow_clients_keep_nobody_waiting(site: Site) -> None:
    """More of them than there are threads, each in the middle of a request."""
    parts = urlsplit(site.address)
    slow = [socket.create_connection((parts.hostname, parts.port)) for _ in range(60)]
    try:
        for number, sock in enumerate(slow):
            sock.sendall(
                b"POST /hooks/crm HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nx"
                if number % 2
                else b"GET /unsubscribe/"
            )
        begun = time.monotonic()
        assert site.asks("POST", LINK, ONE_CLICK, **FORM)[0] == 200
        assert time.monotonic() - begun < 10
        assert site.inside.heard == []
    finally:
        for sock in slow:
            sock.close()


def test_many_at_once(site: Site) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = [*pool.map(lambda _: site.asks("POST", LINK, ONE_CLICK, **FORM)[0], range(200))]
    assert answers == [200] * 200


def test_it_ends_with_open_connections_and_frees_the_port() -> None:
    with open_to_public(PublicSite(outside=Remembering()), "127.0.0.1:0") as address:
        parts = urlsplit(address)
        idle = socket.create_connection((parts.hostname, parts.port))
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    idle.close()
    with open_to_public(PublicSite(outside=Remembering()), f"127.0.0.1:{parts.port}") as again:
        assert Site(inside=Remembering(), address=again).asks("GET", LINK)[0] == 200
        with (
            pytest.raises(UsageError, match="nobody can listen at"),
            open_to_public(PublicSite(outside=Remembering()), f"127.0.0.1:{parts.port}"),
        ):
            pass
