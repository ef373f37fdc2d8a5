"""Providers drop mail to addresses on lists of their own, and say that they have taken it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from providers_under_test import (
    MailgunUnderTest,
    ProviderUnderTest,
    SendgridUnderTest,
    SesUnderTest,
)
from sending_under_test import mail

from crmsync.errors import ConnectorError, NobodyThereError, RejectedError, TransientError
from crmsync.model.actions import Receipt
from crmsync_email.sending.providers.signature import AwsKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BO = "bo@customer.example"
_LISTS = [
    (SendgridUnderTest, "bounces", "mail to it has bounced: 550 5.1.1 The email account"),
    (SendgridUnderTest, "spam_reports", "somebody there called a mail spam"),
    (SendgridUnderTest, "invalid_emails", "it is no valid address"),
    (SendgridUnderTest, "global", "somebody there has unsubscribed"),
    (MailgunUnderTest, "bounces", "mail to it has bounced: No such mailbox"),
    (MailgunUnderTest, "unsubscribes", "somebody there has unsubscribed"),
    (MailgunUnderTest, "complaints", "somebody there called a mail spam"),
    (SesUnderTest, "BOUNCE", "mail to it has bounced"),
    (SesUnderTest, "COMPLAINT", "somebody there called a mail spam"),
]
_FORBIDDEN = [
    (SendgridUnderTest, httpx.Response(403, json={"errors": [{"message": "access forbidden"}]})),
    (MailgunUnderTest, httpx.Response(401, text="Forbidden")),
    (
        SesUnderTest,
        httpx.Response(
            403,
            headers={"x-amzn-ErrorType": "AccessDeniedException"},
            json={"message": "not authorized to perform: ses:GetSuppressedDestination"},
        ),
    ),
]


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


def _applied(provider: ProviderUnderTest, *keys: str, **more: Any) -> list[Any]:
    connector = provider.connect()
    answers = connector.apply([mail(key, **more) for key in keys])  # type: ignore[attr-defined]  # all of them write
    connector.close()
    return list(answers)


@pytest.mark.parametrize(("kind", "name", "words"), _LISTS, ids=lambda one: str(one)[-28:])
def test_what_would_be_dropped_is_not_handed_over_but_told(
    kind: type[ProviderUnderTest], name: str, words: str, tmp_path: Path, router: respx.MockRouter
) -> None:
    provider = kind(tmp_path, router)
    provider.suppressed[_BO] = name
    (told,) = _applied(provider, "key-1")
    assert isinstance(told, NobodyThereError)
    assert _BO in str(told)
    assert words in str(told)
    assert provider.taken == []


@pytest.mark.parametrize("kind", [SendgridUnderTest, MailgunUnderTest, SesUnderTest])
def test_who_is_on_no_list_gets_their_mail(
    kind: type[ProviderUnderTest], tmp_path: Path, router: respx.MockRouter
) -> None:
    provider = kind(tmp_path, router)
    provider.suppressed["other@customer.example"] = "bounces"
    (told,) = _applied(provider, "key-1")
    assert isinstance(told, Receipt)
    assert provider.asked
    assert all(_BO.replace("@", "%40") in str(request.url) for request in provider.asked)


@pytest.mark.parametrize(("kind", "answer"), _FORBIDDEN, ids=["sendgrid", "mailgun", "ses"])
def test_a_key_that_may_only_send_sends_and_check_says_what_that_hides(
    kind: type[ProviderUnderTest],
    answer: httpx.Response,
    tmp_path: Path,
    router: respx.MockRouter,
) -> None:
    provider = kind(tmp_path, router)
    provider.lists_fail = answer
    assert [type(one) for one in _applied(provider, "key-1", "key-2")] == [Receipt, Receipt]
    assert len(provider.asked) == 1, "it is not asked again for each mail"
    connector = provider.connect()
    (finding,) = connector.check()
    connector.close()
    assert not finding.fatal
    assert "counts as sent" in finding.sentence


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("kind", [SendgridUnderTest, MailgunUnderTest, SesUnderTest])
def test_while_nobody_can_tell_nothing_is_sent(
    kind: type[ProviderUnderTest], status: int, tmp_path: Path, router: respx.MockRouter
) -> None:
    provider = kind(tmp_path, router)
    provider.lists_fail = httpx.Response(status, text="oops")
    (told,) = _applied(provider, "key-1")
    assert type(told) is TransientError
    assert provider.taken == []


@pytest.mark.parametrize("answer", ["<html>", "[[]]", "3", "null"])
@pytest.mark.parametrize("kind", [SendgridUnderTest, MailgunUnderTest, SesUnderTest])
def test_an_answer_that_nobody_can_read_is_no_list(
    kind: type[ProviderUnderTest], answer: str, tmp_path: Path, router: respx.MockRouter
) -> None:
    provider = kind(tmp_path, router)
    provider.lists_fail = httpx.Response(200, text=answer)
    (told,) = _applied(provider, "key-1")
    assert isinstance(told, Receipt | ConnectorError)
    assert not isinstance(told, NobodyThereError)


def test_an_address_in_a_path_is_signed_as_amazon_wants_it() -> None:
    """Encoded twice, “Create a signed AWS API request”, step 1; all services but S3 do so."""
    url = "https://email.eu-central-1.amazonaws.com/v2/email/suppression/addresses/bo%40c.example"
    secret, region = "s-1", "eu-central-1"
    key = AwsKey(key_id="AKID", secret=secret, session_token=None, region=region, service="ses")
    request = httpx.Request("GET", url)
    signed = key.sign(request, datetime(2026, 3, 2, 9, tzinfo=UTC)).headers["Authorization"]
    canonical = (
        "GET\n/v2/email/suppression/addresses/bo%2540c.example\n\n"
        "host:email.eu-central-1.amazonaws.com\nx-amz-date:20260302T090000Z\n\n"
        f"host;x-amz-date\n{hashlib.sha256().hexdigest()}"
    )
    scope = "20260302/eu-central-1/ses/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    derived = b"AWS4s-1"
    for part in scope.split("/"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n20260302T090000Z\n{scope}\n{digest}"
    assert signed.endswith(f"Signature={hmac.digest(derived, text.encode(), 'sha256').hex()}")


def test_where_mail_is_redirected_it_is_the_tester_who_is_on_the_list(
    tmp_path: Path, router: respx.MockRouter
) -> None:
    provider = SesUnderTest(tmp_path, router)
    provider.own = provider.own | {"redirect_to": "me@example.com"}  # type: ignore[misc]  # of this one alone
    provider.suppressed["me@example.com"] = "BOUNCE"
    (told,) = _applied(provider, "key-1")
    assert type(told) is RejectedError
