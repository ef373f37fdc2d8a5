from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.errors import StoreError
from crmsync.ledger.payload import dump, from_payload, load
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    LogEmail,
    RecordRef,
    SendEmail,
    UpdateFields,
    WithdrawTask,
)

if TYPE_CHECKING:
    from crmsync.model.actions import Action

text = st.text(st.characters(exclude_categories=["Cs"]))
records = st.builds(RecordRef, table=text, id=text)
about = st.lists(records, max_size=3).map(tuple)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | text
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.dictionaries(text, scalars, max_size=3)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])

tasks = st.builds(
    CreateTask,
    key=text,
    subject=text,
    body=text,
    due=st.none() | st.dates(),
    assignee=st.none() | text,
    about=about,
)
ACTIONS = st.one_of(
    tasks,
    st.builds(WithdrawTask, key=text, task=tasks, remote_id=text),
    st.builds(
        SendEmail,
        key=text,
        message_id=text,
        sender=text,
        recipient=text,
        subject=text,
        text=text,
        html=st.none() | text,
        email_class=st.sampled_from(["commercial", "service"]),
        headers=st.dictionaries(text, text, max_size=2),
        about=about,
        at=st.datetimes(timezones=zones),
    ),
    st.builds(
        LogEmail,
        key=text,
        message_id=text,
        sender=text,
        recipient=text,
        subject=text,
        text=text,
        html=st.none() | text,
        about=about,
        at=st.datetimes(timezones=zones),
    ),
    st.builds(AddNote, key=text, text=text, about=about),
    st.builds(UpdateFields, key=text, record=records, stream=text, changes=values, expected=values),
)


@given(ACTIONS)
def test_an_action_survives_the_ledger(action: Action) -> None:
    assert from_payload(load(dump(action))) == action


def test_types_survive_too() -> None:
    task = CreateTask(key="k", subject="s", due=date(2026, 3, 4))
    mail = SendEmail(
        key="k",
        message_id="m",
        sender="a@b.example",
        recipient="c@d.example",
        subject="s",
        text="t",
        at=datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC),
    )
    assert from_payload(load(dump(task))) == task
    assert from_payload(load(dump(mail))) == mail


@pytest.mark.parametrize("value", [2**80, "half a character: \ud83d", "\0"])
def test_what_is_seldom_in_json_survives_too(value: object) -> None:
    record = RecordRef(table="account", id="1")
    update = UpdateFields(
        key="k",
        record=record,
        stream="s",
        changes=MappingProxyType({"f": value}),  # type: ignore[dict-item]  # any scalar
    )
    assert from_payload(load(dump(update))) == update
    task = CreateTask(key="k", subject="half a character: \ud83d", due=date(2026, 3, 4))
    withdrawal = WithdrawTask(key="k-back", task=task, remote_id="1")
    assert from_payload(load(dump(withdrawal))) == withdrawal


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"kind": "pigeon", "key": "k"},
        {"kind": "note", "key": "k"},
        {"kind": "note", "key": "k", "text": "t", "wings": 2},
        {"kind": "task", "key": "k", "subject": "s", "due": "soon"},
    ],
)
def test_what_this_version_does_not_know_is_a_sentence(payload: dict[str, object]) -> None:
    with pytest.raises(StoreError, match="this version of crmsync cannot read"):
        from_payload(payload)
