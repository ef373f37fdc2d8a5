from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from org_under_test import KEY, START, TestedOrg, chosen_id

from crmsync.errors import (
    AuthError,
    ChangedError,
    ConnectorError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    Receipt,
    RecordRef,
    UpdateFields,
    WithdrawTask,
)
from crmsync_salesforce.marks import mark
from crmsync_salesforce.options import SalesforceOptions
from crmsync_salesforce.simulator.messages import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crmsync.model.actions import Action


@pytest.fixture
def account(org: TestedOrg) -> str:
    return org.org.create("Account", {"Name": "Acme", "AnnualRevenue": 1000.5, "Rating": "Hot"})


def apply(org: TestedOrg, *actions: Action) -> Sequence[Receipt | ConnectorError]:
    connector = org.connect("Account", ("Name",))
    answers = connector.apply(actions)
    connector.close()
    return answers


def task(key: str = "k1", **values: Any) -> CreateTask:
    return CreateTask(key=key, **({"subject": "Call"} | values))


def update(account: str, changes: dict[str, Any], **expected: Any) -> UpdateFields:
    record = RecordRef(table="account", id=account)
    return UpdateFields(
        key="u1", record=record, stream="records", changes=changes, expected=expected
    )


def tasks(org: TestedOrg) -> list[dict[str, Any]]:
    return org.org.rows("Task")


def test_a_task_stands_where_a_person_looks_for_it(org: TestedOrg, account: str) -> None:
    owner = org.org.create("User", {"Username": "o", "LastName": "O", "Email": "o@x.example"})
    contact = org.org.create("Contact", {"LastName": "C", "AccountId": account})
    about = (RecordRef(table="account", id=account), RecordRef(table="contact", id=contact))
    apply(org, task(body="Why", due=date(2026, 3, 29), assignee=owner, about=about))
    (row,) = tasks(org)
    assert (row["WhatId"], row["WhoId"], row["OwnerId"]) == (account, contact, owner)
    assert (row["ActivityDate"], row["Status"], row[KEY]) == ("2026-03-29", "Not Started", "k1")
    assert row["Description"] == "Why"


def test_a_task_that_a_person_has_closed_is_left_alone(org: TestedOrg) -> None:
    (first,) = apply(org, task())
    (row,) = tasks(org)
    org.org.update("Task", row["Id"], {"Status": "Completed", "Subject": "Done it"})
    (again,) = apply(org, task())
    assert isinstance(first, Receipt)
    assert again == Receipt(key="k1", remote_id=row["Id"], already=True)
    (row,) = tasks(org)
    assert (row["Status"], row["Subject"]) == ("Completed", "Done it")


def test_a_task_that_was_deleted_since_has_landed(org: TestedOrg) -> None:
    apply(org, task())
    (row,) = tasks(org)
    org.org.delete("Task", row["Id"])
    assert set(org.connect().find(["k1", "k2"])) == {"k1"}


def test_keys_that_differ_in_case_are_two(org: TestedOrg) -> None:
    answers = apply(org, task("Key"), task("key"))
    assert all(isinstance(answer, Receipt) and not answer.already for answer in answers)
    assert set(org.connect().find(["KEY", "Key"])) == {"Key"}


def test_a_note_is_a_completed_task(org: TestedOrg, account: str) -> None:
    about = (RecordRef(table="account", id=account),)
    apply(org, AddNote(key="n1", text="\nFirst line\nsecond", about=about))
    (row,) = tasks(org)
    assert (row["Subject"], row["Status"], row["WhatId"]) == (
        "Note: First line",
        "Completed",
        account,
    )


def test_rules_about_duplicates_are_passed_by_for_new_tasks_only(
    org: TestedOrg, account: str
) -> None:
    org.service.requests.clear()
    apply(org, task(), update(account, {"Rating": "Cold"}))
    told = {
        request.method: request.headers.get("sforce-duplicate-rule-header")
        for request in org.service.requests
        if request.writes
    }
    assert told == {"POST": "allowSave=true", "PATCH": None}


def test_no_more_than_200_records_go_in_a_call(org: TestedOrg) -> None:
    answers = apply(org, *(task(f"k{i}") for i in range(401)))
    assert all(isinstance(answer, Receipt) for answer in answers)
    assert org.service.calls.count("POST composite/sobjects") == 3
    assert len({row[KEY] for row in tasks(org)}) == 401


def test_find_asks_for_many_keys_in_addresses_of_limited_length(org: TestedOrg) -> None:
    keys = [f"a-rather-long-key-of-an-action-{i}-{'x' * 100}" for i in range(300)]
    apply(org, *(task(key) for key in keys))
    assert set(org.connect().find(keys)) == set(keys)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"subject": "x" * 256}, "256 characters"),
        ({"body": "x" * 32_001}, "32001 characters"),
        ({"assignee": chosen_id("005", "nobody")}, "there is no such record"),
        ({"assignee": "U-01"}, "MALFORMED_ID"),
        ({"about": (RecordRef(table="account", id=chosen_id("001", "gone")),)}, "no such record"),
        ({"subject": "half \ud800"}, "half a character"),
        ({"subject": "bell \x07"}, "Illegal character"),
    ],
)
def test_what_an_org_refuses_is_told_in_words(
    org: TestedOrg, values: dict[str, Any], words: str
) -> None:
    before, refused, after = apply(org, task("a"), task("b", **values), task("c"))
    assert isinstance(before, Receipt)
    assert isinstance(after, Receipt)
    assert isinstance(refused, RejectedError)
    assert words in str(refused)
    assert {row[KEY] for row in tasks(org)} == {"a", "c"}


def test_an_inactive_colleague_gets_no_task(org: TestedOrg) -> None:
    user = org.org.create("User", {"Username": "o", "LastName": "O", "Email": "o@x.example"})
    org.org.update("User", user, {"IsActive": False})
    (refused,) = apply(org, task(assignee=user))
    assert "the user is not active" in str(refused)


def test_a_locked_row_is_tried_again_and_the_others_land(org: TestedOrg) -> None:
    org.service.faults.append(Fault.ROW_LOCK)
    locked, other = apply(org, task("a"), task("b"))
    assert isinstance(locked, TransientError)
    assert isinstance(other, Receipt)
    assert [isinstance(answer, Receipt) for answer in apply(org, task("a"), task("b"))] == [
        True
    ] * 2
    assert sorted(row[KEY] for row in tasks(org)) == ["a", "b"]


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_AFTER])
def test_a_lost_answer_is_looked_up_and_nothing_is_doubled(org: TestedOrg, fault: Fault) -> None:
    connector = org.connect()
    connector.find(["warms up"])
    org.service.faults.append(fault)
    (answer,) = connector.apply([task()])
    assert isinstance(answer, UncertainError)
    assert ("k1" in connector.find(["k1"])) == (fault is Fault.CUT_AFTER)
    connector.apply([task()])
    assert len(tasks(org)) == 1


def test_a_used_up_allowance_rests_and_nothing_is_sent(org: TestedOrg) -> None:
    org.service.faults.append(Fault.REQUEST_LIMIT)
    with pytest.raises(QuotaError):
        org.connect().find(["k"])
    connector = org.connect()
    connector.find(["k"])
    org.service.faults.append(Fault.REQUEST_LIMIT)
    (answer,) = connector.apply([task()])
    assert isinstance(answer, QuotaError)
    assert tasks(org) == []


def test_an_update_yields_to_a_person(org: TestedOrg, account: str) -> None:
    (stale,) = apply(org, update(account, {"Rating": "Cold"}, Rating="Warm"))
    assert isinstance(stale, RejectedError)
    assert "Rating was changed since" in str(stale)
    (fresh,) = apply(org, update(account, {"Rating": "Cold"}, Rating="Hot", AnnualRevenue=1000.5))
    assert fresh == Receipt(key="u1", remote_id=account)
    (again,) = apply(org, update(account, {"Rating": "Cold"}, Rating="Hot"))
    assert again == Receipt(key="u1", remote_id=account, already=True)
    row = org.org.get("Account", account)
    assert row is not None
    assert row["Rating"] == "Cold"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("AnnualRevenue", "1000.5"),  # as the warehouse writes decimals
        ("AnnualRevenue", 1000.50),
        ("NumberOfEmployees", "7"),
        ("OwnerId", "sf:OWNER"),  # as crmsync names records
        ("Description", "one\ntwo"),
        ("Phone", None),
        ("Phone", ""),
        ("IsDeleted", False),
        ("CreatedDate", "2026-03-02T10:00:00+01:00"),
    ],
)
def test_the_same_value_is_the_same_however_it_is_written(
    org: TestedOrg, account: str, field: str, expected: Any
) -> None:
    owner = org.org.rows("User")[0]["Id"]
    org.org.update("Account", account, {"NumberOfEmployees": 7, "Description": "one\r\ntwo"})
    if isinstance(expected, str):
        expected = expected.replace("OWNER", owner)
    (answer,) = apply(org, update(account, {"Rating": "Cold"}, **{field: expected}))
    assert isinstance(answer, Receipt), answer


def test_an_update_whose_answer_was_lost_is_looked_up(org: TestedOrg, account: str) -> None:
    org.service.faults.append(Fault.CUT_AFTER)
    (answer,) = apply(org, update(account, {"Rating": "Cold"}))
    assert answer == Receipt(key="u1", remote_id=account)
    connector = org.connect()
    connector.apply([update(account, {"Rating": "Hot"})])
    org.service.faults.append(Fault.CUT_AFTER)
    (other,) = connector.apply([update(account, {"Rating": "Warm"})])
    assert isinstance(other, Receipt)


def test_an_id_of_fifteen_characters_is_the_same_record(org: TestedOrg, account: str) -> None:
    (stale,) = apply(org, update(account[:15], {"Rating": "Cold"}, Rating="Warm"))
    assert "was changed since" in str(stale)
    (fresh,) = apply(org, update(account[:15], {"Rating": "Cold"}, Rating="Hot"))
    assert isinstance(fresh, Receipt)
    assert rating(org, account) == "Cold"


def rating(org: TestedOrg, account: str) -> object:
    row = org.org.get("Account", account)
    assert row is not None
    return row["Rating"]


def test_a_record_that_nobody_finds_is_not_written_blindly(org: TestedOrg) -> None:
    (answer,) = apply(org, update(chosen_id("001", "nobody"), {"Rating": "Cold"}))
    assert isinstance(answer, RejectedError)
    assert "no such record" in str(answer)
    assert not [call for call in org.service.calls if call.startswith("PATCH")]


def test_updates_of_one_record_are_made_one_after_the_other(org: TestedOrg, account: str) -> None:
    first = update(account, {"Rating": "Warm"}, Rating="Hot")
    then = replace(update(account[:15], {"Rating": "Cold"}, Rating="Warm"), key="u2")
    stale = replace(update(account, {"Rating": "Hot"}, Rating="Warm"), key="u3")
    answers = apply(org, first, then, stale)
    assert [isinstance(answer, Receipt) for answer in answers] == [True, True, False]
    assert rating(org, account) == "Cold"


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.REQUEST_LIMIT])
def test_what_was_created_has_its_receipt_whatever_befalls_the_rest(
    org: TestedOrg, account: str, fault: Fault
) -> None:
    connector = org.connect()
    connector.find(["k"])
    org.service.spared = 1
    org.service.faults.extend([fault] * 5)
    created, changed = connector.apply([task(), update(account, {"Rating": "Cold"})])
    assert isinstance(created, Receipt)
    assert isinstance(changed, TransientError | QuotaError)
    assert len(tasks(org)) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Ratin": "x"}, "no field “Ratin”"),
        ({"LastActivityDate": "2026-01-01"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"Name": "x" * 300}, "too long"),
        ({"Name": None}, "more fields"),
    ],
)
def test_an_update_that_cannot_be(
    org: TestedOrg, account: str, changes: dict[str, Any], words: str
) -> None:
    refused, sound = apply(org, update(account, changes), update(account, {"Rating": "Cold"}))
    assert isinstance(refused, RejectedError)
    assert words in str(refused)
    assert isinstance(sound, Receipt)


@pytest.mark.parametrize(
    "values",
    [{"Status": "In Progress"}, {"Priority": "High"}, {"OwnerId": "COLLEAGUE"}, {"WhatId": None}],
)
def test_a_task_that_somebody_has_worked_on_is_not_taken_back(
    org: TestedOrg, account: str, values: dict[str, Any]
) -> None:
    user = org.org.create("User", {"Username": "o", "LastName": "O", "Email": "o@x.example"})
    made = task(about=(RecordRef(table="account", id=account),))
    (receipt,) = apply(org, made)
    assert isinstance(receipt, Receipt)
    org.clock.pass_time(timedelta(minutes=1))
    changed = {k: user if v == "COLLEAGUE" else v for k, v in values.items()}
    org.org.update("Task", str(receipt.remote_id), changed)
    withdrawal = WithdrawTask(key="w", task=made, remote_id=str(receipt.remote_id))
    (answer,) = apply(org, withdrawal)
    assert isinstance(answer, ChangedError)
    assert not tasks(org)[0]["IsDeleted"]


def test_one_bad_record_does_not_spoil_two_hundred(org: TestedOrg) -> None:
    # The parser refuses a request as a whole, and does not say which record it was.
    actions = [task(f"k{i}", subject="bell \x07" if i == 77 else "fine") for i in range(100)]
    answers = apply(org, *actions)
    refused = [i for i, answer in enumerate(answers) if isinstance(answer, RejectedError)]
    assert refused == [77]
    assert len(tasks(org)) == 99


def test_the_field_for_keys_is_proved_and_made(org: TestedOrg) -> None:
    connector = org.connect(options=org.options(key_field="Other_Key__c"))
    of_tasks, of_mails = connector.check()
    assert of_tasks.fatal
    assert "tasks have no field Other_Key__c" in of_tasks.sentence
    assert "Setup, Object Manager, Activity" in of_tasks.sentence
    assert not of_mails.fatal
    assert "logged mails have no field Other_Key__c" in of_mails.sentence
    said = connector.setup(dry_run=True)
    assert ["Other_Key__c" in one for one in said] == [True, True], "of activities and of mails"
    assert len(connector.check()) == 2
    assert connector.setup(dry_run=False) == said
    # Field-level security hides what the Tooling API makes, until somebody shows it.
    assert len(connector.check()) == 2
    with pytest.raises(AuthError, match="of activities and logged mails is there, and field-level"):
        connector.setup(dry_run=False)
    for name in ("Task", "Event", "EmailMessage"):
        org.org.objects[name].hidden.remove("Other_Key__c")
    assert connector.check() == []
    assert connector.setup(dry_run=False) == []
    connector.apply([task()])
    assert tasks(org)[0]["Other_Key__c"] == "k1"


def test_a_field_that_lets_keys_repeat_is_no_field_for_keys(tmp_path: Any) -> None:
    custom = [f"{name} {KEY} string(40)" for name in ("Task", "EmailMessage")]
    org = TestedOrg(tmp_path, start=START, custom=custom)
    of_tasks, of_mails = org.connect().check()
    org.close()
    assert of_tasks.sentence.startswith(f"the field {KEY} of tasks cannot keep keys: ")
    assert "it is not unique, and it is no External ID, and it is shorter" in of_tasks.sentence
    assert of_mails.sentence.startswith(f"the field {KEY} of logged mails cannot keep keys: ")
    assert [of_tasks.fatal, of_mails.fatal] == [True, False]


def test_who_may_not_create_tasks_is_told_so(org: TestedOrg) -> None:
    org.org.objects["Task"].words |= {"readonly"}
    (finding,) = org.connect().check()
    assert finding.fatal
    assert "“Edit Tasks”" in finding.sentence


@pytest.fixture
def unmarked(tmp_path: Path) -> Iterator[TestedOrg]:
    """An org in which nobody has made a field for keys."""
    folder = tmp_path / "unmarked"
    folder.mkdir()
    org = TestedOrg(folder, start=START, custom=())
    yield org
    org.close()


def test_without_a_field_for_keys_a_mark_in_the_text_finds_a_task_again(
    unmarked: TestedOrg,
) -> None:
    connector = unmarked.connect(options=unmarked.options_without_key_field())
    assert connector.check() == []
    assert connector.setup(dry_run=True) == []
    unmarked.service.faults.append(Fault.CUT_AFTER)
    (lost,) = connector.apply([task(body="Ring.")])
    assert isinstance(lost, UncertainError)
    (row,) = tasks(unmarked)
    assert row["Description"] == f"Ring.\r\n\r\n[crmsync {mark('k1')}]"
    assert connector.find(["k1", "k2"]) == {
        "k1": Receipt(key="k1", remote_id=row["Id"], already=True)
    }
    (again,) = connector.apply([task(body="Ring.")])
    assert again == Receipt(key="k1", remote_id=row["Id"], already=True)
    unmarked.org.delete("Task", row["Id"])
    assert list(connector.find(["k1"])) == ["k1"]


def test_a_lost_place_among_marks_rejects_nothing(unmarked: TestedOrg) -> None:
    connector = unmarked.connect(options=unmarked.options_without_key_field())
    unmarked.settings.page_rows = 2
    connector.apply([task(f"k{number}") for number in range(5)])
    unmarked.service.faults.append(Fault.LOCATOR_GONE)
    (answer,) = connector.apply([task()])
    assert isinstance(answer, TransientError)


def test_what_a_person_writes_below_a_mark_hides_nothing(unmarked: TestedOrg) -> None:
    connector = unmarked.connect(options=unmarked.options_without_key_field())
    (first,) = connector.apply([task(body="Ring.")])
    assert isinstance(first, Receipt)
    (row,) = tasks(unmarked)
    said = f"{row['Description']}\r\n\r\nCalled him, he is happy."
    unmarked.org.update("Task", row["Id"], {"Description": said})
    (again,) = connector.apply([task(body="Ring.")])
    assert again == replace(first, already=True)


def test_a_mark_that_somebody_else_has_copied_finds_nothing(unmarked: TestedOrg) -> None:
    user = unmarked.org.create("User", {"Username": "o", "LastName": "O", "Email": "o@x.example"})
    ours, unmarked.org.user = unmarked.org.user, user
    unmarked.org.create("Task", {"Subject": "x", "Description": f"[crmsync {mark('k1')}]"})
    unmarked.org.user = ours
    connector = unmarked.connect(options=unmarked.options_without_key_field())
    assert connector.find(["k1"]) == {}


def test_a_session_does_not_tell_whose_tasks_are_ours(unmarked: TestedOrg) -> None:
    values = {"url": unmarked.server.address, "session_id": "env:ANY", "key_field": None}
    with pytest.raises(ValueError, match="does not tell whose it is"):
        SalesforceOptions.model_validate(values)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_key_that_nobody_may_fill_in_spoils_no_task(org: TestedOrg, *, hidden: bool) -> None:
    task_object = org.org.objects["Task"]
    if hidden:
        task_object.hidden.add(KEY)
    else:
        task_object.add(replace(task_object.fields[KEY], createable=False))
    answers = apply(org, task("k1"), task("k2", about=()))
    assert [type(answer) for answer in answers] == [AuthError, AuthError]
    assert all("permission set" in str(answer) for answer in answers)


def test_what_cannot_be_looked_up_spoils_no_task(org: TestedOrg) -> None:
    org.org.objects["Task"].hidden.add("Description")
    connector = org.connect("Account", ("Name",), options=org.options_without_key_field())
    (answer,) = connector.apply([task("k1")])
    assert isinstance(answer, AuthError)


@pytest.mark.parametrize("shown", [True, False])
def test_a_note_is_done_by_whatever_name_the_org_has_for_it(org: TestedOrg, *, shown: bool) -> None:
    if shown:
        org.org.call_task_statuses(["Nicht begonnen"], ["Abgeschlossen", "Verworfen"])
    else:
        del org.org.objects["TaskStatus"]
    (answer,) = apply(org, AddNote(key="n1", text="Was called", about=()))
    assert isinstance(answer, Receipt)
    (row,) = org.org.rows("Task")
    assert row["Status"] == ("Abgeschlossen" if shown else "Completed")
    assert row["IsClosed"]
