"""The main job, through the command line."""

from __future__ import annotations

import csv
import mailbox
import os
from datetime import timedelta
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.ledger.store import Ledger
from support.commands import AT, call, call_json
from support.company import FILES, RULE, make_company

if TYPE_CHECKING:
    from pathlib import Path


def _tasks(crm: Path) -> list[dict[str, str]]:
    with (crm / "tasks.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _mails(crm: Path) -> list[Any]:
    folder = mailbox.Maildir(crm / "outbox", create=False)
    return [message_from_bytes(m.as_bytes(), policy=policy.default) for m in folder]


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_demo_does_the_whole_job_and_a_second_run_does_nothing(demo: Path) -> None:
    config = demo / "config.yaml"
    first = call_json("run", "--config", config, "--at", AT.isoformat())
    ready = [action for action in first["plan"]["actions"] if action["state"] == "ready"]
    kinds = [action["kind"] for action in ready]
    assert first["delivery"]["done"] == len(ready) >= 60
    assert len(_tasks(demo / "crm")) == kinds.count("task") > 20
    assert len(_mails(demo / "crm")) == kinds.count("email") > 20
    assert {count["rule"] for count in first["plan"]["rules"] if count["matches"] == 0} == set()
    before = _contents(demo / "crm")
    later = AT + timedelta(hours=1)
    second = call_json("run", "--config", config, "--at", later.isoformat())
    assert second["plan"]["actions"] == []
    assert second["delivery"]["done"] == 0
    assert _contents(demo / "crm") == before


def test_a_mail_bears_names_as_the_crm_has_them_and_the_clock_of_its_sender(tmp_path: Path) -> None:
    contacts = FILES["crm/contacts.csv"].replace(",Ann,", ',"Ann ""the \\ <b>"" X, Jr.",')
    rule = RULE.replace("  - email:\n", "  - id: nudge\n    email:\n")
    config = make_company(tmp_path, contacts=contacts, renewal_at_risk=rule)
    call_json("run", "--config", config, "--at", "2026-03-02T09:00")
    (mail,) = _mails(tmp_path / "crm")
    (ann,) = mail["To"].addresses
    assert (ann.display_name, ann.addr_spec) == (
        'Ann "the \\ <b>" X, Jr. Smith',
        "ann@acme.example",
    )
    assert mail["Date"].endswith("09:00:00 +0100")
    explained = call("explain", "Acme", "--config", config, "--at", "2026-03-02T09:30").output
    assert "email “nudge” done at 2026-03-02 09:00 CET" in explained


def test_what_is_due_and_did_not_go_out_is_not_called_handed_out(tmp_path: Path) -> None:
    rule = RULE[: RULE.index("  - task:")] + RULE[RULE.index("  - email:") :]
    config = make_company(tmp_path, renewal_at_risk=rule)
    (tmp_path / "crm" / "outbox").write_text("in the way")
    told = " ".join(call("run", "--config", config, "--at", "2026-03-02T09:00").output.split())
    assert "Due, and not handed out: 1 mail." in told, told


def test_two_runs_at_once_are_one_run_and_a_sentence(demo: Path) -> None:
    config = demo / "config.yaml"
    crm = _contents(demo / "crm")
    with Ledger(demo / "state" / "ledger.sqlite") as other, other.evaluating(since=AT):
        refused = call("run", "--config", config, "--at", AT.isoformat())
        assert refused.exit_code == 1
        assert "another crmsync is at work on" in refused.stderr
        assert f"process {os.getpid()} on " in refused.stderr
        assert other.last_runs() == ()
        assert _contents(demo / "crm") == crm
        assert call_json("plan", "--config", config, "--at", AT.isoformat())["actions"]
    done = call_json("run", "--config", config, "--at", AT.isoformat())["delivery"]["done"]
    assert done > 0


def test_plan_says_what_run_does_and_changes_nothing(demo: Path) -> None:
    config = demo / "config.yaml"
    crm = _contents(demo / "crm")
    plan = call_json("plan", "--config", config, "--at", AT.isoformat())
    again = call_json("plan", "--config", config, "--at", AT.isoformat())
    assert _contents(demo / "crm") == crm
    assert again["actions"] == plan["actions"]
    run = call_json("run", "--config", config, "--at", AT.isoformat())
    assert run["plan"]["actions"] == plan["actions"]
    assert run["plan"]["held"] == plan["held"]
    status = call_json("status", "--config", config, "--at", AT.isoformat())
    assert status["effects"]["done"] == run["delivery"]["done"]


def test_the_same_instant_gives_the_same_company_to_the_byte(tmp_path: Path) -> None:
    for name in ("one", "two"):
        call("demo", "--prepare", "--dir", tmp_path / name, "--at", AT.isoformat())
    one, two = _contents(tmp_path / "one"), _contents(tmp_path / "two")
    assert one == two
    assert {"config.yaml", "crm/accounts.csv", "rules/renewal-at-risk.yaml"} <= one.keys()
    assert "crm/tasks.csv" not in one


def test_the_smallest_rule_as_the_design_has_it(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    report = call_json("run", "--config", config, "--at", "2026-03-02T09:00")
    (task, other) = _tasks(tmp_path / "crm")
    assert task["subject"] == "Call Acme: renews Mar 20, 2026"
    assert (task["assignee"], task["due"]) == ("U1", "2026-03-03")
    assert other["subject"] == "Call Blue: renews Mar 25, 2026"
    (mail,) = _mails(tmp_path / "crm")
    assert mail["To"] == "Ann Smith <ann@acme.example>"
    assert mail["From"] == "Jo Meyer <jo@vendor.example>"
    assert mail["Subject"] == "Acme: your renewal"
    assert "Hello Ann," in mail.get_content()
    (dropped,) = [a for a in report["plan"]["actions"] if a["state"] == "dropped"]
    assert dropped["subject_name"] == "Blue"
    assert "unsubscribed" in dropped["reason"]


def test_a_customer_who_answered_is_left_alone_and_can_come_back(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    call("run", "--config", config, "--at", "2026-03-02T09:00")
    activities = tmp_path / "crm" / "activities.csv"
    text = activities.read_text(encoding="utf-8")
    activities.write_text(text + "T4,A1,email,2026-03-02 16:00\n", encoding="utf-8")
    report = call_json("run", "--config", config, "--at", "2026-03-03T09:00")
    assert report["plan"]["actions"] == []
    explained = call_json("explain", "Acme", "--config", config, "--at", "2026-03-03T09:00")
    (rule,) = explained["rules"]
    assert rule["verdict"] == "no"
    assert any("until 2026-03-03" in note for note in rule["notes"])
    report = call_json("run", "--config", config, "--at", "2026-03-17T09:00")
    assert {action["subject_name"] for action in report["plan"]["actions"]} == {"Acme"}


def test_a_new_rule_lists_those_that_match_and_contacts_them_once_told(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("existing: enrol\n", ""), encoding="utf-8")
    report = call_json("run", "--config", config, "--at", "2026-03-02T09:00")
    assert report["plan"]["actions"] == []
    assert {held["subject_name"] for held in report["plan"]["held"]} == {"Acme", "Blue"}
    assert not (tmp_path / "crm" / "tasks.csv").exists()
    config.write_text(text, encoding="utf-8")
    report = call_json("run", "--config", config, "--at", "2026-03-02T10:00")
    assert len(_tasks(tmp_path / "crm")) == 2


def test_what_was_never_read_holds_the_rule_and_says_so(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    (tmp_path / "crm" / "activities.csv").unlink()
    result = call("plan", "--config", config, "--at", "2026-03-02T09:00")
    assert result.exit_code == 1
    assert "activities.csv" in result.output
    report = call_json("plan", "--config", config, "--at", "2026-03-02T09:00")
    assert report["actions"] == []
    assert {held["subject_name"] for held in report["held"]} == {"Acme", "Blue"}
    assert all("last_contact" in held["reason"] for held in report["held"])


def test_a_rule_that_would_reach_too_many_lets_nothing_out(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    config.write_text(
        config.read_text(encoding="utf-8") + "policy: {most_actions_per_run: 2}\n", encoding="utf-8"
    )
    result = call("run", "--config", config, "--at", "2026-03-02T09:00")
    assert result.exit_code == 1
    assert "policy.most_actions_per_run" in result.output
    assert not (tmp_path / "crm" / "tasks.csv").exists()


@pytest.mark.parametrize("what", ["A1", "crm:A1", "acme", "ACM"])
def test_explain_finds_a_record_by_id_and_by_name(tmp_path: Path, what: str) -> None:
    config = make_company(tmp_path)
    call("sync", "--config", config, "--at", "2026-03-02T09:00")
    report = call_json("explain", what, "--config", config, "--at", "2026-03-02T09:00")
    assert report["subject_name"] == "Acme"
    (rule,) = report["rules"]
    assert rule["verdict"] == "yes"
    assert [clause["verdict"] for clause in rule["clauses"]] == ["yes", "yes"]


def test_explain_of_nobody_and_of_too_many_is_wrong_use(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    call("sync", "--config", config, "--at", "2026-03-02T09:00")
    nobody = call("explain", "Zebra", "--config", config)
    assert nobody.exit_code == 2
    assert "no account is called “Zebra”" in nobody.stderr
    several = call("explain", "a", "--config", config)
    assert several.exit_code == 2
    assert "Acme (account crm:A1)" in several.stderr


def test_the_whole_text_of_a_mail_survives_a_pipe(tmp_path: Path) -> None:
    line = "This sentence is longer than any terminal that we know of, and not a word of it " * 3
    template = FILES["templates/renewal/check-in.txt"] + line + "may be lost.\n"
    config = make_company(tmp_path, check_in=template)
    printed = call("plan", "--full", "--config", config, "--at", "2026-03-02T09:00").stdout
    assert f"        {line}may be lost.\n" in printed


def test_explain_says_what_the_next_run_will_do(tmp_path: Path) -> None:
    users = "id,name,email\nU2,Somebody Else,else@vendor.example\n"
    config = make_company(tmp_path, users=users)
    at = ("--config", config, "--at", "2026-03-02T09:00")
    call("sync", *at)
    (rule,) = call_json("explain", "Acme", *at)["rules"]
    assert rule["notes"] == [
        "held task: no active user among: owner",
        "held email: there is no active owner in whose name it could be sent",
    ]
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("existing: enrol\n", ""), encoding="utf-8")
    (rule,) = call_json("explain", "Acme", *at)["rules"]
    assert rule["notes"][0].startswith("held: it matched already when the rule was new")
    config.write_text(text, encoding="utf-8")
    (tmp_path / "crm" / "users.csv").write_text(
        users + FILES["crm/users.csv"].splitlines()[1] + "\n", encoding="utf-8"
    )
    call("sync", *at)
    (rule,) = call_json("explain", "Acme", *at)["rules"]
    assert rule["notes"] == [
        "next: task for Jo Meyer: Call Acme: renews Mar 20, 2026",
        'next: email for "Ann Smith" <ann@acme.example>: Acme: your renewal',
    ]


def test_an_address_that_is_none_is_quoted(tmp_path: Path) -> None:
    contacts = FILES["crm/contacts.csv"].replace("ann@acme.example", "ann(at)acme.example")
    config = make_company(tmp_path, contacts=contacts)
    report = call_json("plan", "--config", config, "--at", "2026-03-02T09:00")
    reasons = {held["subject_name"]: held["reason"] for held in report["held"]}
    assert reasons["Acme"] == (
        "“ann(at)acme.example” of Ann Smith is no e-mail address; mend it in the CRM"
    )


def test_a_run_with_rows_that_nobody_could_read_is_not_all_well(tmp_path: Path) -> None:
    accounts = FILES["crm/accounts.csv"].replace("2026-03-20", "20.03.2026")
    config = make_company(tmp_path, accounts=accounts)
    assert call("run", "--config", config, "--at", "2026-03-02T09:00").exit_code == 1


def test_a_run_that_cannot_read_says_that_it_could_not_decide(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    for file in tmp_path.rglob("*.csv"):
        file.unlink()
    found = call("run", "--config", config)
    assert found.exit_code == 1
    assert "Nothing was due." not in found.stdout
    last = found.stdout.partition("Nothing was handed out. What needs this data was not decided:")[
        2
    ]
    assert "accounts.csv" in last
