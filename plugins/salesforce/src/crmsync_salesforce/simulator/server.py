"""Carries the simulated API over HTTPS on this machine, with a certificate of its own."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crmsync_salesforce.simulator.messages import Answer, CutError, Request

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync_salesforce.simulator.service import Service

_YEAR = timedelta(days=365)


class SimulatorServer:
    """A running simulator; it listens from its construction to `close`.

    Args:
        service: what answers.
        folder: where the certificate is written, as ``certificate.pem``.
        port: 0 takes a free one.
    """

    def __init__(self, service: Service, folder: Path, port: int = 0) -> None:
        self.service = service
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        _write_certificate(self.certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server = _Server(("127.0.0.1", port), _handler(service))
        self._server.tls = context
        self.port = self._server.server_address[1]
        self.address = service.address = f"https://localhost:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.service.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nobody's trouble."""

    def finish_request(self, request: object, client_address: object) -> None:
        """Speak TLS in the client's own thread, so that one that hangs holds up nobody."""
        with self.tls.wrap_socket(request, server_side=True) as secured:  # type: ignore[arg-type]  # a socket
            super().finish_request(secured, client_address)


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body go out at once; else the client's machine waits before it confirms the head.
        wbufsize = -1
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            try:
                answer = service.answer(_request(self, body))
            except CutError:
                self.close_connection = True
                return
            except Exception:  # noqa: BLE001  a mistake of the simulator's own is not to be hidden
                words = traceback.format_exc()
                service.mistakes.append(words)
                answer = Answer(
                    status=500, body=[{"errorCode": "UNKNOWN_EXCEPTION", "message": words}]
                )
            self._send(answer)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815  the base's names

        def _send(self, answer: Answer) -> None:
            headers = dict(answer.headers)
            body = answer.body
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
                headers.setdefault("Content-Type", "application/json;charset=UTF-8")
            if body and "gzip" in self.headers.get("Accept-Encoding", ""):
                body = gzip.compress(body, compresslevel=1)
                headers["Content-Encoding"] = "gzip"
            self.send_response(answer.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body or b"")
                self.wfile.flush()

        def date_time_string(self, timestamp: float | None = None) -> str:
            """The org's time, not this machine's."""
            del timestamp
            return format_datetime(service.org.clock.now().astimezone(UTC), usegmt=True)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
            """Say nothing."""

    return Handler


def _request(handler: BaseHTTPRequestHandler, body: bytes) -> Request:
    target = urlsplit(handler.path)
    parts = tuple(unquote(part) for part in target.path.split("/") if part)
    version = ""
    if parts[:2] == ("services", "data"):
        version = parts[2].removeprefix("v") if len(parts) > 2 else ""  # noqa: PLR2004  a place
        parts = parts[3:]
    elif parts[:1] == ("services",):
        parts = parts[1:]
    return Request(
        method=handler.command,
        target=handler.path,
        parts=parts,
        version=version,
        query=dict(parse_qsl(target.query, keep_blank_values=True)),
        headers={name.lower(): value for name, value in handler.headers.items()},
        body=body,
    )


def _write_certificate(certificate: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crmsync simulator")])
    now = datetime.now(UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _YEAR)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
