from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from crmsync.clock import FixedClock
from crmsync.config.yaml import parse_yaml
from crmsync.errors import AuthError, RejectedError, TransientError, UncertainError
from crmsync.model.actions import ActionKind, CustomAction, Receipt, RecordRef
from crmsync.plugins.contract import ConnectionContext
from crmsync.testing.laws import ConnectorLaws
from crmsync.testing.remote import Effect, Failure, Feature, RemoteUnderTest
from crmsync.testing.samples import START
from crmsync_webhook import crmsync_connectors
from crmsync_webhook.connector import WebhookConnector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.model.actions import Action
    from crmsync.plugins.contract import Connector

URL = "https://chat.example/hooks/T024-secret-path-91"
(SPEC,) = crmsync_connectors()


class ChatUnderTest(RemoteUnderTest):
    spec = SPEC
    stream, key, text = "none", "none", "none"
    secret = URL
    retry_after = timedelta(seconds=30)
    absent = {  # noqa: RUF012  as the base class has it
        Feature.READS: "a webhook only takes",
        Feature.PAGES: "a webhook only takes",
        Feature.DELETIONS: "it has no records",
        Feature.MERGES: "it has no records",
        Feature.UNREADABLE: "it has no records",
        Feature.LINKS: "it knows no records",
        Feature.DUE_DAYS: "it makes no tasks",
        Feature.COMPARES: "it updates nothing",
        Failure.QUOTA: "webhooks tell of no quota but by 429",
    }

    def __init__(self, folder: Path, router: respx.MockRouter) -> None:
        self.folder = folder
        self.taken: list[Effect] = []
        self.failure: Failure | None = None
        router.post(URL).mock(side_effect=self.take)
        (folder / "url").write_text(URL, encoding="utf-8")

    def connect(self, **options: Any) -> Connector:
        given = {"url": f"file:{self.folder / 'url'}", "body": "json"} | options
        return SPEC.open(
            ConnectionContext(
                name="chat",
                options=SPEC.options.model_validate(given, context={"folder": self.folder}),
                streams={},
                folder=self.folder,
                clock=FixedClock(instant=START),
            )
        )

    def take(self, request: httpx.Request) -> httpx.Response:
        failure, self.failure = self.failure, None
        if failure is Failure.AUTH:
            return httpx.Response(403, text=f"no service at {URL}")
        if failure is Failure.TRANSIENT:
            return httpx.Response(429, headers={"Retry-After": "30"})
        said = json.loads(request.content)
        if said["text"] == "refuse this":
            return httpx.Response(400, text="invalid_payload")
        assert request.headers["Idempotency-Key"] == said["key"]
        texts = {"text": said["text"]}
        self.taken.append(Effect(key=said["key"], kind=ActionKind.CUSTOM, texts=texts))
        if failure is Failure.UNCERTAIN:
            raise httpx.ReadTimeout(f"no answer from {URL}")
        return httpx.Response(200, text="ok")

    def fail_next(self, failure: Failure) -> None:
        self.failure = failure

    def effects(self) -> Sequence[Effect]:
        return self.taken

    def refused_action(self, key: str) -> Action:
        return notify(key, text="refuse this")


def notify(key: str = "k1", **texts: str) -> CustomAction:
    about = (RecordRef(table="account", id="A1"),)
    return CustomAction(key=key, name="notify", texts=texts or {"text": "hello"}, about=about)


class TestWebhook(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Iterator[RemoteUnderTest]:
        with respx.mock(assert_all_called=False) as router:
            yield ChatUnderTest(tmp_path, router)


@pytest.mark.parametrize(
    ("body", "posted"),
    [
        ("chat", {"text": "Acme\nrenews soon"}),
        (
            "json",
            {
                "key": "k1",
                "kind": "notify",
                "title": "Acme",
                "text": "renews soon",
                "about": [{"table": "account", "id": "A1"}],
            },
        ),
    ],
)
def test_what_is_posted(tmp_path: Path, body: str, posted: dict[str, Any]) -> None:
    with respx.mock() as router:
        chat = ChatUnderTest(tmp_path, router)
        route = router.post(URL).mock(return_value=httpx.Response(200))
        connector = chat.connect(body=body)
        assert isinstance(connector, WebhookConnector)
        answers = connector.apply([notify(title="Acme", text="renews soon")])
        assert answers == [Receipt(key="k1", remote_id="k1")]
        assert json.loads(route.calls[0].request.content) == posted


@pytest.mark.parametrize(
    ("answer", "error", "after"),
    [
        (httpx.Response(200), None, None),
        (httpx.Response(204), None, None),
        (httpx.Response(301, headers={"Location": "https://evil.example"}), RejectedError, None),
        (httpx.Response(400, text="no_text"), RejectedError, None),
        (httpx.Response(401), AuthError, None),
        (httpx.Response(404, text="no_team"), AuthError, None),
        (httpx.Response(410, text="channel_is_archived"), AuthError, None),
        (httpx.Response(429, headers={"Retry-After": "7"}), TransientError, 7),
        (
            httpx.Response(503, headers={"Retry-After": "Mon, 02 Mar 2026 09:01:00 GMT"}),
            TransientError,
            60,
        ),
        (httpx.Response(503, headers={"Retry-After": "soon"}), TransientError, None),
        (httpx.Response(500), UncertainError, None),
        (httpx.ConnectError("refused"), TransientError, None),
        (httpx.ConnectTimeout("slow"), TransientError, None),
        (httpx.ReadError("reset"), UncertainError, None),
        (httpx.RemoteProtocolError("nonsense"), UncertainError, None),
    ],
)
def test_what_the_answer_means(
    tmp_path: Path,
    answer: httpx.Response | Exception,
    error: type[Exception] | None,
    after: int | None,
) -> None:
    with respx.mock() as router:
        chat = ChatUnderTest(tmp_path, router)
        router.post(URL).mock(side_effect=[answer])
        connector = chat.connect()
        assert isinstance(connector, WebhookConnector)
        (outcome,) = connector.apply([notify()])
    assert type(outcome) is (error or Receipt)
    if isinstance(outcome, TransientError):
        assert outcome.retry_after == (None if after is None else timedelta(seconds=after))
    assert URL not in str(outcome)


@pytest.mark.parametrize(
    ("url", "sentences"),
    [
        (URL, []),
        ("http://localhost:8065/hooks/x", []),
        ("http://chat.example/hooks/x", [("anybody on the way can read along", False)]),
        ("chat.example/hooks/x", [("“url” refers to no address such as https://…", True)]),
        ("ftp://chat.example/", [("“url” refers to no address such as https://…", True)]),
        ("https://[::1", [("“url” refers to no address such as https://…", True)]),
    ],
)
def test_check_looks_at_the_address(
    tmp_path: Path, url: str, sentences: list[tuple[str, bool]]
) -> None:
    with respx.mock(assert_all_called=False) as router:
        chat = ChatUnderTest(tmp_path, router)
        (tmp_path / "url").write_text(url, encoding="utf-8")
        found = chat.connect().check()
    assert len(found) == len(sentences)
    for finding, (sentence, fatal) in zip(found, sentences, strict=True):
        assert sentence in finding.sentence
        assert finding.fatal is fatal


def test_the_readme_says_what_there_is() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    config, rule = (
        parse_yaml(block, "README.md").data
        for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    )
    connection = dict(config["connections"]["chat"])
    assert connection.pop("connector") == SPEC.name
    SPEC.options.model_validate(connection)
    (kind,) = SPEC.custom
    (step,) = rule["then"]
    assert {*kind.needed} <= step[kind.name].keys() <= kind.takes.keys()
    for key in (*kind.takes, *SPEC.options.model_fields, "by"):
        assert f"| `{key}` |" in text, key
