"""Providers of mail as their documentation has them, each under the laws."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import httpx
from sending_under_test import ADDRESS, NO_RECORDS, effect_of, mail, opened, spec_of

from crmsync.model.actions import ActionKind, SendEmail
from crmsync.testing.remote import Effect, Failure, RemoteUnderTest
from crmsync.testing.samples import START

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import respx

    from crmsync.plugins.contract import Connector

SECRET = "provider-secret-5d27"  # noqa: S105  of nobody
HOUR = timedelta(hours=1)


class ProviderUnderTest(RemoteUnderTest):
    """What all of them have in common: one address takes mail, another answers a question."""

    stream, key, text = "none", "none", "none"
    secret = SECRET
    absent = NO_RECORDS
    retry_after = timedelta(seconds=30)
    quota_until = START + HOUR
    name: str
    own: ClassVar[dict[str, Any]] = {}

    def __init__(self, folder: Path, router: respx.MockRouter) -> None:
        self.folder, self.router = folder, router
        self.taken: list[Effect] = []
        self.requests: list[httpx.Request] = []
        self.failure: Callable[[httpx.Request], httpx.Response] | None = None
        # Addresses on the provider's own lists, by the list; and what it answers who may not ask.
        self.suppressed: dict[str, str] = {}
        self.asked: list[httpx.Request] = []
        self.lists_fail: httpx.Response | None = None
        (folder / "secret").write_text(SECRET)
        self.spec = spec_of(self.name)
        self.routes()

    def routes(self) -> None:
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        secret = f"file:{self.folder / 'secret'}"
        own = {name: secret if value == "SECRET" else value for name, value in self.own.items()}
        return {"address": ADDRESS} | own

    def connect(self) -> Connector:
        return opened(self.spec, self.folder, self.options())

    def effects(self) -> Sequence[Effect]:
        return self.taken

    def meets(self, request: httpx.Request) -> httpx.Response | None:
        self.requests.append(request)
        failure, self.failure = self.failure, None
        return None if failure is None else failure(request)

    def fail_next(self, failure: Failure) -> None:
        match failure:
            case Failure.AUTH:
                self.failure = lambda _: self.refused_login()
            case Failure.TRANSIENT:
                self.failure = lambda _: httpx.Response(429, headers={"Retry-After": "30"})
            case Failure.QUOTA:
                self.failure = lambda _: self.used_up()
            case _:
                self.failure = self.lose_answer

    def lose_answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.take(request)
        raise httpx.ReadTimeout(f"no answer to a request with {SECRET}")

    def refused_login(self) -> httpx.Response:
        # It quotes what it was given, as some do.
        return httpx.Response(401, json={"message": f"bad key {SECRET}"})

    def used_up(self) -> httpx.Response:
        raise NotImplementedError

    def take(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError

    def takes(self, request: httpx.Request) -> httpx.Response:
        return self.meets(request) or self.take(request)

    def listing(
        self, name: str | None, found: Callable[[str], Any], nothing: httpx.Response
    ) -> Callable[[httpx.Request], httpx.Response]:
        """A list of the provider's, or its only one, asked for the address that ends the path."""

        def answer(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            if self.lists_fail is not None:
                return self.lists_fail
            address = unquote(request.url.raw_path.decode().rpartition("/")[2])
            there = address in self.suppressed and name in {None, self.suppressed[address]}
            return httpx.Response(200, json=found(address)) if there else nothing

        return answer

    def answers(self, body: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
        return lambda request: self.meets(request) or httpx.Response(200, json=body)

    def refused_action(self, key: str) -> SendEmail:
        return mail(key, recipient="refused@example.com")


class PostmarkUnderTest(ProviderUnderTest):
    name = "postmark"
    own: ClassVar[dict[str, Any]] = {"token": "SECRET"}

    def routes(self) -> None:
        base = "https://api.postmarkapp.com"
        self.ids: dict[str, str] = {}
        self.router.post(f"{base}/email").mock(side_effect=self.takes)
        self.router.get(f"{base}/message-streams/outbound").mock(
            side_effect=self.answers({"ID": "outbound", "ArchivedAt": None})
        )
        self.router.get(f"{base}/messages/outbound").mock(side_effect=self.search)

    def take(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["X-Postmark-Server-Token"] == SECRET
        body = json.loads(request.content)
        if "refused@" in body["To"]:
            words = "You tried to send to a recipient that has been marked as inactive."
            return httpx.Response(422, json={"ErrorCode": 406, "Message": words})
        texts = {"subject": body["Subject"], "text": body["TextBody"]}
        if "HtmlBody" in body:
            texts["html"] = body["HtmlBody"]
        key = body["Metadata"]["crmsync-key"]
        self.ids[key] = f"0a129aee-{len(self.taken)}"
        headers = {one["Name"]: one["Value"] for one in body["Headers"]}
        self.taken.append(Effect(key=key, kind=ActionKind.EMAIL, texts=texts, headers=headers))
        answer = {"ErrorCode": 0, "Message": "OK", "MessageID": self.ids[key]}
        return httpx.Response(200, json=answer)

    def search(self, request: httpx.Request) -> httpx.Response:
        failed = self.meets(request)
        if failed is not None:
            return failed
        key = request.url.params["metadata_crmsync-key"]
        found = [
            {"MessageID": self.ids[one], "Metadata": {"crmsync-key": one}}
            for one in self.ids
            if one.startswith(key)  # as a search that is not exact would
        ]
        return httpx.Response(200, json={"TotalCount": len(found), "Messages": found})

    def refused_login(self) -> httpx.Response:
        return httpx.Response(401, json={"ErrorCode": 10, "Message": "Bad or missing API token."})

    def used_up(self) -> httpx.Response:
        return httpx.Response(422, json={"ErrorCode": 405, "Message": "Not allowed to send."})


class SendgridUnderTest(ProviderUnderTest):
    name = "sendgrid"
    own: ClassVar[dict[str, Any]] = {"api_key": "SECRET"}

    def routes(self) -> None:
        base = "https://api.sendgrid.com/v3"
        self.router.post(f"{base}/mail/send").mock(side_effect=self.takes)
        self.router.get(f"{base}/scopes").mock(side_effect=self.answers({"scopes": ["mail.send"]}))
        # api-reference: bounces-api, spam-reports-api, invalid-e-mails-api.
        for name in ("bounces", "spam_reports", "invalid_emails"):
            self.router.get(url__startswith=f"{base}/suppression/{name}/").mock(
                side_effect=self.listing(name, self.listed, httpx.Response(200, json=[]))
            )
        # suppressions-suppressions, “Retrieve a Global Suppression”.
        self.router.get(url__startswith=f"{base}/asm/suppressions/global/").mock(
            side_effect=self.listing(
                "global", lambda one: {"recipient_email": one}, httpx.Response(200, json={})
            )
        )

    @staticmethod
    def listed(address: str) -> list[dict[str, Any]]:
        words = "550 5.1.1 The email account that you tried to reach does not exist."
        return [{"created": 1443651125, "email": address, "reason": words, "status": "5.1.1"}]

    def take(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        body = json.loads(request.content)
        (person,) = body["personalizations"]
        if person["to"][0]["email"].startswith("refused@"):
            words = "Does not contain a valid address."
            return httpx.Response(400, json={"errors": [{"message": words, "field": "to"}]})
        names = {"text/plain": "text", "text/html": "html"}
        texts = {names[one["type"]]: one["value"] for one in body["content"]}
        texts["subject"] = body["subject"]
        key = person["custom_args"]["crmsync_key"]
        self.taken.append(
            Effect(key=key, kind=ActionKind.EMAIL, texts=texts, headers=body["headers"])
        )
        return httpx.Response(202, headers={"X-Message-Id": f"msg{len(self.taken)}"})

    def refused_login(self) -> httpx.Response:
        words = "The provided authorization grant is invalid, expired, or revoked"
        return httpx.Response(401, json={"errors": [{"message": words}]})

    def used_up(self) -> httpx.Response:
        return httpx.Response(401, json={"errors": [{"message": "Maximum credits exceeded"}]})


class MailgunUnderTest(ProviderUnderTest):
    name = "mailgun"
    own: ClassVar[dict[str, Any]] = {"api_key": "SECRET", "domain": "mg.example.com"}
    absent = NO_RECORDS | {Failure.QUOTA: "Mailgun names no allowance that is used up"}

    def routes(self) -> None:
        base = "https://api.mailgun.net/v3"
        self.router.post(f"{base}/mg.example.com/messages.mime").mock(side_effect=self.takes)
        self.router.get(f"{base}/domains/mg.example.com").mock(
            side_effect=self.answers({"domain": {"state": "active"}})
        )
        # “Lookup bounce record”, “Lookup unsubscribe record”, “Lookup complaint record”.
        for name in ("bounces", "unsubscribes", "complaints"):
            nothing = httpx.Response(404, json={"message": f"Address not found in {name} table"})
            self.router.get(url__startswith=f"{base}/mg.example.com/{name}/").mock(
                side_effect=self.listing(name, self.listed, nothing)
            )

    @staticmethod
    def listed(address: str) -> dict[str, str]:
        at = "Fri, 21 Oct 2011 11:02:55 GMT"
        return {"address": address, "code": "550", "error": "No such mailbox", "created_at": at}

    def take(self, request: httpx.Request) -> httpx.Response:
        given = base64.b64encode(f"api:{SECRET}".encode()).decode()
        assert request.headers["Authorization"] == f"Basic {given}"
        form = _form(request)
        if form["to"].startswith(b"refused@"):
            return httpx.Response(400, json={"message": "'to' parameter is not a valid address."})
        message = message_from_bytes(form["message"], policy=default)
        assert isinstance(message, EmailMessage)
        assert form["o:tracking"] == b"no"
        self.taken.append(effect_of(message))
        answer = {"id": message["Message-ID"], "message": "Queued. Thank you."}
        return httpx.Response(200, json=answer)

    def refused_login(self) -> httpx.Response:
        return httpx.Response(401, text="Forbidden")


class SesUnderTest(ProviderUnderTest):
    name = "ses"
    own: ClassVar[dict[str, Any]] = {
        "region": "eu-central-1",
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": "SECRET",
        "configuration_set": "crm",
    }

    def routes(self) -> None:
        base = "https://email.eu-central-1.amazonaws.com/v2/email"
        self.router.post(f"{base}/outbound-emails").mock(side_effect=self.takes)
        self.router.get(f"{base}/account").mock(
            side_effect=self.answers({"SendingEnabled": True, "ProductionAccessEnabled": True})
        )
        # API_GetSuppressedDestination.
        nothing = self.refusal(404, "NotFoundException", "is not there")
        self.router.get(url__startswith=f"{base}/suppression/addresses/").mock(
            side_effect=self.listing(None, self.listed, nothing)
        )

    def listed(self, address: str) -> dict[str, Any]:
        reason = self.suppressed[address]
        found = {"EmailAddress": address, "LastUpdateTime": 1.6e9, "Reason": reason}
        return {"SuppressedDestination": found}

    def take(self, request: httpx.Request) -> httpx.Response:
        assert "Credential=AKIDEXAMPLE/" in request.headers["Authorization"]
        body = json.loads(request.content)
        if body["Destination"]["ToAddresses"] == ["refused@example.com"]:
            return self.refusal(400, "MessageRejected", "Email address is not verified.")
        raw = base64.b64decode(body["Content"]["Raw"]["Data"])
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        assert body["ConfigurationSetName"] == "crm"
        self.taken.append(effect_of(message))
        return httpx.Response(200, json={"MessageId": f"0102-{len(self.taken)}-000000"})

    def refusal(self, status: int, kind: str, words: str) -> httpx.Response:
        headers = {"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/"}
        return httpx.Response(status, headers=headers, json={"message": words})

    def refused_login(self) -> httpx.Response:
        return self.refusal(403, "InvalidSignatureException", "The signature does not match.")

    def used_up(self) -> httpx.Response:
        return self.refusal(429, "TooManyRequestsException", "Daily message quota exceeded.")


def _form(request: httpx.Request) -> dict[str, bytes]:
    """A multipart form, taken apart by its boundary (RFC 7578)."""
    boundary = request.headers["Content-Type"].partition("boundary=")[2].encode()
    found = {}
    for part in request.content.split(b"--" + boundary)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb' name="([^"]+)"', head)
        assert name is not None
        found[name[1].decode()] = value.removesuffix(b"\r\n")
    return found
