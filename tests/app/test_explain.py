from __future__ import annotations

from typing import TYPE_CHECKING

from support.commands import call, call_json
from support.company import make_company

if TYPE_CHECKING:
    from pathlib import Path

AT = ("--at", "2026-03-02T09:00")
LOST = """\
rule: lost-gold
subject: account
when: [{tier: {changed: {from: gold, in_last: 7 days}}}]
then: [{note: {text: Ask why.}}]
"""


def company(folder: Path) -> Path:
    """Acme was gold until it was read again on 1 March; its call has a link in the CRM."""
    config = make_company(folder)
    text = config.read_text(encoding="utf-8")
    named = "{account: account, kind: kind, at: at, subject: about, owner: who, url: link}"
    config.write_text(text.replace("{account: account, kind: kind, at: at}", named), "utf-8")
    (folder / "crm" / "activities.csv").write_text(
        "id,account,kind,at,about,who,link\n"
        "T1,A1,call,2026-02-10 10:00,“The renewal”,U1,https://crm.example/T1\n"
        "T2,A2,call,2026-02-11 10:00,,,\n",
        encoding="utf-8",
    )
    (folder / "rules" / "lost.yaml").write_text(LOST, encoding="utf-8")
    call("sync", "--config", config, "--at", "2026-02-20T09:00")
    accounts = folder / "crm" / "accounts.csv"
    accounts.write_text(accounts.read_text("utf-8").replace("Acme,U1,gold", "Acme,U1,silver"))
    call("sync", "--config", config, "--at", "2026-03-01T09:00")
    return config


def test_the_records_that_counted_are_named_with_their_links(tmp_path: Path) -> None:
    config = company(tmp_path)
    lost, renewal = call_json("explain", "A1", "--config", config, *AT)["rules"]
    (evidence,) = renewal["clauses"][1]["evidence"]
    owner = evidence.pop("by")
    assert owner
    assert evidence == {
        "table": "activity",
        "record": "crm:T1",
        "words": "call ““The renewal””",
        "at": "2026-02-10T10:00:00+01:00",
        "url": "https://crm.example/T1",
    }
    assert lost["clauses"][0]["seen"] == "changed from gold to silver at 2026-03-01 09:00 CET"
    assert lost["clauses"][0]["distance"] == "1 of at most 7 days"
    text = call("explain", "A1", "--config", config, *AT).stdout
    told = f"2026-02-10 10:00 CET  call ““The renewal”” by {owner}  https://crm.example/T1"
    assert f"│   └── {told}\n" in text or f"    └── {told}\n" in text


def test_what_changed_later_has_not_changed_yet(tmp_path: Path) -> None:
    config = company(tmp_path)
    at = ("--at", "2026-02-28T09:00", "--rule", "lost-gold")
    (rule,) = call_json("explain", "A1", "--config", config, *at)["rules"]
    assert rule["verdict"] == "no"
    assert rule["clauses"][0]["evidence"] == []
    plan = call_json("plan", "--no-sync", "--config", config, *AT)
    (why,) = [a["why"] for a in plan["actions"] if a["rule"] == "lost-gold"]
    assert "is changed from gold to silver at 2026-03-01 09:00 CET" in why[0]


def test_at_a_past_time_the_record_is_as_it_was(tmp_path: Path) -> None:
    config = company(tmp_path)
    (tmp_path / "rules" / "gold.yaml").write_text(
        "rule: gold\nsubject: account\nwhen: [{tier: gold}, {name: Acme}, {owner.email: x}]\n"
        "then: [{note: {text: Thanks.}}]\n"
    )
    now = ("--config", config, "--rule", "gold", "--at")
    then = call_json("explain", "A1", *now, "2026-02-25T09:00")
    (rule,) = then["rules"]
    assert then["as_it_was"]
    assert [clause["verdict"] for clause in rule["clauses"]] == ["yes", "yes", "no"]
    assert [clause["assumed"] for clause in rule["clauses"]] == [
        [],  # its changes are kept
        ["account.name is taken as it is now: no history is kept of it"],
        ["user.email is taken as it is now: no history is kept of it"],
    ]
    assert rule["notes"] == []  # what a run would do now is no part of it
    today = call_json("explain", "A1", *now, "2026-03-01T09:00")
    assert not today["as_it_was"]
    assert today["rules"][0]["clauses"][0]["verdict"] == "no"
    assert not any(clause["assumed"] for clause in today["rules"][0]["clauses"])
    early = call_json("explain", "A1", *now, "2026-02-19T09:00")["rules"][0]["clauses"][0]
    assert early["assumed"] == [
        "account.tier is taken as it was first known, at 2026-02-20 09:00 CET"
    ]
    text = call("explain", "A1", *now, "2026-02-25T09:00").stdout
    assert "at 2026-02-25 09:00 CET, as it was then\n" in text
    assert "└── assumed: account.name is taken as it is now" in text


def test_what_was_done_later_is_not_told_of_a_past_time(tmp_path: Path) -> None:
    config = company(tmp_path)
    call("run", "--config", config, *AT)
    at = ("--config", config, "--rule", "lost-gold", "--at")
    (rule,) = call_json("explain", "A1", *at, "2026-02-28T09:00")["rules"]
    assert rule["notes"] == []
    (rule,) = call_json("explain", "A1", *at, "2026-03-02T10:00")["rules"]
    assert rule["notes"][0].startswith("in this rule since 2026-03-02 09:00 CET (active)")


def test_a_goal_that_was_reached_is_told(tmp_path: Path) -> None:
    rule = "rule: win-back\nsubject: account\nwhen: [{tier: gold}]\n"
    rule += "until: [{tier: silver, goal: true}]\nthen: [{note: {text: Ask.}}]\n"
    config = make_company(tmp_path, renewal_at_risk=rule)
    call("run", "--config", config, *AT)
    accounts = tmp_path / "crm" / "accounts.csv"
    accounts.write_text(accounts.read_text("utf-8").replace("Acme,U1,gold", "Acme,U1,silver"))
    call("run", "--config", config, "--at", "2026-03-03T09:00")
    at = ("--config", config, "--at", "2026-03-03T10:00")
    (acme,) = call_json("explain", "A1", *at)["rules"]
    assert acme["notes"][0].endswith("; it reached its goal")


def test_it_tells_the_round_and_the_text_that_somebody_goes_by(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    file = tmp_path / "rules" / "renewal-at-risk.yaml"
    text = file.read_text(encoding="utf-8").replace("then:", "repeat_every: 5 days\nthen:")
    file.write_text(text, encoding="utf-8")
    for day in (16, 18, 23):
        call_json("run", "--config", config, "--at", f"2026-02-{day}T09:00+01:00")
    file.write_text(text.replace("30 days", "29 days"), encoding="utf-8")
    at = "2026-02-23T10:00+01:00"
    report = call_json(
        "explain", "Acme", "--config", config, "--at", at, "--rule", "renewal-at-risk"
    )
    notes = report["rules"][0]["notes"]
    assert notes[0] == (
        "in this rule since 2026-02-18 09:00 CET (active), by the text of the rule as it was "
        "then, for the 2. time since 2026-02-23 09:00 CET"
    )
    assert notes[-1] == "held task#3: it comes again 5 days after it came last"


def test_what_other_rules_take_of_a_cap_is_not_there_any_more(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    caps = "policy: {caps: [{per: contact, at_most: 1, within: 7 days}]}\n"
    config.write_text(config.read_text("utf-8") + caps, encoding="utf-8")
    first = "rule: first\npriority: 90\nsubject: contact\nwhen: [{first_name: Ann}]\n"
    first += "then: [{email: {to: contact, from: company, template: hello}}]\n"
    (tmp_path / "rules" / "first.yaml").write_text(first, encoding="utf-8")
    hello = "---\nsubject: Hello\nclass: commercial\n---\nHello {{ contact.first_name }}\n"
    (tmp_path / "templates" / "hello.txt").write_text(hello, encoding="utf-8")
    call("sync", "--config", config, *AT)
    (rule,) = call_json("explain", "A1", "--config", config, *AT, "--rule", "renewal-at-risk")[
        "rules"
    ]
    (mail,) = [note for note in rule["notes"] if "email" in note]
    assert mail.startswith("deferred until 2026-03-09"), mail
