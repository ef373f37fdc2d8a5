"""What goes wrong without the care that this connector takes.

Each test runs the code that one would write first, against the same simulated org, and sees it
fail; the test that it names shows the connector in the same place.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
)
from simple_salesforce.format import format_soql

from crmsync_salesforce.simulator.messages import Fault
from crmsync_salesforce.simulator.values import told
from crmsync_salesforce.transport import http_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from org_under_test import TestedOrg

    from crmsync_salesforce.simulator.messages import Answer, Request


@pytest.fixture
def plain(org: TestedOrg) -> Any:
    """simple-salesforce as it is, logged in; only that it knows this simulator's certificate."""
    api: Any = Salesforce(
        instance_url=org.server.address,
        session_id=org.service.sessions.open(),
        session=http_session(str(org.server.certificate)),
        version="62.0",
    )
    # It has a flow for each login; which one it is makes no difference here.
    api._salesforce_login_partial = lambda: (org.service.sessions.open(), api.sf_instance)  # noqa: SLF001  it has no other way
    return api


def rows(plain: Any, query: str, since: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = plain.query(format_soql(query, since=since))["records"]
    return found


def names(found: list[dict[str, Any]]) -> list[str]:
    return [row["Name"] for row in found]


def from_the_last_stamp(plain: Any, most: int) -> Iterator[list[str]]:
    """Pages that begin with the last stamp, as long as there are any (airbyte #17148, #6122)."""
    since = "1970-01-02T00:00:00Z"
    for _ in range(most):
        page = rows(
            plain,
            "SELECT Name, SystemModstamp FROM Account WHERE SystemModstamp >= {since:literal} "
            "ORDER BY SystemModstamp LIMIT 5",
            since,
        )
        yield names(page)
        if len(page) < 5:
            return
        since = page[-1]["SystemModstamp"].replace("+0000", "Z")


def test_pages_from_the_last_stamp_loop_for_ever(org: TestedOrg, plain: Any) -> None:
    """Ours: test_a_bulk_import_in_one_second_ends_and_comes_once."""
    for number in range(12):
        org.org.create("Account", {"Name": f"A{number}"})
    pages = list(from_the_last_stamp(plain, most=50))
    assert len(pages) == 50
    assert len({name for page in pages for name in page}) < 12


def test_pages_behind_the_last_stamp_lose_its_others(org: TestedOrg, plain: Any) -> None:
    """Ours: the same."""
    for number in range(12):
        org.org.create("Account", {"Name": f"A{number}"})
    first = rows(plain, "SELECT Name, SystemModstamp FROM Account ORDER BY SystemModstamp LIMIT 5")
    last = first[-1]["SystemModstamp"].replace("+0000", "Z")
    behind = "SELECT Name, SystemModstamp FROM Account WHERE SystemModstamp > {since:literal}"
    assert rows(plain, behind, last) == []


def test_behind_the_latest_stamp_what_is_late_is_lost(org: TestedOrg, plain: Any) -> None:
    """Ours: test_a_row_that_becomes_visible_late_is_read (airbyte #27146)."""
    org.org.create("Account", {"Name": "first"})
    latest = told(org.clock.now())
    org.clock.pass_time(timedelta(minutes=1))
    late = org.org.create("Account", {"Name": "late"})
    org.org.stamp("Account", late, org.clock.now() - timedelta(minutes=2))
    behind = "SELECT Name FROM Account WHERE SystemModstamp > {since:literal}"
    assert rows(plain, behind, latest) == []


def test_pages_by_number_meet_records_twice(org: TestedOrg, plain: Any) -> None:
    """Ours: the laws, test_a_change_during_the_read_is_not_lost (airbyte #20471)."""
    ids = [org.org.create("Account", {"Name": name}) for name in ("a", "b", "c", "d")]
    by_stamp = "SELECT Name FROM Account ORDER BY SystemModstamp LIMIT 2 OFFSET "
    seen = names(rows(plain, by_stamp + "0"))
    org.clock.pass_time(timedelta(minutes=1))
    org.org.update("Account", ids[0], {"Phone": "1"})
    seen += names(rows(plain, by_stamp + "2"))
    assert sorted(seen) != ["a", "b", "c", "d"]


def test_a_plain_query_knows_no_archived_tasks(org: TestedOrg, plain: Any) -> None:
    """Ours: test_archived_activities_are_read."""
    closed = {"Subject": "old", "Status": "Completed", "ActivityDate": "2024-01-02"}
    org.org.create("Task", closed)
    org.org.archive()
    assert rows(plain, "SELECT Subject FROM Task") == []


def test_a_usual_csv_reader_takes_names_for_nothing() -> None:
    """Ours: test_names_are_text_and_nothing_else (airbyte, test_preserve_na_values)."""
    from pyarrow import csv as arrow_csv  # noqa: PLC0415  only here

    text = b'"Name"\n"NA"\n"NULL"\n"007"\n'
    table = arrow_csv.read_csv(
        io.BytesIO(text), convert_options=arrow_csv.ConvertOptions(strings_can_be_null=True)
    )
    assert table["Name"].to_pylist() != ["NA", "NULL", "007"]


def test_the_header_of_a_second_page_becomes_a_record() -> None:
    """Ours: test_the_header_of_later_pages_is_no_record."""
    pages = ['"Name"\n"a"\n', '"Name"\n"b"\n']
    read = list(csv.DictReader(io.StringIO("".join(pages))))
    assert {"Name": "Name"} in read


def test_the_library_alone_asks_for_ever(org: TestedOrg, plain: Any) -> None:
    """Ours: test_an_org_that_ends_each_session_is_not_asked_for_ever (simple-salesforce #804)."""
    org.service.faults.extend([Fault.EXPIRED_SESSION] * 2000)
    with pytest.raises((RecursionError, SalesforceExpiredSession)):
        plain.Account.describe()
    assert len(org.service.requests) > 2


def test_the_library_alone_loses_the_headers(org: TestedOrg, plain: Any) -> None:
    """Ours: test_an_expired_session_is_renewed_once_with_the_same_headers."""
    org.service.faults.append(Fault.EXPIRED_SESSION)
    plain.query("SELECT Id FROM Account", headers={"Sforce-Query-Options": "batchSize=200"})
    first, second = org.service.requests
    assert first.headers["sforce-query-options"] == "batchSize=200"
    assert "sforce-query-options" not in second.headers


def test_the_library_alone_gives_up_a_bulk_job(org: TestedOrg, plain: Any) -> None:
    """Ours: test_a_session_that_dies_in_a_bulk_job_is_renewed (simple-salesforce #619)."""
    org.org.create("Account", {"Name": "a"})
    org.service.faults.append(Fault.EXPIRED_SESSION)
    org.service.spared = 1
    with pytest.raises(SalesforceExpiredSession):
        list(plain.bulk2.Account.query("SELECT Name FROM Account"))


def test_the_library_alone_stumbles_over_a_job_that_tells_no_number(
    org: TestedOrg, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.org.create("Account", {"Name": "a"})
    whole = org.service.jobs.answer

    def untold(request: Request, fault: Fault | None) -> Answer:
        answer = whole(request, fault)
        headers = {k: v for k, v in answer.headers.items() if k != "Sforce-NumberOfRecords"}
        return replace(answer, headers=headers)

    monkeypatch.setattr(org.service.jobs, "answer", untold)
    with pytest.raises(KeyError):
        list(plain.bulk2.Account.query("SELECT Name FROM Account"))
    pages = list(org.connect(bulk_from=1).read("records", None))
    assert sum(page.records.num_rows for page in pages) == 1


def test_the_library_alone_asks_for_deletions_at_no_known_time(org: TestedOrg, plain: Any) -> None:
    """Ours: test_what_was_removed_for_good_is_told."""
    end = org.clock.now().replace(tzinfo=None)
    with pytest.raises(SalesforceMalformedRequest):
        plain.Account.deleted(end - timedelta(days=1), end)


def test_deletions_of_last_month_are_not_told(org: TestedOrg, plain: Any) -> None:
    """Ours: test_deletions_that_nobody_tells_any_more_are_found_by_a_listing."""
    end = org.clock.now()
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_REPLICATION_DATE"):
        plain.Account.deleted(end - timedelta(days=30), end)


def test_a_plain_query_never_tells_that_a_record_is_gone(org: TestedOrg, plain: Any) -> None:
    """Ours: the laws, and those tests; a merged record is one that is gone, too."""
    ids = [org.org.create("Account", {"Name": name}) for name in ("loser", "survivor", "deleted")]
    since = told(org.clock.now())
    org.clock.pass_time(timedelta(minutes=1))
    org.org.merge("Account", ids[0], ids[1])
    org.org.delete("Account", ids[2])
    changed = "SELECT Name FROM Account WHERE SystemModstamp > {since:literal}"
    assert names(rows(plain, changed, since)) == ["survivor"]


def test_windows_of_time_lose_what_lies_on_their_ends(org: TestedOrg, plain: Any) -> None:
    """Ours: test_a_bulk_import_in_one_second_ends_and_comes_once (airbyte #42537)."""
    org.org.create("Account", {"Name": "on the hour"})
    end = told(org.clock.now())
    first = rows(plain, "SELECT Name FROM Account WHERE SystemModstamp < {since:literal}", end)
    second = rows(plain, "SELECT Name FROM Account WHERE SystemModstamp > {since:literal}", end)
    assert first + second == []


def test_a_first_load_of_two_years_lacks_old_customers(org: TestedOrg, plain: Any) -> None:
    """Airbyte #37528 began there, where nobody had said from when on."""
    old = org.org.create("Account", {"Name": "old"})
    org.org.stamp("Account", old, org.clock.now() - timedelta(days=900))
    since = told(org.clock.now() - timedelta(days=730))
    assert (
        rows(plain, "SELECT Name FROM Account WHERE SystemModstamp > {since:literal}", since) == []
    )
    (page,) = org.connect().read("records", None)
    assert page.records["Id"].to_pylist() == [old]


def test_not_every_object_can_be_asked_by_its_stamp(org: TestedOrg, plain: Any) -> None:
    """Ours: test_an_object_without_the_usual_stamp_is_read_by_another (airbyte #68166)."""
    account = org.org.objects["Account"]
    account.add(
        replace(account.fields["SystemModstamp"], unfiltered=True)
    )  # as ActivityFieldHistory
    with pytest.raises(SalesforceMalformedRequest, match="can not be filtered"):
        rows(plain, "SELECT Id FROM Account WHERE SystemModstamp > 2026-01-01T00:00:00Z")
    with pytest.raises(SalesforceMalformedRequest, match="SystemModstamp"):
        rows(plain, "SELECT Id FROM AccountHistory ORDER BY SystemModstamp")


def test_trying_again_uses_up_the_calls_of_others(org: TestedOrg, plain: Any) -> None:
    """Ours: test_an_allowance_that_is_used_up_ends_a_whole_pull_at_its_first_call."""
    org.settings.daily_calls = 0
    tries = 20
    for _ in range(tries):
        with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
            rows(plain, "SELECT Name FROM Account")
    assert org.service.calls.count("GET query") == tries


def test_a_field_that_is_hidden_spoils_the_whole_query(org: TestedOrg, plain: Any) -> None:
    """Ours: test_a_hidden_field_stops_its_stream_rather_than_being_empty, and the one behind it."""
    org.org.objects["Account"].hidden.add("Phone")
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_FIELD"):
        rows(plain, "SELECT Name, Phone FROM Account")


def test_an_answer_that_was_lost_makes_a_task_twice(org: TestedOrg, plain: Any) -> None:
    """Ours: test_a_lost_answer_is_looked_up_and_nothing_is_doubled."""
    org.service.faults.append(Fault.CUT_AFTER)
    with pytest.raises(requests.exceptions.ConnectionError):
        plain.Task.create({"Subject": "Call"})
    plain.Task.create({"Subject": "Call"})
    assert len(org.org.rows("Task")) == 2


def test_a_mail_and_a_task_for_it_are_two_tasks(org: TestedOrg, plain: Any) -> None:
    """Ours: test_the_org_makes_the_task_and_we_make_none."""
    account = org.org.create("Account", {"Name": "a"})
    mail = {"Subject": "Hello", "RelatedToId": account, "Status": "3", "FromAddress": "a@b.example"}
    plain.EmailMessage.create(mail)
    plain.Task.create({"Subject": "Hello", "WhatId": account, "TaskSubtype": "Email"})
    assert len(org.org.rows("Task")) == 2


def test_an_update_without_a_look_overwrites_what_a_person_did(org: TestedOrg, plain: Any) -> None:
    """Ours: test_an_update_yields_to_a_person."""
    account = org.org.create("Account", {"Name": "a", "Rating": "Hot"})
    (decided_on,) = rows(plain, "SELECT Rating FROM Account")
    org.org.update("Account", account, {"Rating": "Warm"})
    plain.Account.update(account, {"Rating": "Cold" if decided_on["Rating"] == "Hot" else "Hot"})
    assert rows(plain, "SELECT Rating FROM Account")[0]["Rating"] == "Cold"


def test_a_day_that_becomes_an_instant_is_another_day(org: TestedOrg, plain: Any) -> None:
    """Ours: test_both_ways_bring_the_same_text, and days stay days in the warehouse."""
    org.org.create("Task", {"Subject": "Call", "ActivityDate": "2026-03-29"})
    (row,) = rows(plain, "SELECT ActivityDate FROM Task")
    midnight = datetime.fromisoformat(row["ActivityDate"]).replace(tzinfo=UTC)
    there = midnight.astimezone(ZoneInfo("America/New_York")).date()
    assert there.isoformat() == "2026-03-28"
