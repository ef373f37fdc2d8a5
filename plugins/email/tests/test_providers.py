"""What each provider is asked, and what is said of its answers, by its documentation."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from providers_under_test import (
    SECRET,
    MailgunUnderTest,
    PostmarkUnderTest,
    ProviderUnderTest,
    SendgridUnderTest,
    SesUnderTest,
)
from pydantic import ValidationError
from sending_under_test import ADDRESS, mail

from crmsync.errors import (
    AuthError,
    ConnectorError,
    NobodyThereError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.model.actions import Receipt
from crmsync.testing.samples import START
from crmsync_email.addresses import mailbox_of
from crmsync_email.options import MailgunOptions, PostmarkOptions
from crmsync_email.sending.providers.names import quoted
from crmsync_email.sending.providers.signature import AwsKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = [PostmarkUnderTest, SendgridUnderTest, MailgunUnderTest, SesUnderTest]


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


@pytest.fixture(params=ALL, ids=lambda kind: kind.name)
def provider(
    request: pytest.FixtureRequest, tmp_path: Path, router: respx.MockRouter
) -> ProviderUnderTest:
    made = request.param(tmp_path, router)
    assert isinstance(made, ProviderUnderTest)
    return made


def answer(provider: ProviderUnderTest, **changes: Any) -> Receipt | ConnectorError:
    connector = provider.connect()
    (one,) = connector.apply([mail(**changes)])  # type: ignore[attr-defined]  # all of them write
    connector.close()
    return one  # type: ignore[no-any-return]  # likewise


def body(provider: ProviderUnderTest, **changes: Any) -> dict[str, Any]:
    """The JSON by which a mail was handed over."""
    assert isinstance(answer(provider, **changes), Receipt)
    told = json.loads(provider.requests[-1].content)
    assert isinstance(told, dict)
    return told


def answered(provider: ProviderUnderTest, response: httpx.Response) -> Receipt | ConnectorError:
    provider.failure = lambda _: response
    return answer(provider)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failure_at_the_provider_is_uncertain(provider: ProviderUnderTest, status: int) -> None:
    """Mailgun, for one, was seen to answer 5xx and to send."""
    told = answered(provider, httpx.Response(status, text="oops"))
    assert isinstance(told, UncertainError)
    assert str(status) in str(told)


def test_a_success_that_says_nothing_is_uncertain(provider: ProviderUnderTest) -> None:
    assert isinstance(answered(provider, httpx.Response(200, text="<html>")), UncertainError)


def test_another_address_is_not_followed(provider: ProviderUnderTest) -> None:
    moved = httpx.Response(302, headers={"Location": "https://evil.example/"})
    assert isinstance(answered(provider, moved), AuthError)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("refused"), TransientError),
        (httpx.ConnectTimeout("slow"), TransientError),
        (httpx.ConnectError("CERTIFICATE_VERIFY_FAILED"), AuthError),
        (httpx.ReadTimeout("slow"), UncertainError),
        (httpx.WriteError("cut"), UncertainError),
        (httpx.RemoteProtocolError("cut"), UncertainError),
    ],
    ids=repr,
)
def test_what_breaks_is_named_by_what_may_have_happened(
    provider: ProviderUnderTest, error: Exception, kind: type[ConnectorError]
) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise error

    provider.failure = broken
    told = answer(provider)
    assert type(told) is kind
    assert told.__cause__ is None


def test_a_batch_ends_with_what_concerns_all_of_it(provider: ProviderUnderTest) -> None:
    provider.failure = lambda _: provider.refused_login()
    connector = provider.connect()
    answers = connector.apply([mail("key-1"), mail("key-2")])  # type: ignore[attr-defined]  # likewise
    connector.close()
    assert [type(one) for one in answers] == [AuthError, AuthError]
    assert len(provider.requests) == 1
    assert SECRET not in str(answers[0])


def test_sound_credentials_give_check_nothing_to_say(provider: ProviderUnderTest) -> None:
    connector = provider.connect()
    assert list(connector.check()) == []
    provider.failure = lambda _: provider.refused_login()
    (finding,) = connector.check()
    assert finding.fatal
    connector.close()


DOUBTS: list[tuple[type[ProviderUnderTest], dict[str, Any], str]] = [
    (PostmarkUnderTest, {"ArchivedAt": "2026-01-01T00:00:00Z"}, "is archived"),
    (SendgridUnderTest, {"scopes": ["stats.read"]}, "lacks the permission"),
    (MailgunUnderTest, {"domain": {"state": "unverified"}}, "unverified"),
    (SesUnderTest, {"ProductionAccessEnabled": False}, "sandbox"),
    (SesUnderTest, {"SendingEnabled": False}, "paused"),
]


@pytest.mark.parametrize(("kind", "told", "words"), DOUBTS, ids=lambda one: str(one)[:40])
def test_check_says_what_an_administrator_should_know(
    kind: type[ProviderUnderTest],
    told: dict[str, Any],
    words: str,
    tmp_path: Path,
    router: respx.MockRouter,
) -> None:
    provider = kind(tmp_path, router)
    provider.failure = lambda _: httpx.Response(200, json=told)
    connector = provider.connect()
    (finding,) = connector.check()
    connector.close()
    assert not finding.fatal
    assert words in finding.sentence


def test_postmark_keeps_the_message_id_and_tracks_nobody(
    tmp_path: Path, router: respx.MockRouter
) -> None:
    told = body(
        PostmarkUnderTest(tmp_path, router),
        sender="Schäfer, Ada <ada@elsewhere.example>".replace("Schäfer, Ada", '"Schäfer, Ada"'),
        html="<p>Hello</p>",
        headers={"List-Unsubscribe": "<https://example.com/u>"},
    )
    assert told == {
        "From": '"Schäfer, Ada" <hello@example.com>',
        "ReplyTo": '"Schäfer, Ada" <ada@elsewhere.example>',
        "To": "Bo Recipient <bo@customer.example>",
        "Subject": "Before your renewal",
        "TextBody": "Hello Bo,\n\nit renews.\n",
        "HtmlBody": "<p>Hello</p>",
        "Headers": [
            {"Name": "Auto-Submitted", "Value": "auto-generated"},
            {"Name": "List-Unsubscribe", "Value": "<https://example.com/u>"},
            {"Name": "Message-ID", "Value": "<key-1@example.com>"},
            {"Name": "X-PM-KeepID", "Value": "true"},
        ],
        "MessageStream": "outbound",
        "Metadata": {"crmsync-key": "key-1"},
        "TrackOpens": False,
        "TrackLinks": "None",
    }


POSTMARK = [
    (401, 10, AuthError),
    (422, 300, RejectedError),
    (422, 400, TransientError),
    (422, 402, RejectedError),
    (402, 0, AuthError),
    (408, 0, UncertainError),
    (422, 405, QuotaError),
    (422, 406, NobodyThereError),
    (422, 412, AuthError),
    (413, 0, RejectedError),
    (429, 429, TransientError),
]


@pytest.mark.parametrize(("status", "code", "kind"), POSTMARK)
def test_postmark_s_codes(
    status: int,
    code: int,
    kind: type[ConnectorError],
    tmp_path: Path,
    router: respx.MockRouter,
) -> None:
    words = {"ErrorCode": code, "Message": "In Postmark's own words."}
    told = answered(PostmarkUnderTest(tmp_path, router), httpx.Response(status, json=words))
    assert type(told) is kind
    if kind in {AuthError, RejectedError, QuotaError}:
        assert "In Postmark's own words." in str(told)


def test_a_recipient_whom_postmark_calls_inactive_takes_no_mail(
    tmp_path: Path, router: respx.MockRouter
) -> None:
    """In the words of its documentation, for one recipient; so the address is held and told of."""
    words = (
        "You tried to send to recipient(s) that have been marked as inactive. Found inactive "
        "addresses: bo@customer.example. Inactive recipients are ones that have generated a hard "
        "bounce, a spam complaint, or a manual suppression."
    )
    refusal = httpx.Response(422, json={"ErrorCode": 406, "Message": words})
    told = answered(PostmarkUnderTest(tmp_path, router), refusal)
    assert isinstance(told, NobodyThereError)
    assert "bo@customer.example" in str(told)
    assert "spam complaint" in str(told)


def test_postmark_s_search_is_held_to_equality(tmp_path: Path, router: respx.MockRouter) -> None:
    provider = PostmarkUnderTest(tmp_path, router)
    answer(provider, key="rule-10")
    connector = provider.connect()
    assert connector.find(["rule-1"]) == {}  # type: ignore[attr-defined]  # likewise
    assert set(connector.find(["rule-10"])) == {"rule-10"}  # type: ignore[attr-defined]  # likewise
    assert provider.requests[-1].url.params["messagestream"] == "outbound"
    provider.failure = lambda _: httpx.Response(200, json={"Messages": [{}]})
    with pytest.raises(TransientError, match="cannot be read"):
        connector.find(["rule-10"])  # type: ignore[attr-defined]  # likewise
    connector.close()


def test_sendgrid_takes_both_parts_and_tracks_nobody(
    tmp_path: Path, router: respx.MockRouter
) -> None:
    told = body(
        SendgridUnderTest(tmp_path, router),
        recipient='"Bo; Recipient" <bo@customer.example>',
        html="<p>Hello</p>",
    )
    assert told["personalizations"] == [
        {
            "to": [{"email": "bo@customer.example", "name": '"Bo; Recipient"'}],
            "custom_args": {"crmsync_key": "key-1"},
        }
    ]
    assert [one["type"] for one in told["content"]] == ["text/plain", "text/html"]
    assert told["headers"]["Message-ID"] == "<key-1@example.com>"
    assert told["tracking_settings"]["open_tracking"] == {"enable": False}
    assert "reply_to" not in told


SENDGRID = [
    (400, "Does not contain a valid address.", RejectedError),
    (401, "The provided authorization grant is invalid", AuthError),
    (401, "Maximum credits exceeded", QuotaError),
    (403, "The from address does not match a verified Sender Identity.", AuthError),
    (413, "Payload too large", RejectedError),
    (429, "too many requests", TransientError),
]


@pytest.mark.parametrize(("status", "words", "kind"), SENDGRID)
def test_sendgrid_s_statuses(
    status: int,
    words: str,
    kind: type[ConnectorError],
    tmp_path: Path,
    router: respx.MockRouter,
) -> None:
    provider = SendgridUnderTest(tmp_path, router)
    told = answered(provider, httpx.Response(status, json={"errors": [{"message": words}]}))
    assert type(told) is kind


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_limit_that_ends_at_an_instant(
    unit: int, tmp_path: Path, router: respx.MockRouter
) -> None:
    """SendGrid tells it in seconds since 1970, Mailgun in milliseconds."""
    reset = str(int((START + timedelta(seconds=40)).timestamp() * unit))
    limit = httpx.Response(429, headers={"X-RateLimit-Reset": reset})
    told = answered(SendgridUnderTest(tmp_path, router), limit)
    assert isinstance(told, TransientError)
    assert told.retry_after == timedelta(seconds=40)


MAILGUN = [
    (400, RejectedError),
    (401, AuthError),
    (402, AuthError),
    (403, AuthError),
    (404, AuthError),
    (408, UncertainError),
    (413, RejectedError),
    (429, TransientError),
]


@pytest.mark.parametrize(("status", "kind"), MAILGUN)
def test_mailgun_s_statuses(
    status: int, kind: type[ConnectorError], tmp_path: Path, router: respx.MockRouter
) -> None:
    provider = MailgunUnderTest(tmp_path, router)
    told = answered(provider, httpx.Response(status, json={"message": "In its own words."}))
    assert type(told) is kind


def test_a_domain_of_mailgun_that_may_not_send_kills_no_mail(
    tmp_path: Path, router: respx.MockRouter
) -> None:
    words = "Domain mg.example.com is not allowed to send: recipient limit exceeded"
    refusal = httpx.Response(400, json={"message": words})
    told = answered(MailgunUnderTest(tmp_path, router), refusal)
    assert type(told) is AuthError
    assert words in str(told)


def test_mailgun_names_the_mail_by_its_message_id(tmp_path: Path, router: respx.MockRouter) -> None:
    told = answer(MailgunUnderTest(tmp_path, router))
    assert isinstance(told, Receipt)
    assert told.remote_id == "key-1@example.com"


SES = [
    (400, "MessageRejected", "Email address is not verified.", RejectedError),
    (400, "BadRequestException", "Missing final '@domain'", RejectedError),
    (400, "MailFromDomainNotVerifiedException", "not verified", RejectedError),
    (400, "AccountSuspendedException", "suspended", AuthError),
    (400, "SendingPausedException", "paused", AuthError),
    (403, "AccessDeniedException", "not authorized to perform ses:SendEmail", AuthError),
    (403, "ExpiredTokenException", "The security token is expired", AuthError),
    (429, "TooManyRequestsException", "Maximum sending rate exceeded.", TransientError),
    (429, "TooManyRequestsException", "Daily message quota exceeded.", QuotaError),
    (400, "ThrottlingException", "Rate exceeded", TransientError),
]


@pytest.mark.parametrize("case", SES, ids=lambda case: f"{case[1]}-{case[2]}")
def test_the_errors_of_ses(
    case: tuple[int, str, str, type[ConnectorError]], tmp_path: Path, router: respx.MockRouter
) -> None:
    status, error, words, kind = case
    provider = SesUnderTest(tmp_path, router)
    told = answered(provider, provider.refusal(status, error, words))
    assert type(told) is kind


def test_a_request_is_signed_as_amazon_s_example_is() -> None:
    """docs.aws.amazon.com, “Signature Version 4 signing process”, the example of IAM."""
    request = httpx.Request(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    )
    key = AwsKey(
        key_id="AKIDEXAMPLE",
        secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",  # noqa: S106  Amazon's example
        session_token=None,
        region="us-east-1",
        service="iam",
    )
    signed = key.sign(request, datetime(2015, 8, 30, 12, 36, tzinfo=UTC))
    assert signed.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    assert "wJalr" not in repr(key)


def test_a_session_s_token_is_signed_too(tmp_path: Path, router: respx.MockRouter) -> None:
    provider = SesUnderTest(tmp_path, router)
    (tmp_path / "session").write_text("session-token-77")
    provider.own = provider.own | {"session_token": f"file:{tmp_path / 'session'}"}  # type: ignore[misc]  # of this one alone
    assert isinstance(answer(provider), Receipt)
    headers = provider.requests[-1].headers
    assert headers["x-amz-security-token"] == "session-token-77"
    assert "x-amz-security-token" in headers["Authorization"]


def test_mail_is_redirected_here_too(tmp_path: Path, router: respx.MockRouter) -> None:
    provider = MailgunUnderTest(tmp_path, router)
    provider.own = provider.own | {"redirect_to": "ops@example.com"}  # type: ignore[misc]  # of this one alone
    assert isinstance(answer(provider), Receipt)
    assert b"bo@customer.example" not in provider.requests[-1].content.split(b"message.eml")[0]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Bo", "Bo <bo@example.com>"),
        ("Bo, Jr.", '"Bo, Jr." <bo@example.com>'),
        ('Bo "x" \\', '"Bo \\"x\\" \\\\" <bo@example.com>'),
        ("王小明", "王小明 <bo@example.com>"),
        ("", "bo@example.com"),
    ],
)
def test_names_are_quoted_where_it_matters(name: str, written: str) -> None:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    assert quoted(mailbox_of(f'"{escaped}" <bo@example.com>')) == written


@pytest.mark.parametrize(
    "url", ["http://api.example.com", "api.example.com", "https://api.example.com/?key=1", ""]
)
def test_a_provider_is_spoken_to_over_tls(url: str) -> None:
    with pytest.raises(ValidationError, match="https://"):
        PostmarkOptions.model_validate({"address": ADDRESS, "token": "env:X", "url": url})


def test_a_domain_is_one() -> None:
    with pytest.raises(ValidationError, match="domain"):
        MailgunOptions.model_validate(
            {"address": ADDRESS, "api_key": "env:X", "domain": "../v3/other"}
        )
