"""The fake is not kinder than a real remote."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from crmsync.clock import FixedClock
from crmsync.errors import QuotaError, RejectedError, TransientError, UncertainError
from crmsync.model.actions import (
    ActionKind,
    AddNote,
    CreateTask,
    KeyHandling,
    Receipt,
    RecordRef,
    UpdateFields,
)
from crmsync.plugins.contract import ConnectionContext
from crmsync.testing.memory import MemoryConnector, memory_spec
from crmsync.testing.memory_remote import MemoryRemote, Order, StoredRecord, WireError
from crmsync.testing.remote import Failure
from crmsync.testing.samples import START


def _note(key: str) -> AddNote:
    return AddNote(key=key, text="Hello", about=(RecordRef(table="account", id="a1"),))


def _account(record_id: str, minute: int = 0, **values: str) -> StoredRecord:
    return StoredRecord(
        id=record_id, updated_at=START + timedelta(minutes=minute), values={"name": "", **values}
    )


def _connect(remote: MemoryRemote) -> MemoryConnector:
    spec = memory_spec(remote)
    connector = spec.open(
        ConnectionContext(
            name="memory",
            options=spec.options.model_validate({}),
            streams={},
            folder=Path(),
            clock=FixedClock(instant=START),
        )
    )
    assert isinstance(connector, MemoryConnector)
    return connector


def test_changes_come_by_instant_then_id_on_small_pages() -> None:
    remote = MemoryRemote(page_size=2)
    remote.put("accounts", [_account("c", 1), _account("b", 1), _account("a", 1), _account("z")])
    first = remote.changes(None, "accounts", None)
    assert [record.id for record in first] == ["z", "a"]
    assert [r.id for r in remote.changes(None, "accounts", first[-1].position)] == ["b", "c"]


def test_a_changed_record_is_known_only_as_it_is_now() -> None:
    remote = MemoryRemote()
    remote.put("accounts", [_account("a", name="old")])
    remote.put("accounts", [_account("a", 5, name="new")])
    assert [r.values["name"] for r in remote.changes(None, "accounts", None)] == ["new"]


def test_a_tie_that_ends_a_page_is_read_once_while_nothing_changes() -> None:
    remote = MemoryRemote(page_size=3)
    remote.put("accounts", [_account(f"a{i}") for i in range(7)])
    connector = _connect(remote)
    pages = list(connector.read("accounts", None))
    assert [page.records.num_rows for page in pages] == [3, 3, 1]
    assert list(connector.read("accounts", pages[-1].cursor)) == []
    remote.put("accounts", [_account("a0", name="changed in the same instant")])
    again = list(connector.read("accounts", pages[-1].cursor))
    assert sum(page.records.num_rows for page in again) == 7


def test_an_empty_stream_brings_no_changes_and_an_empty_listing() -> None:
    assert list(_connect(MemoryRemote()).read("accounts", None)) == []
    (page,) = _connect(MemoryRemote(lists=True)).read("accounts", None)
    assert page.records.num_rows == 0
    assert page.snapshot is not None
    assert page.snapshot.last


def test_a_listing_that_broke_off_goes_on_under_its_name_unless_something_changed() -> None:
    remote = MemoryRemote(page_size=2, lists=True)
    remote.put("accounts", [_account(f"a{i}") for i in range(5)])
    connector = _connect(remote)
    first = next(connector.read("accounts", None))
    rest = list(connector.read("accounts", first.cursor))
    assert {page.snapshot and page.snapshot.id for page in rest} == {
        first.snapshot and first.snapshot.id
    }
    assert [key for page in rest for key in page.records.column("id").to_pylist()] == [
        "a2",
        "a3",
        "a4",
    ]
    remote.delete("accounts", ["a0"], START)
    anew = list(connector.read("accounts", first.cursor))
    assert not {page.snapshot and page.snapshot.id for page in anew} & {
        first.snapshot and first.snapshot.id
    }
    assert anew[0].records.column("id").to_pylist() == ["a1", "a2"]


def test_a_failure_can_be_due_later() -> None:
    remote = MemoryRemote()
    remote.put("accounts", [_account(f"a{i}") for i in range(9)])
    remote.fail_next(Failure.QUOTA, after_calls=2)
    reading = _connect(remote).read("accounts", None)
    next(reading)
    with pytest.raises(QuotaError) as caught:
        next(reading)
    assert caught.value.until == remote.quota_until


def test_each_failure_happens_once() -> None:
    remote = MemoryRemote()
    remote.fail_next(Failure.TRANSIENT)
    (error,) = _connect(remote).apply([_note("k1")])
    assert isinstance(error, TransientError)
    assert error.retry_after == remote.retry_after
    assert remote.effects == []
    (receipt,) = _connect(remote).apply([_note("k1")])
    assert isinstance(receipt, Receipt)


def test_a_crash_waits_for_a_write_and_lets_half_of_it_land() -> None:
    remote = MemoryRemote(keys=KeyHandling.LOOKUP)
    remote.fail_next(Failure.UNCERTAIN)
    connector = _connect(remote)
    assert connector.check() == []
    answers = connector.apply([_note("k1"), _note("k2"), _note("k3")])
    assert all(isinstance(answer, UncertainError) for answer in answers)
    assert [effect.key for effect in remote.effects] == ["k1", "k2"]
    assert connector.find(["k1", "k2", "k3"]).keys() == {"k1", "k2"}


@pytest.mark.parametrize(
    ("keys", "landed", "found"),
    [
        (KeyHandling.NATIVE, 1, {"k1"}),
        (KeyHandling.LOOKUP, 2, {"k1"}),
        (KeyHandling.UNSAFE, 2, set()),
    ],
)
def test_keys_are_honoured_as_declared(keys: KeyHandling, landed: int, found: set[str]) -> None:
    remote = MemoryRemote(keys=keys)
    connector = _connect(remote)
    actions = dict(memory_spec(remote).actions)
    assert actions.pop(ActionKind.WITHDRAWAL) is KeyHandling.NATIVE, "it does no harm twice"
    assert set(actions.values()) == {keys}
    first, second = (connector.apply([_note("k1")])[0] for _ in range(2))
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert (first.already, second.already) == (False, keys is KeyHandling.NATIVE)
    assert len(remote.effects) == landed
    assert connector.find(["k1", "k0"]).keys() == found


def test_the_wire_answers_in_an_order_of_its_own() -> None:
    remote = MemoryRemote()
    orders = [
        Order(key="b", kind=ActionKind.NOTE),
        Order(key="z", kind=ActionKind.TASK, assignee=remote.refused_assignee),
        Order(key="a", kind=ActionKind.NOTE),
    ]
    assert [answer.key for answer in remote.submit(None, orders)] == ["z", "a", "b"]


def test_an_update_comes_back_with_the_next_read() -> None:
    remote = MemoryRemote()
    remote.put("accounts", [_account("a", name="old"), _account("b", 3)])
    connector = _connect(remote)
    cursor = list(connector.read("accounts", None))[-1].cursor
    update = UpdateFields(
        key="k",
        record=RecordRef(table="account", id="a"),
        stream="accounts",
        changes={"name": "new"},
        expected={"name": "old"},
    )
    assert isinstance(connector.apply([update])[0], Receipt)
    (page,) = connector.read("accounts", cursor)
    assert page.records.select(["id", "name"]).to_pylist() == [{"id": "a", "name": "new"}]


@pytest.mark.parametrize(
    ("record", "expected", "words"),
    [
        ("a", {"name": "older"}, "name has been changed meanwhile"),
        ("gone", {}, "there is no record gone"),
        ("never", {}, "there is no record never"),
    ],
)
def test_updates_are_refused_in_the_remotes_words(
    record: str, expected: dict[str, str], words: str
) -> None:
    remote = MemoryRemote()
    remote.put("accounts", [_account("a", name="old"), _account("gone")])
    remote.delete("accounts", ["gone"], START)
    update = UpdateFields(
        key="k",
        record=RecordRef(table="account", id=record),
        stream="accounts",
        changes={"name": "new"},
        expected=expected,
    )
    (answer,) = _connect(remote).apply([update])
    assert isinstance(answer, RejectedError)
    assert words in str(answer)
    assert remote.effects == []


def test_a_wrong_token_is_quoted_back_by_the_remote() -> None:
    with pytest.raises(WireError, match="token wrong is not known here"):
        MemoryRemote(token="right").ping("wrong")  # noqa: S106  it opens nothing


def test_a_connection_that_breaks_in_a_read_is_transient() -> None:
    class Breaking(MemoryRemote):
        def changes(self, *_: object) -> list[StoredRecord]:
            raise WireError("connection reset by peer")

    with pytest.raises(TransientError):
        list(_connect(Breaking()).read("accounts", None))


def test_too_many_at_once_are_refused_together() -> None:
    remote = MemoryRemote()
    answers = _connect(remote).apply(
        [CreateTask(key=f"k{i}", subject="Call") for i in range(remote.most_orders + 1)]
    )
    assert {type(answer) for answer in answers} == {RejectedError}
    assert remote.effects == []
