"""Writing, where HubSpot is known to surprise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from portal_under_test import KEY, KEYS, MESSAGE_ID, UNIQUE_KEYS, TestedPortal

from crmsync.errors import (
    AuthError,
    ChangedError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    CustomAction,
    LogEmail,
    Receipt,
    RecordRef,
    UpdateFields,
    WithdrawTask,
)
from crmsync.testing.samples import START
from crmsync_hubspot.client import Answer, HubSpotClient
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.settings import Settings
from crmsync_hubspot.texts import as_html, as_text, reads_alike

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestedPortal]:
    """A portal that keeps no keys unique, as HubSpot promises it for tasks and notes."""
    portal = TestedPortal(tmp_path, custom=KEYS, settings=Settings())
    portal.clock.put_in_place(monkeypatch)
    yield portal
    portal.close()
    assert portal.service.mistakes == []


def task(key: str, *about: RecordRef, **values: Any) -> CreateTask:
    return CreateTask(key=key, subject=f"Call {key}", about=about, **values)


def company(record_id: str) -> RecordRef:
    return RecordRef(table="account", id=record_id)


def writes(tested: TestedPortal) -> list[str]:
    return [one for one in tested.service.calls if one.rpartition("/")[2] not in {"read", "search"}]


def test_a_hundred_tasks_are_one_call(tested: TestedPortal) -> None:
    about = company(tested.make("companies", name="A"))
    answers = tested.connect().apply([task(f"k{number}", about) for number in range(100)])
    assert all(isinstance(answer, Receipt) for answer in answers)
    assert len(tested.rows("tasks")) == 100
    assert tested.service.calls == ["GET properties/tasks", "POST objects/tasks/batch/create"]


def test_associations_come_in_the_same_call_with_their_numbers(tested: TestedPortal) -> None:
    refs = {
        "account": tested.make("companies", name="A"),
        "contact": tested.make("contacts", lastname="L"),
        "deal": tested.make("deals", dealname="D", dealstage="closedwon"),
        "ticket": tested.make("tickets", subject="T", hs_pipeline_stage="1"),
    }
    about = tuple(RecordRef(table=table, id=one) for table, one in refs.items())
    (receipt,) = tested.connect().apply([task("k", *about)])
    assert isinstance(receipt, Receipt)
    sent = tested.service.requests[-1].fields()["inputs"][0]["associations"]
    assert [one["types"][0]["associationTypeId"] for one in sent] == [192, 204, 216, 230]
    for kind, record_id in zip(
        ("companies", "contacts", "deals", "tickets"), refs.values(), strict=True
    ):
        assert tested.portal.links.of("tasks", int(receipt.remote_id), kind) == [int(record_id)]


@pytest.mark.parametrize(
    ("action", "numbers"),
    [
        (CreateTask(key="k", subject="Call"), [192, 204, 216, 230]),
        (AddNote(key="k", text="Called", about=(company("1"),)), [190, 202, 214, 228]),
        (
            LogEmail(
                key="k", message_id="1@vendor.example", sender="a@vendor.example",
                recipient="b@customer.example", subject="Hello", text="Hello", at=START,
            ),
            [186, 198, 210, 224],
        ),
    ],
)  # fmt: skip
def test_each_kind_has_its_own_numbers(
    tested: TestedPortal, action: CreateTask | AddNote | LogEmail, numbers: list[int]
) -> None:
    """To companies, contacts, deals and tickets."""
    about = tuple(RecordRef(table=one, id="1") for one in ("account", "contact", "deal", "ticket"))
    tested.connect().apply([replace(action, about=about)])
    (create,) = [one for one in tested.service.requests if one.route[-1] == "create"]
    sent = create.fields()["inputs"][0]["associations"]
    assert [one["types"][0]["associationTypeId"] for one in sent] == numbers


def test_a_task_stands_as_it_was_meant(tested: TestedPortal) -> None:
    owner = tested.portal.add_owner("ada@example.com", "Ada", "Lovelace")
    action = task(
        "k", body="First <line>\nsecond & last", due=date(2026, 3, 29), assignee=str(owner)
    )
    tested.connect().apply([action])
    (row,) = tested.rows("tasks")
    assert row["hs_task_subject"] == "Call k"
    assert row["hs_task_body"] == "First &lt;line&gt;<br>second &amp; last"
    assert row["hs_task_status"] == "NOT_STARTED"
    assert row["hubspot_owner_id"] == str(owner)
    # Noon in Berlin, on the day on which its clocks are put forward.
    assert row["hs_timestamp"] == "2026-03-29T10:00:00Z"


def test_one_that_is_refused_leaves_the_others_alone(tested: TestedPortal) -> None:
    """207: the answer says of each input what became of it."""
    about = company(tested.make("companies", name="A"))
    actions = [task("a", about), task("b", company("999")), task("c", about, assignee="1")]
    first, second, third = tested.connect().apply(actions)
    assert isinstance(first, Receipt)
    assert isinstance(second, RejectedError)
    assert "999" in str(second)
    assert isinstance(third, RejectedError)
    assert "Owner 1 does not exist" in str(third)
    assert [row[KEY] for row in tested.rows("tasks")] == ["a"]


def test_an_input_that_fails_is_told(tested: TestedPortal) -> None:
    tested.service.faults.append(Fault.ITEM_FAILS)
    first, second = tested.connect().apply([task("a"), task("b")])
    assert isinstance(first, RejectedError)
    assert isinstance(second, Receipt)


def test_a_batch_that_is_refused_as_a_whole_is_halved(
    tested: TestedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where marks of inputs are not heeded, HubSpot refuses all for one (409, 400)."""
    from crmsync_hubspot import batches  # noqa: PLC0415  for this alone

    monkeypatch.setattr(batches, "_TRACE", "notHeeded")
    actions = [task(f"k{number}") for number in range(8)]
    actions[5] = task("k5", assignee="1")
    answers = tested.connect().apply(actions)
    assert [isinstance(one, Receipt) for one in answers] == [n != 5 for n in range(8)]
    assert sorted(row[KEY] for row in tested.rows("tasks")) == [f"k{n}" for n in range(8) if n != 5]


def test_what_a_person_has_made_of_a_task_stays(tested: TestedPortal) -> None:
    """An upsert would write it over."""
    connector = tested.connect()
    (receipt,) = connector.apply([task("k")])
    assert isinstance(receipt, Receipt)
    tested.portal.update("tasks", int(receipt.remote_id), {"hs_task_status": "COMPLETED"})
    (again,) = tested.connect().apply([task("k")])
    assert again == replace(receipt, already=True)
    (row,) = tested.rows("tasks")
    assert row["hs_task_status"] == "COMPLETED"


@pytest.mark.parametrize("fault", [Fault.UNDECLARED, Fault.UNDECLARED_BODY, Fault.NOT_JSON,
                                   Fault.CUT_AFTER, Fault.CUT_WITHIN, Fault.TIMEOUT_AFTER,
                                   Fault.BAD_GATEWAY, Fault.SERVER_ERROR])  # fmt: skip
def test_what_nobody_knows_is_uncertain(tested: TestedPortal, fault: Fault) -> None:
    """An answer that HubSpot does not declare is no success; the vendor's library says None."""
    connector = tested.connect()
    connector.describe("records")
    connector.apply([task("before")])
    tested.service.faults.append(fault)
    (answer,) = connector.apply([task("k")])
    assert isinstance(answer, UncertainError)
    found = connector.find(["k"])
    landed = [row for row in tested.rows("tasks") if row[KEY] == "k"]
    assert [one.remote_id for one in found.values()] == [row["id"] for row in landed]
    (receipt,) = connector.apply([task("k")])
    assert isinstance(receipt, Receipt)
    assert len([row for row in tested.rows("tasks") if row[KEY] == "k"]) == 1


@pytest.mark.parametrize("fault", [Fault.LOCKED, Fault.UNAVAILABLE, Fault.TEN_SECONDLY,
                                   Fault.BARE_429])  # fmt: skip
def test_where_nothing_has_happened_it_is_tried_again(tested: TestedPortal, fault: Fault) -> None:
    connector = tested.connect()
    connector.apply([task("before")])
    tested.service.faults.append(fault)
    (answer,) = connector.apply([task("k")])
    assert isinstance(answer, Receipt)
    assert tested.clock.slept >= 1
    assert not tested.service.faults


def test_keys_that_are_not_unique_are_looked_up(looked_up: TestedPortal) -> None:
    (first,) = looked_up.connect().apply([task("k")])
    assert isinstance(first, Receipt)
    looked_up.clock.pass_time(timedelta(minutes=10))
    (again,) = looked_up.connect().apply([task("k")])
    assert again == replace(first, already=True)
    assert len(looked_up.rows("tasks")) == 1
    assert looked_up.connect().find(["k", "never"]) == {"k": replace(first, already=True)}


@pytest.mark.parametrize("fault", [Fault.EMPTY_PAGE, Fault.SHORT_PAGE])
def test_a_key_is_looked_for_to_the_end(looked_up: TestedPortal, fault: Fault) -> None:
    """A page without it is not the last one; who thinks so makes the task again."""
    (first,) = looked_up.connect().apply([task("k")])
    looked_up.clock.pass_time(timedelta(minutes=10))
    looked_up.service.faults.append(fault)
    (again,) = looked_up.connect().apply([task("k")])
    assert isinstance(first, Receipt)
    assert again == replace(first, already=True)
    looked_up.service.faults.append(Fault.ENDLESS)
    with pytest.raises(TransientError, match="has no end"):
        looked_up.connect().find(["never"])
    assert len(looked_up.rows("tasks")) == 1


def test_the_longest_keys_of_a_batch_are_looked_for(looked_up: TestedPortal) -> None:
    """A hundred of them would make a search of more than 3,000 characters, which is refused."""
    keys = [f"a-rule-with-a-rather-long-name-{number:049}" for number in range(100)]
    looked_up.connect().apply([task(key) for key in keys])
    looked_up.clock.pass_time(timedelta(minutes=10))
    answers = looked_up.connect().apply([task(key) for key in keys])
    assert all(isinstance(one, Receipt) and one.already for one in answers)
    assert len(looked_up.rows("tasks")) == 100


def test_a_key_twice_in_a_batch_is_one_task(looked_up: TestedPortal) -> None:
    first, again = looked_up.connect().apply([task("k"), task("k")])
    assert isinstance(first, Receipt)
    assert again == replace(first, already=True)
    assert len(looked_up.rows("tasks")) == 1


def test_a_key_with_capitals_is_found(looked_up: TestedPortal) -> None:
    """HubSpot compares lists of texts in small letters, and capitals in them find nothing."""
    (first,) = looked_up.connect().apply([task("Key-A")])
    looked_up.clock.pass_time(timedelta(minutes=10))
    (again,) = looked_up.connect().apply([task("Key-A")])
    assert isinstance(first, Receipt)
    assert again == replace(first, already=True)


def test_what_the_answer_leaves_out_is_uncertain(
    tested: TestedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A success (201) that tells of some inputs only says nothing of the others."""
    connector = tested.connect()
    connector.apply([task("before")])
    call = HubSpotClient.call

    def without_the_last(client: HubSpotClient, *given: Any, **more: Any) -> Answer:
        answer = call(client, *given, **more)
        if given[1].endswith("/create"):
            answer.body["results"].pop()
        return answer

    monkeypatch.setattr(HubSpotClient, "call", without_the_last)
    first, second = connector.apply([task("a"), task("b")])
    assert isinstance(first, Receipt)
    assert isinstance(second, UncertainError)


def test_what_this_process_made_it_knows_before_the_search_does(looked_up: TestedPortal) -> None:
    looked_up.settings.index_lag = timedelta(minutes=5)
    connector = looked_up.connect()
    (first,) = connector.apply([task("k")])
    (again,) = connector.apply([task("k")])
    assert isinstance(first, Receipt)
    assert again == replace(first, already=True) or again == first
    assert len(looked_up.rows("tasks")) == 1


def test_keys_differ_in_case(tested: TestedPortal) -> None:
    """HubSpot compares them without; what is another key is not taken for this one."""
    tested.connect().apply([task("key-a")])
    assert tested.connect().find(["KEY-A"]) == {}


def test_without_the_property_for_keys_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person mends that; what is due meanwhile waits, and is not lost."""
    portal = TestedPortal(tmp_path, custom=(), settings=Settings())
    portal.clock.put_in_place(monkeypatch)
    (answer,) = portal.connect().apply([task("k")])
    assert isinstance(answer, AuthError)
    assert "connections setup" in str(answer)
    assert portal.rows("tasks") == []
    portal.close()


def test_a_note_bears_its_key(tested: TestedPortal) -> None:
    about = company(tested.make("companies", name="A"))
    (receipt,) = tested.connect().apply([AddNote(key="n", text="one\ntwo", about=(about,))])
    assert isinstance(receipt, Receipt)
    (row,) = tested.rows("notes")
    assert (row["hs_note_body"], row[KEY]) == ("one<br>two", "n")
    assert tested.service.requests[-1].fields()["inputs"][0]["associations"][0]["types"] == [
        {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 190}
    ]


def test_what_other_connectors_do_is_refused(tested: TestedPortal) -> None:
    custom = CustomAction(key="c", name="notify", texts={"text": "x"}, about=())
    answers = tested.connect().apply([custom, task("k")])
    assert isinstance(answers[0], RejectedError)
    assert isinstance(answers[1], Receipt)


def _mail(**changes: Any) -> LogEmail:
    values: dict[str, Any] = {
        "key": "m",
        "message_id": "m@example.com",
        "sender": "Ada King Lovelace <ada@vendor.example>",
        "recipient": "bo@customer.example",
        "subject": "Renewal",
        "text": "Dear Bo",
        "html": "<p>Dear Bo</p>",
        "at": START - timedelta(days=1),
    }
    return LogEmail(**values | changes)


def test_a_mail_is_logged_as_one_that_went_out(tested: TestedPortal) -> None:
    contact = tested.make("contacts", lastname="L")
    about = (RecordRef(table="contact", id=contact),)
    (receipt,) = tested.connect().apply([_mail(about=about)])
    assert isinstance(receipt, Receipt)
    (row,) = tested.rows("emails")
    assert row["hs_email_direction"] == "EMAIL"
    assert row["hs_email_status"] == "SENT"
    assert row["hs_timestamp"] == "2026-03-01T09:00:00Z"
    assert row["hs_email_from_email"] == "ada@vendor.example"
    assert (row["hs_email_from_firstname"], row["hs_email_from_lastname"]) == (
        "Ada King",
        "Lovelace",
    )
    assert row["hs_email_to_email"] == "bo@customer.example"
    assert row[MESSAGE_ID] == "m@example.com"
    sent = tested.service.requests[-1].fields()["inputs"][0]["associations"]
    assert [one["types"][0]["associationTypeId"] for one in sent] == [198]


def test_a_mail_too_long_for_hubspot_is_logged_as_text(tested: TestedPortal) -> None:
    (receipt,) = tested.connect().apply([_mail(html="<p>" + "x" * 70_000 + "</p>")])
    assert isinstance(receipt, Receipt)
    (row,) = tested.rows("emails")
    assert "hs_email_html" not in row
    assert row["hs_email_text"] == "Dear Bo"


def update(record_id: str, key: str = "u", **values: Any) -> UpdateFields:
    return UpdateFields(key=key, record=company(record_id), stream="records", **values)


def test_an_update_yields_to_what_somebody_changed(tested: TestedPortal) -> None:
    one, two = tested.make("companies", name="A", city="Bern"), tested.make("companies", name="B")
    changes, expected = {"city": "Basel"}, {"city": "Zug"}
    stale = update(one, changes=changes, expected=expected)
    fresh = update(two, "v", changes=changes, expected={"city": None})
    first, second = tested.connect().apply([stale, fresh])
    assert isinstance(first, RejectedError)
    assert "city was changed since" in str(first)
    assert isinstance(second, Receipt)
    assert [row["city"] for row in tested.rows("companies")] == ["Bern", "Basel"]


def test_an_update_that_holds_already_is_done(tested: TestedPortal) -> None:
    one = tested.make("companies", name="A", annualrevenue="1200")
    done = update(one, changes={"annualrevenue": 1200.0}, expected={"annualrevenue": 900})
    (receipt,) = tested.connect().apply([done])
    assert receipt == Receipt(key="u", remote_id=one, already=True)
    assert writes(tested) == ["GET properties/companies"]


def test_two_updates_of_one_record_are_two_calls(tested: TestedPortal) -> None:
    """HubSpot refuses a batch that names a record twice."""
    one = tested.make("companies", name="A")
    answers = tested.connect().apply(
        [update(one, changes={"city": "Basel"}), update(one, "v", changes={"zip": "4051"})]
    )
    assert [isinstance(one, Receipt) for one in answers] == [True, True]
    (row,) = tested.rows("companies")
    assert (row["city"], row["zip"]) == ("Basel", "4051")


def test_an_update_whose_answer_was_lost_is_looked_up(tested: TestedPortal) -> None:
    one = tested.make("companies", name="A")
    connector = tested.connect()
    tested.service.faults.append(Fault.CUT_AFTER)
    (answer,) = connector.apply([update(one, changes={"city": "Basel"})])
    assert answer == Receipt(key="u", remote_id=one)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cty": "x"}, "no property “cty”; do you mean “city”"),
        ({"hs_num_child_companies": 2}, "HubSpot keeps hs_num_child_companies itself"),
        ({"lifecyclestage": "nonsense"}, "not one of the allowed options"),
        ({"numberofemployees": "many"}, "not a valid number"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(
    tested: TestedPortal, changes: dict[str, Any], words: str
) -> None:
    one = tested.make("companies", name="A")
    (answer,) = tested.connect().apply([update(one, changes=changes)])
    assert isinstance(answer, RejectedError)
    assert words.partition(";")[0] in str(answer)


def test_words_and_day_of_an_open_task_are_changed(tested: TestedPortal) -> None:
    """As the core does it with a task of an earlier round: it knows text and days."""
    connector = tested.connect("tasks", ("hs_task_subject", "hs_task_body", "hs_timestamp"))
    made = task("k", body="one\ntwo & three", due=date(2026, 3, 5))
    (receipt,) = connector.apply([made])
    assert isinstance(receipt, Receipt)
    (page,) = connector.read("records", None)
    (row,) = page.records.to_pylist()
    assert row["hs_task_body"] == "one\ntwo & three", "as it was written, not as HTML"
    anew = UpdateFields(
        key="u",
        record=RecordRef(table="activity", id=receipt.remote_id),
        stream="records",
        changes={"hs_task_body": "one & four\nfive", "hs_timestamp": "2026-03-29"},
        expected={"hs_task_body": row["hs_task_body"], "hs_timestamp": "2026-03-05"},
    )
    tested.service.faults.append(Fault.CUT_AFTER)
    assert connector.apply([anew]) == [Receipt(key="u", remote_id=receipt.remote_id)]
    (there,) = tested.rows("tasks")
    assert there["hs_task_body"] == "one &amp; four<br>five"
    assert there["hs_timestamp"] == "2026-03-29T10:00:00Z", "noon in Berlin, in summer time"
    again = replace(anew, key="v")
    assert connector.apply([again]) == [Receipt(key="v", remote_id=receipt.remote_id, already=True)]
    tested.portal.update("tasks", int(receipt.remote_id), {"hs_timestamp": "2026-04-01T10:00:00Z"})
    (stale,) = connector.apply([replace(anew, key="w", changes={"hs_task_body": "six"})])
    assert isinstance(stale, RejectedError)


def test_an_update_of_what_is_gone_is_refused(tested: TestedPortal) -> None:
    gone, there = (tested.make("companies", name=name) for name in ("A", "B"))
    tested.portal.archive("companies", int(gone))
    changes = {"city": "Basel"}
    first, second = tested.connect().apply(
        [update(gone, changes=changes), update(there, "v", changes=changes)]
    )
    assert isinstance(first, RejectedError)
    assert isinstance(second, Receipt)


def test_an_empty_value_empties_the_property(tested: TestedPortal) -> None:
    one = tested.make("companies", name="A", city="Bern")
    tested.connect().apply([update(one, changes={"city": None})])
    (row,) = tested.rows("companies")
    assert "city" not in row


def test_a_task_is_taken_back_though_its_body_was_laid_out_anew(tested: TestedPortal) -> None:
    connector = tested.connect()
    action = task("k", body="one\ntwo", due=date(2026, 3, 5))
    (receipt,) = connector.apply([action])
    assert isinstance(receipt, Receipt)
    laid_out = {"hs_task_body": '<div style="" dir="auto"><p>one</p><p>two</p></div>'}
    tested.portal.update("tasks", int(receipt.remote_id), laid_out)
    withdrawal = WithdrawTask(key="w", task=action, remote_id=receipt.remote_id)
    (answer,) = connector.apply([withdrawal])
    assert answer == Receipt(key="w", remote_id=receipt.remote_id)
    assert tested.rows("tasks") == []


@pytest.mark.parametrize(
    "changes",
    [{"hs_timestamp": "2026-04-01T10:00:00Z"}, {"hs_task_subject": "Call Bo"},
     {"hs_task_status": "IN_PROGRESS"}, {"hs_task_priority": "HIGH"}, {"hs_task_type": "CALL"},
     {"hs_task_reminders": "1772359200000"}],
)  # fmt: skip
def test_a_task_that_somebody_has_changed_stays(
    tested: TestedPortal, changes: dict[str, str]
) -> None:
    connector = tested.connect()
    action = task("k", due=date(2026, 3, 5))
    (receipt,) = connector.apply([action])
    assert isinstance(receipt, Receipt)
    tested.portal.update("tasks", int(receipt.remote_id), changes)
    (answer,) = connector.apply([WithdrawTask(key="w", task=action, remote_id=receipt.remote_id)])
    assert isinstance(answer, ChangedError)


def test_a_task_without_day_or_owner_that_got_one_stays(tested: TestedPortal) -> None:
    connector = tested.connect()
    owner = str(tested.portal.add_owner("ada@vendor.example", "Ada", "Owner"))
    action = task("k")
    for changes in ({"hs_timestamp": "2027-01-05T10:00:00Z"}, {"hubspot_owner_id": owner}, None):
        (receipt,) = connector.apply([replace(action, key=str(changes))])
        assert isinstance(receipt, Receipt)
        if changes is not None:
            tested.portal.update("tasks", int(receipt.remote_id), changes)
        withdrawal = WithdrawTask(key="w", task=action, remote_id=receipt.remote_id)
        (answer,) = connector.apply([withdrawal])
        assert isinstance(answer, Receipt if changes is None else ChangedError)


def test_a_task_of_which_nothing_is_told_is_not_taken_for_gone(tested: TestedPortal) -> None:
    connector = tested.connect()
    action = task("k")
    (receipt,) = connector.apply([action])
    assert isinstance(receipt, Receipt)
    tested.service.faults.append(Fault.ITEM_UNKNOWN)
    (answer,) = connector.apply([WithdrawTask(key="w", task=action, remote_id=receipt.remote_id)])
    assert isinstance(answer, TransientError)
    assert len(tested.rows("tasks")) == 1


def test_bodies_are_html_that_reads_as_it_was_written() -> None:
    text = "a < b & c\n<b>not bold</b>\r\nlast"
    assert as_text(as_html(text)) == text.replace("\r\n", "\n")
    assert reads_alike(as_html("one\ntwo"), "<p>one</p><p>two</p>")
    assert not reads_alike(as_html("one"), "<p>two</p>")


def test_a_task_without_a_day_is_due_when_it_is_made(tested: TestedPortal) -> None:
    tested.connect().apply([task("k")])
    (row,) = tested.rows("tasks")
    made = datetime.fromisoformat(row["hs_timestamp"])
    assert abs(made - tested.clock.now()) < timedelta(minutes=1)
    assert made.tzinfo == UTC


def test_unique_keys_are_the_portals_own_guard(tested: TestedPortal) -> None:
    """Two machines at once: the portal refuses the second, and its receipt names the first."""
    assert UNIQUE_KEYS
    one, two = tested.connect(), tested.connect()
    one.describe("records")
    (first,) = one.apply([task("k")])
    (second,) = two.apply([task("k")])
    assert isinstance(first, Receipt)
    assert second == replace(first, already=True)
