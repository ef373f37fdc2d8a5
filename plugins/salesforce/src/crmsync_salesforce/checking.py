"""Whether an org has what a connection needs, told in its administrator's words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crmsync.errors import AuthError
from crmsync.plugins.contract import Finding
from crmsync_salesforce.describing import no_field
from crmsync_salesforce.errors import RefusedError
from crmsync_salesforce.login import PASSWORD_RETIRED
from crmsync_salesforce.mails import MAIL, keeps_mail
from crmsync_salesforce.options import SalesforceStreamOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crmsync.plugins.contract import StreamRequest
    from crmsync_salesforce.client import SalesforceClient
    from crmsync_salesforce.describing import Descriptions

KEY_LENGTH = 255
_FEW_CALLS = 0.1


def findings(
    client: SalesforceClient, descriptions: Descriptions, streams: Mapping[str, StreamRequest]
) -> Iterator[Finding]:
    """What is missing.

    Raises:
        ConnectorError: the org cannot be asked.
    """
    if client.options.password is not None:
        yield Finding(
            sentence=f"logins by password end with Salesforce's {PASSWORD_RETIRED} release; use "
            "client credentials or a private key with an External Client App",
            fatal=False,
        )
    yield from _limits(client)
    yield from _activities(client, descriptions)
    yield from _mails(client, descriptions)
    for request in streams.values():
        yield from _stream(descriptions, request)


def _limits(client: SalesforceClient) -> Iterator[Finding]:
    try:
        daily: dict[str, Any] = client.call("GET", "limits").json().get("DailyApiRequests", {})
    except RefusedError:
        return  # who may not see them can still read and write
    allowed, left = int(daily.get("Max", 0)), int(daily.get("Remaining", 0))
    share = client.options.daily_share
    ours = left - round((1 - share) * allowed)
    if allowed and ours < _FEW_CALLS * allowed:
        yield Finding(
            sentence=f"the org has only {left:,} of its {allowed:,} calls in 24 hours left, and "
            f"with daily_share: {share:g} this connection rests after {max(ours, 0):,} more",
            fatal=False,
        )


def _activities(client: SalesforceClient, descriptions: Descriptions) -> Iterator[Finding]:
    try:
        task = descriptions.object("Task")
    except (RefusedError, AuthError):
        yield Finding(
            sentence="the API's user may not read tasks: give it a permission set with access to "
            "activities (“Access Activities”)"
        )
        return
    if not task.get("createable"):
        yield Finding(
            sentence="the API's user may not create tasks: give it a permission set with “Edit "
            "Tasks”"
        )
    yield from _key_field(client.options.key_field, descriptions, "Task", "tasks", "Activity")


def _mails(client: SalesforceClient, descriptions: Descriptions) -> Iterator[Finding]:
    """How mail would be logged; none of it keeps anything else from being done."""
    if not keeps_mail(descriptions):
        yield Finding(
            sentence="the org keeps mail of cases only, so a mail is logged as a completed task: "
            "to have it as an email message, turn on Enhanced Email (Setup, Email to Salesforce "
            "or Email-to-Case) and let the API's user create and read EmailMessage with its fields "
            "RelatedToId, ToIds and MessageIdentifier",
            fatal=False,
        )
        return
    for finding in _key_field(client.options.key_field, descriptions, MAIL, "logged mails", MAIL):
        yield replace(finding, fatal=False)


def _key_field(
    name: str | None, descriptions: Descriptions, described: str, told: str, owner: str
) -> Iterator[Finding]:
    if name is None:
        return
    one = descriptions.fields(described).get(name)
    if one is None:
        without = "“key_field: null” puts a mark into the text of tasks instead"
        if described == MAIL:
            without = "each mail gets a mark at the end of its text, and to find it costs calls"
        yield Finding(
            sentence=f"{told} have no field {name}, or it is hidden from the API's user: make it "
            f"under Setup, Object Manager, {owner}: Text(255), External ID, Unique, "
            "case-sensitive, and let the user edit it; “crmsync connections setup” can make it; "
            f"without it, {without}"
        )
        return
    wrong = []
    wrong += ["it is not unique"] * (not one["unique"])
    wrong += ["it is no External ID"] * (not one["externalId"])
    wrong += [f"it is shorter than {KEY_LENGTH}"] * (int(one["length"]) < KEY_LENGTH)
    wrong += ["the API's user may not edit it"] * (not one["createable"])
    if wrong:
        yield Finding(
            sentence=f"the field {name} of {told} cannot keep keys: {', and '.join(wrong)}"
        )


def _stream(descriptions: Descriptions, request: StreamRequest) -> Iterator[Finding]:
    assert isinstance(request.options, SalesforceStreamOptions)  # noqa: S101  the spec names that model
    name = request.options.object
    try:
        fields = descriptions.fields(name)
    except RefusedError as error:
        yield Finding(sentence=str(error), stream=request.name)
        return
    for column in (*request.key, *request.columns):
        if descriptions.type_of(name, column) is None:
            yield Finding(
                sentence=no_field(name, column, fields),
                stream=request.name,
                fatal=column not in request.options.optional,
            )
