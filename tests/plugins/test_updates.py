"""Updates yield to what people have changed meanwhile, and lost answers are looked up."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from crmsync.errors import ConnectorError, RejectedError, TransientError, UncertainError
from crmsync.model.actions import Receipt, RecordRef, Scalar, UpdateFields
from crmsync.plugins.updates import Outcomes, update_unless_changed


class Table:
    """Records in memory, of which answers get lost, or which tell nothing after some calls."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {"1": {"tier": "warm"}, "2": {"tier": "warm"}}
        self.calls: list[str] = []
        self.lost = False
        self.silent_after = 99

    def identity(self, update: UpdateFields) -> str:
        return update.record.id.lower()

    def unfit(self, update: UpdateFields) -> ConnectorError | None:
        return RejectedError("no such field") if "nope" in update.changes else None

    def current(self, updates: Sequence[UpdateFields]) -> Mapping[str, Mapping[str, Any]]:
        self.calls.append("look")
        if len(self.calls) > self.silent_after:
            raise TransientError("not now")
        return {one: dict(row) for one, row in self.rows.items()}

    def same(self, field: str, there: object, value: Scalar) -> bool:
        return there == value

    def send(self, updates: Mapping[int, UpdateFields]) -> Outcomes:
        self.calls.append("send")
        assert len({update.record.id for update in updates.values()}) == len(updates)
        for update in updates.values():
            self.rows[update.record.id] |= update.changes
        if self.lost:
            return {place: UncertainError("no answer") for place in updates}
        return {place: Receipt(key="", remote_id="") for place in updates}


def an_update(record: str, value: str, *, expected: str | None = "warm") -> UpdateFields:
    return UpdateFields(
        key=f"{record}-{value}",
        record=RecordRef(table="account", id=record),
        stream="accounts",
        changes={"tier": value},
        expected={} if expected is None else {"tier": expected},
    )


def asked(table: Table, *updates: UpdateFields) -> list[Receipt | ConnectorError]:
    outcomes = update_unless_changed(dict(enumerate(updates)), lambda _: table)
    assert set(outcomes) == set(range(len(updates)))
    return [outcomes[place] for place in range(len(updates))]


def test_each_update_is_answered_for_itself() -> None:
    table = Table()
    unfit = UpdateFields(
        key="k",
        record=RecordRef(table="account", id="2"),
        stream="accounts",
        changes={"nope": "x"},
    )

    made, gone, refused = asked(table, an_update("1", "hot"), an_update("3", "hot"), unfit)

    assert made == Receipt(key="1-hot", remote_id="1")
    assert "no such record" in str(gone)
    assert "no such field" in str(refused)
    assert table.rows == {"1": {"tier": "hot"}, "2": {"tier": "warm"}}


def test_what_a_person_has_changed_stays() -> None:
    table = Table()
    table.rows["1"]["tier"] = "cold"

    (answer,) = asked(table, an_update("1", "hot"))

    assert isinstance(answer, RejectedError)
    assert "changed since" in str(answer)
    assert table.calls == ["look"]


def test_what_is_so_already_is_not_sent_again() -> None:
    table = Table()
    table.rows["1"]["tier"] = "hot"

    assert asked(table, an_update("1", "hot")) == [
        Receipt(key="1-hot", remote_id="1", already=True)
    ]
    assert table.calls == ["look"]


def test_updates_of_one_record_see_each_other() -> None:
    table = Table()

    first, contrary, chained = asked(
        table,
        an_update("1", "hot"),
        an_update("1", "cold"),
        an_update("1", "won", expected="hot"),
    )

    assert isinstance(first, Receipt)
    assert "changed since" in str(contrary)
    assert isinstance(chained, Receipt)
    assert table.rows["1"] == {"tier": "won"}


def test_a_lost_answer_is_looked_up() -> None:
    table = Table()
    table.lost = True

    assert asked(table, an_update("1", "hot")) == [Receipt(key="1-hot", remote_id="1")]


@pytest.mark.parametrize("looks", [0, 2], ids=["before it", "after it"])
def test_where_nobody_can_look_the_answer_says_so(looks: int) -> None:
    table = Table()
    table.lost, table.silent_after = True, looks

    (answer,) = asked(table, an_update("1", "hot"))

    assert isinstance(answer, UncertainError if looks else TransientError)
    assert table.calls.count("send") == (1 if looks else 0)


def test_a_stream_that_is_not_there_answers_for_its_updates() -> None:
    def nowhere(stream: str) -> Table:
        raise RejectedError(f"no stream {stream}")

    outcomes = update_unless_changed({7: an_update("1", "hot")}, nowhere)

    assert str(outcomes[7]) == "no stream accounts"
