"""Signs a request to Amazon Web Services (Signature Version 4)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, kw_only=True, repr=False)
class AwsKey:
    """An access key, and where it counts."""

    key_id: str
    secret: str
    session_token: str | None
    region: str
    service: str

    def sign(self, request: httpx.Request, now: datetime) -> httpx.Request:
        """The request with its signature; all headers that it has by now are signed."""
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        signed = {name: request.headers[name] for name in _SIGNED if name in request.headers}
        signed |= {"x-amz-date": stamp}
        if self.session_token is not None:
            signed["x-amz-security-token"] = self.session_token
        names = ";".join(sorted(signed))
        canonical = "\n".join(
            [
                request.method,
                # Encoded a second time, as all services but S3 want it.
                quote(request.url.raw_path.partition(b"?")[0], safe="/-_.~"),
                "&".join(
                    f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                    for name, value in sorted(request.url.params.multi_items())
                ),
                *(f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)),
                "",
                names,
                hashlib.sha256(request.content).hexdigest(),
            ]
        )
        scope = f"{day}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{self.secret}".encode()
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        request.headers.update({name: signed[name] for name in signed if name.startswith("x-")})
        request.headers["authorization"] = (
            f"{_ALGORITHM} Credential={self.key_id}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}"
        )
        return request


_SIGNED = ("content-type", "host")
