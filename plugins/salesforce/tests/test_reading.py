"""Each test is a way in which connectors to Salesforce are known to lose, double or loop."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import RejectedError, TransientError
from crmsync.model.pages import DELETED
from crmsync_salesforce import bulk, soql
from crmsync_salesforce.client import SalesforceClient
from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.messages import Answer, Fault, Request
from crmsync_salesforce.simulator.objects import parsed_field
from crmsync_salesforce.tables import csv_as_tables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from org_under_test import TestedOrg

    from crmsync.model.pages import Page
    from crmsync_salesforce.connector import SalesforceConnector

Row = dict[str, Any]


def read(connector: SalesforceConnector, since: str | None = None) -> list[Page]:
    pages = list(connector.read("records", since))
    connector.close()
    return pages


def rows(pages: Iterable[Page]) -> list[Row]:
    return [row for page in pages for row in page.records.to_pylist()]


def ids(pages: Iterable[Page]) -> list[str]:
    return [row["Id"] for row in rows(pages)]


def accounts(org: TestedOrg, count: int, **values: Any) -> list[str]:
    return [org.org.create("Account", {"Name": f"Account {i}"} | values) for i in range(count)]


@pytest.fixture(params=[10_000, 1], ids=["queries", "bulk"])
def bulk_from(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_a_bulk_import_in_one_second_ends_and_comes_once(org: TestedOrg) -> None:
    # Airbyte #17148, #6122, #9883: `>= t` with a limit asks for the same page for ever.
    org.settings.page_rows = 8
    made = accounts(org, 100)
    pages = read(org.connect())
    assert ids(pages) == sorted(made)
    middle = pages[5].cursor
    assert ids(read(org.connect(), middle)) == sorted(made)[48:]


def test_a_row_that_becomes_visible_late_is_read(org: TestedOrg, bulk_from: int) -> None:
    # Airbyte #27146: it is committed with a stamp that lies before the newest one read.
    accounts(org, 3)
    cursor = read(org.connect(bulk_from=bulk_from))[-1].cursor
    late = org.org.create("Account", {"Name": "Late"})
    org.org.stamp("Account", late, org.clock.now() - timedelta(minutes=9))
    assert late in ids(read(org.connect(bulk_from=bulk_from), cursor))


def test_an_org_that_tells_no_time_loses_nothing(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Our own clock may be ahead of the org's, or be told to be (--at).
    monkeypatch.setattr(SalesforceClient, "_seen_in", lambda *_: None)
    accounts(org, 3)
    ahead = org.clock.now() + timedelta(days=30)
    cursor = read(org.connect(now=ahead))[-1].cursor
    org.clock.pass_time(timedelta(hours=1))
    (later,) = accounts(org, 1)
    assert later in ids(read(org.connect(now=ahead), cursor))


def test_what_is_later_than_the_look_back_is_not_promised(org: TestedOrg) -> None:
    accounts(org, 3)
    cursor = read(org.connect())[-1].cursor
    late = org.org.create("Account", {"Name": "Late"})
    org.org.stamp("Account", late, org.clock.now() - timedelta(minutes=21))
    assert late not in ids(read(org.connect(), cursor))
    assert late in ids(read(org.connect(look_back="30 minutes")))


def test_nothing_new_costs_one_call(org: TestedOrg) -> None:
    accounts(org, 30)
    cursor = read(org.connect())[-1].cursor
    org.clock.pass_time(timedelta(minutes=20))
    # The first of them reads the look-back once more, and the next has nothing to read.
    for expected in (30, 0, 0):
        org.service.calls.clear()
        pages = read(org.connect(), cursor)
        assert len(ids(pages)) == expected
        assert org.service.calls == ["GET queryAll"]
        cursor = pages[-1].cursor if pages else cursor


def test_a_first_load_by_bulk_counts_its_calls(org: TestedOrg) -> None:
    accounts(org, 300)
    pages = read(org.connect(bulk_from=100))
    assert sorted(ids(pages)) == sorted(ids(read(org.connect())))
    assert pages[-1].snapshot is not None
    assert pages[-1].snapshot.last
    bulk_calls = [call.split("/")[0] for call in org.service.calls][:7]
    assert bulk_calls == [
        "GET sobjects",
        "GET queryAll",
        "POST jobs",
        "GET jobs",
        "GET jobs",
        "GET jobs",
        "GET sobjects",
    ]


@pytest.mark.parametrize("everywhere", [True, False])
def test_the_header_of_later_pages_is_no_record(org: TestedOrg, *, everywhere: bool) -> None:
    org.settings.bulk_rows = 4
    org.settings.headers_on_all_pages = everywhere
    made = accounts(org, 18)
    found = rows(read(org.connect(bulk_from=1)))
    assert sorted(row["Id"] for row in found) == sorted(made)
    assert {row["Name"] for row in found} == {f"Account {i}" for i in range(18)}


@pytest.mark.parametrize(
    "name",
    ["NA", "N/A", "NULL", "null", "nan", "007", "1e5", "true", '"', "a,b", "=1+1", "-", "Id"],
)
def test_names_are_text_and_nothing_else(org: TestedOrg, bulk_from: int, name: str) -> None:
    accounts(org, 1, Name=name, Description='one\r\ntwo, "three"\r\n\r\nfour')
    (row,) = rows(
        read(org.connect("Account", ("Name", "Description", "Phone"), bulk_from=bulk_from))
    )
    assert row["Name"] == name
    assert row["Description"] == 'one\r\ntwo, "three"\r\n\r\nfour'
    assert row["Phone"] is None


def test_both_ways_bring_the_same_text(org: TestedOrg) -> None:
    user = org.org.create("User", {"Username": "u", "LastName": "U", "Email": "u@x.example"})
    account = org.org.create("Account", {"Name": "A", "AnnualRevenue": 1234567.5, "OwnerId": user})
    org.org.create(
        "Opportunity",
        {
            "Name": "O",
            "StageName": "Closed Won",
            "CloseDate": "2026-03-29",
            "AccountId": account,
            "Amount": 0.1,
        },
    )
    columns: tuple[str, ...] = ("Name", "CloseDate", "Amount", "IsWon", "CreatedDate")
    columns += ("Account.Owner.Email", "Account.AnnualRevenue")
    by_query = rows(read(org.connect("Opportunity", columns)))
    assert rows(read(org.connect("Opportunity", columns, bulk_from=1))) == by_query
    (row,) = by_query
    assert row["CloseDate"] == "2026-03-29"
    assert row["Amount"] == "0.1"
    assert row["IsWon"] == "true"
    assert row["CreatedDate"] == "2026-03-02T09:00:00.000Z"
    assert row["Account.Owner.Email"] == "u@x.example"


def test_references_to_many_objects_are_told_apart(org: TestedOrg, bulk_from: int) -> None:
    account = org.org.create("Account", {"Name": "A"})
    deal = org.org.create(
        "Opportunity", {"Name": "O", "StageName": "Won", "CloseDate": "2026-03-29"}
    )
    lead = org.org.create("Lead", {"LastName": "L", "Company": "C"})
    org.org.create("Task", {"Subject": "1", "WhatId": account})
    org.org.create("Task", {"Subject": "2", "WhatId": deal, "WhoId": lead})
    columns = ("Subject", "WhatId:Account", "WhatId:Opportunity", "WhoId:Contact", "AccountId")
    found = {
        row["Subject"]: row for row in rows(read(org.connect("Task", columns, bulk_from=bulk_from)))
    }
    assert found["1"]["WhatId:Account"] == found["1"]["AccountId"] == account
    assert found["1"]["WhatId:Opportunity"] is None
    assert found["2"]["WhatId:Opportunity"] == deal
    assert found["2"]["WhoId:Contact"] is None


def test_archived_activities_are_read(org: TestedOrg, bulk_from: int) -> None:
    # query() leaves them out without a word: "nobody spoke with them" would be wrong.
    old = org.org.create(
        "Task", {"Subject": "Call", "Status": "Completed", "ActivityDate": "2024-05-01"}
    )
    org.org.archive()
    assert ids(read(org.connect("Task", ("Subject",), bulk_from=bulk_from))) == [old]


def test_what_was_removed_for_good_is_told(org: TestedOrg) -> None:
    first, second, kept = accounts(org, 3)
    cursor = read(org.connect())[-1].cursor
    org.clock.pass_time(timedelta(hours=3))
    org.org.delete("Account", first)
    org.org.purge("Account", first)
    org.org.purge("Account", second)
    org.clock.pass_time(timedelta(hours=22))
    gone = rows(read(org.connect(), cursor))
    assert {row["Id"] for row in gone if row[DELETED]} == {first, second}
    assert kept not in {row["Id"] for row in gone if row[DELETED]}


def test_deletions_that_nobody_tells_any_more_are_found_by_a_listing(org: TestedOrg) -> None:
    gone, kept = accounts(org, 2)
    cursor = read(org.connect())[-1].cursor
    org.org.delete("Account", gone)
    org.org.purge("Account", gone)
    org.clock.pass_time(timedelta(days=20))
    pages = read(org.connect(), cursor)
    listed = [page for page in pages if page.snapshot is not None]
    assert listed[-1].snapshot is not None
    assert listed[-1].snapshot.last
    assert ids(listed) == [kept]
    assert not [p for p in read(org.connect(), pages[-1].cursor) if p.snapshot is not None]


def test_deletions_that_the_org_has_forgotten_early_are_found_by_a_listing(org: TestedOrg) -> None:
    made = accounts(org, 9)
    cursor = read(org.connect())[-1].cursor
    org.org.purge("Account", made[0])
    org.clock.pass_time(timedelta(days=2))
    # A long list of deletions may be cut every two hours.
    org.settings.deletions_forgotten = org.clock.now() - timedelta(hours=1)
    pages = read(org.connect(), cursor)
    assert ids([page for page in pages if page.snapshot is not None]) == sorted(made[1:])


def test_what_became_visible_while_a_reading_was_broken_off_is_read(org: TestedOrg) -> None:
    org.settings.page_rows = 5
    made = accounts(org, 12)
    connector = org.connect()
    cursor = next(iter(connector.read("records", None))).cursor
    connector.close()
    began = org.clock.now()
    org.clock.pass_time(timedelta(hours=1))
    (late,) = accounts(org, 1)
    org.org.stamp("Account", late, began - timedelta(minutes=1))
    pages = read(org.connect(), cursor)
    assert set(ids(pages)) == set(made[5:])
    assert late in ids(read(org.connect(), pages[-1].cursor))


def test_too_many_deletions_are_found_by_a_listing(org: TestedOrg) -> None:
    org.settings.most_deleted = 3
    made = accounts(org, 9)
    cursor = read(org.connect())[-1].cursor
    for one in made[:5]:
        org.org.purge("Account", one)
    org.clock.pass_time(timedelta(days=2))
    pages = read(org.connect(), cursor)
    assert ids([page for page in pages if page.snapshot is not None]) == sorted(made[5:])


def test_a_lost_place_is_found_again(org: TestedOrg) -> None:
    org.settings.page_rows = 8
    made = accounts(org, 30)
    org.service.faults.append(Fault.LOCATOR_GONE)
    assert ids(read(org.connect())) == sorted(made)
    assert not org.service.faults


def test_a_session_that_dies_in_a_bulk_job_is_renewed(org: TestedOrg) -> None:
    # simple-salesforce #619, tap-salesforce #222.
    made = accounts(org, 20)
    org.service.faults.append(Fault.EXPIRED_IN_JOB)
    assert sorted(ids(read(org.connect(bulk_from=1)))) == sorted(made)
    assert org.service.sessions.logins == 2


def jobs_made(org: TestedOrg) -> int:
    return sum(call.startswith("POST jobs") for call in org.service.calls)


@pytest.mark.parametrize("fault", [Fault.JOB_FAILED, Fault.JOB_GONE])
def test_a_job_that_came_to_nothing_is_made_anew(org: TestedOrg, fault: Fault) -> None:
    made = accounts(org, 20)
    org.service.faults.append(fault)
    pages = read(org.connect(bulk_from=1))
    assert sorted(ids(pages)) == sorted(made)
    org.clock.pass_time(timedelta(hours=1))
    later = accounts(org, 5)
    org.service.faults.append(fault)
    assert set(ids(read(org.connect(bulk_from=1), pages[-1].cursor))) >= set(later)


@pytest.mark.parametrize("fault", [Fault.JOB_FAILED, Fault.JOB_GONE])
@pytest.mark.parametrize("first", [True, False])
def test_jobs_that_come_to_nothing_are_not_made_for_ever(
    org: TestedOrg, fault: Fault, *, first: bool
) -> None:
    made = accounts(org, 20)
    cursor = None
    if not first:
        cursor = read(org.connect(bulk_from=1))[-1].cursor
        org.clock.pass_time(timedelta(hours=1))
        made += accounts(org, 5)
    before = jobs_made(org)
    org.service.faults.extend([fault] * 9)
    told: list[Page] = []
    with pytest.raises(TransientError, match="bulk job"):
        told.extend(org.connect(bulk_from=1).read("records", cursor))
    assert jobs_made(org) - before == 2
    org.service.faults.clear()
    found = ids(read(org.connect(bulk_from=1), told[-1].cursor))
    assert set(found) >= set(made if first else made[20:])


def test_a_job_that_fails_while_nobody_waits_does_not_stop_its_stream(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LONGEST_SILENCE", -1.0)
    made = accounts(org, 5)
    connector = org.connect(bulk_from=1)
    waiting = next(iter(connector.read("records", None)))
    connector.close()
    org.service.jobs.fail_all()
    assert set(ids(read(org.connect(bulk_from=1), waiting.cursor))) == set(made)


def test_a_job_need_not_sort(org: TestedOrg) -> None:
    # Airbyte #27969: what is large takes too long to sort.
    accounts(org, 5)
    cursor = read(org.connect())[-1].cursor
    org.clock.pass_time(timedelta(hours=1))
    made = accounts(org, 5)
    assert set(ids(read(org.connect(bulk_from=1), cursor))) >= set(made)
    asked = [one for one in org.service.requests if one.parts == ("jobs", "query")]
    (job,) = (one.json() for one in asked)
    assert "ORDER BY" not in job["query"]


def test_what_takes_a_query_too_long_is_left_to_a_bulk_job(org: TestedOrg) -> None:
    made = accounts(org, 5)
    org.service.faults.append(Fault.QUERY_TIMEOUT)
    pages = read(org.connect())
    assert pages[-1].snapshot is not None
    assert sorted(ids(pages)) == sorted(made)
    org.clock.pass_time(timedelta(hours=1))
    later = accounts(org, 3)
    org.service.faults.append(Fault.QUERY_TIMEOUT)
    pages = read(org.connect(), pages[-1].cursor)
    assert set(ids(pages)) >= set(later)
    assert not org.service.faults
    assert len([call for call in org.service.calls if call.startswith("POST jobs")]) == 2


def test_a_long_job_is_waited_for_in_pages_without_records(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The engine gives up a page after a quarter of an hour; a job may take longer.
    monkeypatch.setattr(bulk, "LONGEST_SILENCE", -1.0)
    made = accounts(org, 5)
    pages = read(org.connect(bulk_from=1))
    assert [page.records.num_rows for page in pages[:2]] == [0, 5]
    resumed = read(org.connect(bulk_from=1), pages[0].cursor)
    assert resumed[0].snapshot == pages[1].snapshot
    assert sorted(ids(resumed[:1])) == sorted(made)


def test_what_the_bulk_api_does_not_read_is_queried(org: TestedOrg) -> None:
    # Airbyte's list of such objects is long, and the org says so only when it is asked.
    org.settings.no_bulk = frozenset({"Account"})
    org.settings.page_rows = 7
    made = accounts(org, 30)
    pages = read(org.connect(bulk_from=1))
    assert sorted(ids(pages)) == sorted(made)
    gone = made.pop()
    org.org.purge("Account", gone)
    org.clock.pass_time(timedelta(days=20))
    for one in made[:20]:
        org.org.update("Account", one, {"Name": "Changed"})
    later = read(org.connect(bulk_from=1), pages[-1].cursor)
    listed = [page for page in later if page.snapshot is not None]
    assert sorted(ids(listed)) == sorted(made)
    assert {row["Name"] for row in rows(later) if row["Id"] in made[:20]} == {"Changed"}


def test_who_may_not_use_the_bulk_api_is_queried(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.org.create("Account", {"Name": "Acme"})
    refused = OrgError("FUNCTIONALITY_NOT_ENABLED", "No Bulk API", status=403)

    def create(*_: object) -> None:
        raise refused

    monkeypatch.setattr(org.service.jobs, "_create", create)
    pages = list(org.connect(bulk_from=0).read("records", None))
    assert [page.records.num_rows for page in pages] == [1]


@pytest.mark.parametrize("first", [True, False])
def test_what_the_bulk_api_cannot_read_after_all_is_queried(org: TestedOrg, *, first: bool) -> None:
    made, cursor = accounts(org, 20), None
    if not first:
        cursor = read(org.connect(bulk_from=1))[-1].cursor
        org.clock.pass_time(timedelta(hours=1))
        made = accounts(org, 5)
    words = "InvalidBatch : Cannot serialize value for 'BillingAddress' in CSV format"
    org.settings.fails_in_bulk = {"Account": words}
    before = jobs_made(org)
    assert set(ids(read(org.connect(bulk_from=1), cursor))) >= set(made)
    assert jobs_made(org) - before == 1


def test_columns_stand_where_their_header_says() -> None:
    lines = io.BufferedReader(io.BytesIO(b'"Name","Id"\n"Acme","001"\n'))
    (table,) = csv_as_tables(lines, ["Id", "Name"])
    assert table.to_pylist() == [{"Id": "001", "Name": "Acme"}]


def test_a_page_that_is_cut_off_is_not_taken_for_whole(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts(org, 20)
    whole = org.service.jobs.answer

    def short(request: Request, fault: Fault | None) -> Answer:
        answer = whole(request, fault)
        if request.parts[-1] != "results":
            return answer
        lines = answer.body.rstrip(b"\n").rpartition(b"\n")[0]
        return replace(answer, body=lines + b"\n")

    monkeypatch.setattr(org.service.jobs, "answer", short)
    with pytest.raises(TransientError, match="19 of 20 records"):
        read(org.connect(bulk_from=1))


def test_a_job_is_resumed_where_it_was_left(org: TestedOrg) -> None:
    org.settings.bulk_rows = 5
    made = accounts(org, 20)
    connector = org.connect(bulk_from=1)
    reading = iter(connector.read("records", None))
    first = [next(reading), next(reading)]
    connector.close()
    jobs = [call for call in org.service.calls if call.startswith("POST jobs")]
    rest = read(org.connect(bulk_from=1), first[-1].cursor)
    assert [call for call in org.service.calls if call.startswith("POST jobs")][:1] == jobs
    listing = [page for page in (*first, *rest) if page.snapshot is not None]
    assert len({page.snapshot.id for page in listing if page.snapshot}) == 1
    assert ids(listing) == sorted(made)


def test_a_hidden_field_stops_its_stream_rather_than_being_empty(org: TestedOrg) -> None:
    accounts(org, 3, Phone="1")
    connector = org.connect("Account", ("Name", "Phone"))
    assert connector.check() == []
    cursor = read(connector)[-1].cursor
    org.org.objects["Account"].hidden.add("Phone")
    connector = org.connect("Account", ("Name", "Phone"))
    (finding,) = connector.check()
    assert finding.stream == "records"
    assert finding.fatal
    org.clock.pass_time(timedelta(minutes=1))
    accounts(org, 1, Name="New")
    for since in (None, cursor):
        with pytest.raises(
            RejectedError, match="no field “Phone”, or field-level security"
        ) as told:
            read(org.connect("Account", ("Name", "Phone")), since)
        assert str(told.value) == finding.sentence
    org.org.objects["Account"].hidden.clear()
    assert [row["Name"] for row in rows(read(connector, cursor)) if row["Phone"] is None] == ["New"]


def test_an_optional_field_that_is_hidden_is_empty_until_it_is_shown(org: TestedOrg) -> None:
    def connected() -> SalesforceConnector:
        return org.connect("Account", ("Name", "Phone"), optional=("Phone",))

    accounts(org, 3, Phone="1")
    org.org.objects["Account"].hidden.add("Phone")
    assert [finding.fatal for finding in connected().check()] == [False]
    assert "Phone" in {field.name for field in connected().describe("records")}
    hidden = read(connected())
    assert {row["Phone"] for row in rows(hidden)} == {None}
    org.org.objects["Account"].hidden.clear()
    org.service.calls.clear()
    assert rows(read(connected(), hidden[-1].cursor))
    assert org.service.calls == ["GET queryAll"], "what is missing is not asked for each time"
    org.clock.pass_time(timedelta(hours=1))
    shown = read(connected(), hidden[-1].cursor)
    assert [row["Phone"] for row in rows(shown)] == ["1", "1", "1"]


@pytest.mark.parametrize("there", [True, False])
def test_an_object_without_the_usual_stamp_is_read_by_another(
    org: TestedOrg, *, there: bool
) -> None:
    account = org.org.objects["Account"]
    if there:
        # Airbyte #68166: that of ActivityFieldHistory cannot be filtered.
        account.add(replace(account.fields["SystemModstamp"], unfiltered=True))
    else:
        account.hidden.add("SystemModstamp")
    made = accounts(org, 3)
    pages = read(org.connect())
    assert ids(pages) == sorted(made)
    assert "LastModifiedDate" in pages[0].records.column_names


def test_more_fields_than_an_address_can_name(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"A_rather_long_name_of_a_custom_field_{i}__c" for i in range(400)]
    for name in names:
        org.org.add_field("Account", parsed_field(f"  {name} string(10)"))
    made = accounts(org, 3, **{names[0]: "x"})
    found = rows(read(org.connect("Account", names)))
    assert sorted(row["Id"] for row in found) == sorted(made)
    assert {row[names[0]] for row in found} == {"x"}
    monkeypatch.setattr(soql, "LONGEST_QUERY", 10**6)
    with pytest.raises(RejectedError, match=r"414|URI"):
        read(org.connect("Account", names))


def test_formula_fields_are_read_again_on_a_schedule(org: TestedOrg) -> None:
    # A roll-up moves no time of change.
    (account,) = accounts(org, 1)
    columns = ("Name", "LastActivityDate")
    options: Row = {"reread_every": "7 days"}
    cursor = read(org.connect("Account", columns, **options))[-1].cursor
    org.clock.pass_time(timedelta(minutes=30))
    org.org.create(
        "Task",
        {"Subject": "x", "WhatId": account, "Status": "Completed", "ActivityDate": "2026-03-01"},
    )
    later = read(org.connect("Account", columns, **options), cursor)
    cursor = later[-1].cursor if later else cursor
    org.clock.pass_time(timedelta(days=8))
    again = rows(read(org.connect("Account", columns, **options), cursor))
    assert [row["LastActivityDate"] for row in again] == ["2026-03-01"]


def test_an_instant_is_written_without_a_plus_sign() -> None:
    moment = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
    assert soql.instant(moment) == "2026-03-02T09:00:00.123Z"
    assert "+" not in soql.changes("Account", ("Id",), "SystemModstamp", since=soql.instant(moment))


def test_an_object_that_is_not_there(org: TestedOrg) -> None:
    with pytest.raises(RejectedError, match="no object “Acount”"):
        read(org.connect("Acount"))
    (finding,) = org.connect("Acount").check()
    assert finding.stream == "records"


@pytest.mark.parametrize(
    "name",
    ["EmailMessage", "Case", "Contract", "Order", "Asset", "CampaignMember", "Event", "Contact"],
)
def test_other_objects_are_read(org: TestedOrg, name: str) -> None:
    account = org.org.create("Account", {"Name": "A"})
    contact = org.org.create("Contact", {"LastName": "C", "AccountId": account})
    campaign = org.org.create("Campaign", {"Name": "C"})
    values: dict[str, Row] = {
        "EmailMessage": {"Subject": "Hi", "RelatedToId": account, "Incoming": True},
        "Case": {"AccountId": account, "Subject": "Help"},
        "Contract": {"AccountId": account},
        "Order": {"AccountId": account, "EffectiveDate": "2026-03-01", "Status": "Draft"},
        "Asset": {"Name": "A", "AccountId": account},
        "CampaignMember": {"CampaignId": campaign, "ContactId": contact},
        "Event": {"Subject": "Visit", "WhatId": account, "ActivityDate": "2026-03-05"},
        "Contact": {"LastName": "D", "AccountId": account},
    }
    made = org.org.create(name, values[name])
    columns = tuple(values[name])
    found = {row["Id"]: row for row in rows(read(org.connect(name, columns)))}
    expected = {k: "true" if v is True else v for k, v in values[name].items()}
    assert expected.items() <= found[made].items()
