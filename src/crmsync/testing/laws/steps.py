"""What several laws do."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.errors import ConnectorError
from crmsync.model.actions import ActionKind, Receipt, UpdateFields
from crmsync.plugins.contract import Reads, Writes
from crmsync.testing.remote import SampleRecord
from crmsync.testing.replica import Replica
from crmsync.testing.samples import START, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crmsync.model.actions import Action
    from crmsync.model.pages import Cursor, Page
    from crmsync.plugins.contract import Connector
    from crmsync.testing.remote import Effect, Failure, Feature, RemoteUnderTest

RECORDS = 25
# The kinds of action that leave something.
MAKING = tuple(kind for kind in ActionKind if kind is not ActionKind.WITHDRAWAL)
_MOST_PAGES = 10_000


def need(remote: RemoteUnderTest, *parts: Feature | Failure) -> None:
    """Skip the law, with the declared reason, where the remote lacks something it is about."""
    for part in parts:
        if part in remote.absent:
            pytest.skip(f"declared absent, {part.value}: {remote.absent[part]}")


@contextmanager
def connected(remote: RemoteUnderTest) -> Iterator[Connector]:
    """A new connection for a while."""
    connector = remote.connect()
    try:
        yield connector
    finally:
        connector.close()


def reader(connector: Connector) -> Reads:
    """The reading side of a connector."""
    assert isinstance(connector, Reads), "the connector has no `describe` and `read`"
    return connector


def writer(connector: Connector) -> Writes:
    """The writing side of a connector."""
    assert isinstance(connector, Writes), "the connector has no `apply` and `find`"
    return connector


def read(remote: RemoteUnderTest, since: Cursor | None = None) -> list[Page]:
    """All pages since a cursor, over a connection of their own."""
    pages: list[Page] = []
    with connected(remote) as connector:
        for page in reader(connector).read(remote.stream, since):
            pages.append(page)
            assert len(pages) < _MOST_PAGES, "the read does not end"
    return pages


def minutes(count: int) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=count)


def sample_records(
    count: int = RECORDS, *, first: int = 0, minutes_apart: int = 1
) -> list[SampleRecord]:
    """Records with ids in no order of time, each later than the one before."""
    return [
        SampleRecord(
            # 7 is prime to the counts in use, so the ids are all different.
            id=f"r{first + i * 7 % count:03}",
            changed_at=START + minutes(i * minutes_apart),
            text=f"text {first + i}",
        )
        for i in range(count)
    ]


def texts(records: Sequence[SampleRecord]) -> dict[str, str]:
    """The last text of each record by its id."""
    return {record.id: record.text for record in records}


def assert_known(replica: Replica, expected: dict[str, str], after: str) -> None:
    """The replica has exactly these records."""
    assert not replica.problems, f"{after}, sound records could not be read: {replica.problems}"
    lost = sorted(expected.keys() - replica.texts.keys())
    assert not lost, f"{after}, these records are lost: {', '.join(lost)}"
    extra = sorted(replica.texts.keys() - expected.keys())
    assert not extra, f"{after}, these records should not be there: {', '.join(extra)}"
    stale = {key: replica.texts[key] for key in expected if replica.texts[key] != expected[key]}
    assert not stale, f"{after}, these records are out of date: {stale}"


def assert_resumable(
    remote: RemoteUnderTest, pages: Sequence[Page], expected: dict[str, str], after: str
) -> None:
    """From the cursor of each page, a new connection brings what the pages up to it lack.

    A second read may bring the rest: a listing that goes on where it broke off is due for
    what changed behind it.
    """
    for count in range(1, len(pages) + 1):
        known = list(pages[:count])
        for _ in range(2):
            known += read(remote, known[-1].cursor)
        assert_known(
            Replica(remote, known),
            expected,
            f"{after} and resumed after page {count} of {len(pages)}",
        )


def outcomes(
    remote: RemoteUnderTest, connector: Connector, actions: Sequence[Action]
) -> list[Receipt | ConnectorError]:
    """What became of each action, in batches of the declared size."""
    size = remote.spec.batch_size
    return [
        answer
        for start in range(0, max(len(actions), 1), size)
        for answer in _batch(connector, actions[start : start + size])
    ]


def _batch(connector: Connector, actions: Sequence[Action]) -> list[Receipt | ConnectorError]:
    """What became of each action; an error that was raised is everybody's."""
    writes = writer(connector)
    try:
        answers = list(writes.apply(actions))
    except ConnectorError as error:
        if not actions:
            raise AssertionError(f"an empty batch is no reason to fail: {error}") from error
        return [error] * len(actions)
    except Exception as error:
        raise AssertionError(
            f"`apply` raised {type(error).__name__}, which is none of the five errors: {error}"
        ) from error
    assert len(answers) == len(actions), (
        f"{len(actions)} actions were answered by {len(answers)} receipts or errors"
    )
    for answer in answers:
        assert isinstance(answer, Receipt | ConnectorError), (
            f"{answer!r} is neither a receipt nor one of the five errors"
        )
    return answers


def apply_one(remote: RemoteUnderTest, action: Action) -> Receipt | ConnectorError:
    """What became of one action, over a connection of its own."""
    with connected(remote) as connector:
        return outcomes(remote, connector, [action])[0]


def applied(remote: RemoteUnderTest, action: Action) -> Receipt:
    """The receipt of one action that has no reason to fail."""
    answer = apply_one(remote, action)
    assert isinstance(answer, Receipt), f"a sound {action.kind} was refused: {answer!r}"
    assert answer.key == action.key, f"the receipt is for {answer.key}, not for {action.key}"
    return answer


def caught(call: Callable[[], object], expected: type[ConnectorError]) -> ConnectorError:
    """The error that a call raises, which must be of that class."""
    try:
        call()
    except expected as error:
        return error
    except Exception as error:
        raise AssertionError(
            f"{expected.__name__} was due, not {type(error).__name__}: {error}"
        ) from error
    raise AssertionError(f"{expected.__name__} was due, but nothing was raised")


def landed(remote: RemoteUnderTest, action: Action) -> list[Effect]:
    """What an action left at the remote."""
    return _of(action, remote.effects())


def _of(action: Action, effects: Sequence[Effect]) -> list[Effect]:
    record = action.record.id if isinstance(action, UpdateFields) else ""
    return [
        effect
        for effect in effects
        if effect.kind is action.kind
        and (effect.key == action.key or (not effect.key and record and effect.record == record))
    ]


def assert_once(remote: RemoteUnderTest, actions: Sequence[Action], after: str) -> None:
    """Each action has landed once, with all its texts."""
    everything = remote.effects()
    for action in actions:
        effects = _of(action, everything)
        assert len(effects) == 1, (
            f"{after}, the {action.kind} {action.key} landed {len(effects)} times"
        )
        for name, sent in texts_of(action).items():
            found = effects[0].texts.get(name)
            assert found is not None, f"the {action.kind} landed without its {name}"
            assert _normal(found) == _normal(sent), (
                f"{after}, the {name} of the {action.kind} landed as {found[:200]!r}, "
                f"not as {sent[:200]!r}"
            )


def _normal(text: str) -> str:
    """A text as RFC 5322 leaves it: line ends are alike, and the last one does not count."""
    return text.replace("\r\n", "\n").removesuffix("\n")


def sample_actions(remote: RemoteUnderTest, label: str, text: str = "plain") -> list[Action]:
    """One action of each kind that the connector declares, each about a record of its own."""
    kinds = [kind for kind in MAKING if kind in remote.spec.actions]
    abouts = [f"{label}-{kind.value}" for kind in kinds]
    if ActionKind.UPDATE in remote.spec.actions:
        remote.put([SampleRecord(id=about, changed_at=START, text="as it was") for about in abouts])
    return [
        remote.action(kind, f"key-{about}", text, about)
        for kind, about in zip(kinds, abouts, strict=True)
    ]
