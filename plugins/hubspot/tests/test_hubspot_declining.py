"""Who wants no more mail is marked so in HubSpot, which keeps that by address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal_under_test import TestedPortal

from crmsync.errors import RejectedError, TransientError
from crmsync.model.actions import CreateTask, Receipt, RecordRef, UpdateFields
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.settings import ALL_SCOPES, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest


def declines(record_id: str, key: str = "u", **changes: Any) -> UpdateFields:
    return UpdateFields(
        key=key,
        record=RecordRef(table="contact", id=record_id),
        stream="records",
        changes=changes or {"hs_email_optout": True},
    )


def apply(tested: TestedPortal, *actions: UpdateFields | CreateTask) -> Sequence[object]:
    return tested.connect("contacts", ("email", "hs_email_optout")).apply(actions)


def opted_out(tested: TestedPortal) -> list[str | None]:
    return [row.get("hs_email_optout") for row in tested.rows("contacts")]


def test_a_contact_is_unsubscribed_from_all_by_their_address(tested: TestedPortal) -> None:
    ann, bo = (
        tested.make("contacts", email="ann+x/y@a.example"),
        tested.make("contacts", email="b@a.example"),
    )
    assert apply(tested, declines(ann)) == [Receipt(key="u", remote_id=ann)]
    assert opted_out(tested) == ["true", None]
    assert apply(tested, declines(ann, "v"), declines(bo, "w", hs_email_optout="true")) == [
        Receipt(key="v", remote_id=ann, already=True),
        Receipt(key="w", remote_id=bo),
    ]
    said = [one for one in tested.service.calls if "preferences" in one]
    assert said == [
        "POST preferences/statuses/ann+x/y@a.example/unsubscribe-all",
        "POST preferences/statuses/b@a.example/unsubscribe-all",
    ]


def test_nobody_is_subscribed_again_and_nothing_else_is_changed(tested: TestedPortal) -> None:
    ann = tested.make("contacts", email="ann@a.example")
    for changes in ({"hs_email_optout": False}, {"hs_email_optout": True, "firstname": "Ann"}):
        (answer,) = apply(tested, declines(ann, **changes))
        assert isinstance(answer, RejectedError)
        assert "HubSpot keeps hs_email_optout itself" in str(answer)


def test_what_cannot_be_marked_is_told(tested: TestedPortal) -> None:
    nameless = tested.make("contacts", firstname="Ann")
    none, gone = apply(tested, declines(nameless), declines("123456"))
    assert "the contact has no address" in str(none)
    assert "there is no such record" in str(gone)


def test_a_broken_line_is_no_doubt(tested: TestedPortal) -> None:
    ann = tested.make("contacts", email="ann@a.example")
    tested.service.faults.append(Fault.CUT_AFTER)
    assert apply(tested, declines(ann)) == [Receipt(key="u", remote_id=ann)]
    tested.service.faults.extend([Fault.UNAVAILABLE] * 8)
    (answer,) = apply(tested, declines(ann))
    assert isinstance(answer, TransientError)


def test_without_the_scope_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes = ALL_SCOPES - {"communication_preferences.read_write"}
    portal = TestedPortal(tmp_path, settings=Settings(scopes=scopes))
    portal.clock.put_in_place(monkeypatch)
    try:
        ann = portal.make("contacts", email="ann@a.example")
        told, task = apply(portal, declines(ann), CreateTask(key="t", subject="Call"))
        assert isinstance(told, RejectedError)
        assert "communication_preferences.read_write" in str(told)
        assert isinstance(task, Receipt)
    finally:
        portal.close()
