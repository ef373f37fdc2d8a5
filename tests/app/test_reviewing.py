"""A person approves, edits and rejects what would go out; and whom a new rule contacts."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.workspace import open_workspace
from crmsync.cli.reports.words import WAIT_FOR_A_WORD
from crmsync.clock import SystemClock
from support.commands import call, call_json
from support.company import CONFIG, FILES, RULE, make_company

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

_AT, _LATER, _THIRD_DAY = "2026-03-02T09:00", "2026-03-02T10:00", "2026-03-04T09:30"
_ASKED = RULE.replace("check-in\n", "check-in\n      approval: {by: owner, expires: 2 days}\n")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The mail to Acme awaits approval; the one to Blue is dropped."""
    config = make_company(tmp_path, renewal_at_risk=_ASKED)
    _call(config, "run")
    return config


def _call(config: Path, *words: str, at: str = _AT) -> dict[str, Any]:
    return call_json(*words, "--config", config, "--at", at)


def _key(config: Path) -> str:
    (one,) = _call(config, "review")["awaiting"]
    assert one["action"]["subject_name"] == "Acme"
    key: str = one["action"]["key"]
    return key


def _mails(config: Path) -> list[EmailMessage]:
    folder = config.parent / "crm" / "outbox" / "new"
    files = sorted(folder.iterdir()) if folder.exists() else []
    return [message_from_bytes(file.read_bytes(), policy=default) for file in files]


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_nothing_goes_out_before_it_is_approved_and_then_once(config: Path) -> None:
    assert _mails(config) == []
    assert _call(config, "run", at=_LATER)["delivery"]["done"] == 0
    (one,) = _call(config, "review", "list")["awaiting"]
    assert one["reason"] == "Jo Meyer must approve it first"
    assert one["action"]["since"] == "2026-03-02T09:00:00+01:00"  # a later run asks nobody anew
    said = _call(config, "review", "approve", _key(config), "--as", "Jo", "--reason", "fine")
    assert (said["verdict"], said["by"]) == ("approved", "Jo")
    assert _mails(config) == []
    assert _call(config, "run", at=_LATER)["delivery"]["done"] == 1
    assert _call(config, "run", at=_THIRD_DAY)["delivery"]["done"] == 0
    assert [str(mail["Subject"]) for mail in _mails(config)] == ["Acme: your renewal"]


def test_looking_at_it_approves_nothing(config: Path) -> None:
    key = _key(config)
    shown = _call(config, "review", "show", key[:30])
    assert shown["action"]["title"] == "Acme: your renewal"
    assert shown["text"].startswith("Hello Ann,\n\nyour contract renews ")
    assert _call(config, "run", at=_LATER)["delivery"]["done"] == 0


def test_what_was_approved_is_what_is_sent_whatever_the_template_says_by_then(
    config: Path,
) -> None:
    template = config.parent / "templates" / "renewal" / "check-in.txt"
    template.write_text(template.read_text("utf-8").replace("Hello", "Good day"), "utf-8")
    _call(config, "run", at=_LATER)
    assert _call(config, "review", "show", _key(config))["text"].startswith("Hello Ann")
    _call(config, "review", "approve", _key(config))
    template.write_text(template.read_text("utf-8").replace("Good day", "Hey"), "utf-8")
    _call(config, "run", at=_LATER)
    (mail,) = _mails(config)
    assert _text(mail).startswith("Hello Ann")


def test_an_approval_is_not_for_another_recipient(config: Path) -> None:
    _call(config, "review", "approve", _key(config))
    contacts = config.parent / "crm" / "contacts.csv"
    contacts.write_text(contacts.read_text("utf-8").replace("ann@acme", "boss@acme"), "utf-8")
    assert _call(config, "run", at=_LATER)["delivery"]["done"] == 0
    shown = _call(config, "review", "show", _key(config))
    assert shown["action"]["to"] == '"Ann Smith" <boss@acme.example>'
    assert _call(config, "run", at=_LATER)["delivery"]["done"] == 0
    _call(config, "review", "approve", _key(config))
    assert _call(config, "run", at=_LATER)["delivery"]["done"] == 1


def test_the_other_gates_are_asked_after_the_approval(config: Path) -> None:
    _call(config, "review", "approve", _key(config))
    contacts = FILES["crm/contacts.csv"].replace("acme.example,no", "acme.example,yes")
    (config.parent / "crm" / "contacts.csv").write_text(contacts, "utf-8")
    (action,) = _call(config, "run", at=_LATER)["plan"]["actions"]
    assert (action["state"], _mails(config)) == ("dropped", [])
    assert "has unsubscribed" in action["reason"]


def test_the_edited_words_are_sent_and_shown_as_edited(config: Path) -> None:
    key = _key(config)
    _call(config, "review", "edit", key, "--text", "Dear Ann,\nlet us talk.", "--as", "Ann")
    _call(config, "review", "edit", key, "--subject", "A word\nbefore", "--as", "Jo")
    _call(config, "run", at=_LATER)
    assert _call(config, "review")["awaiting"][0]["edited_by"] == "Jo"
    _call(config, "review", "approve", key)
    _call(config, "run", at=_LATER)
    (mail,) = _mails(config)
    assert (mail["Subject"], _text(mail).strip()) == ("A word before", "Dear Ann,\nlet us talk.")
    assert mail.get_body(("html",)) is None
    shown = _call(config, "review", "show", key)
    assert (shown["action"]["state"], shown["edited_by"]) == ("done", "Jo")
    assert any("edited by Ann" in line for line in shown["history"])


def test_edited_words_that_no_longer_stand_are_told_and_shown_as_nobodys(config: Path) -> None:
    key = _key(config)
    _call(config, "review", "edit", key, "--text", "Dear Ann,\nlet us talk.", "--as", "Jo")
    contacts = config.parent / "crm" / "contacts.csv"
    contacts.write_text(contacts.read_text("utf-8").replace("ann@acme", "boss@acme"), "utf-8")
    _call(config, "run", at=_LATER)
    (one,) = _call(config, "review")["awaiting"]
    assert (one["edited_by"], one["edited_in_vain_by"]) == (None, "Jo")
    words = ("review", "show", key, "--config", config, "--at", _LATER)
    printed = call(*words).stdout
    assert "The words of Jo no longer stand" in printed
    assert "The words are those of" not in printed
    _call(config, "review", "edit", key, "--subject", "Another word", "--as", "Ann", at=_LATER)
    shown = call_json(*words)
    assert (shown["edited_by"], shown["edited_in_vain_by"]) == ("Ann", None)


def test_an_editor_gives_it_other_words(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = _key(config)
    monkeypatch.delenv("VISUAL", raising=False)
    for editor, sentence in (
        ("true", "nothing was changed"),
        ("false", "the editor did not end well"),
        ("", "no editor is set"),
        ("sed -i s/Subject:/Topic:/", "the first line must begin with “Subject: ”"),
    ):
        monkeypatch.setenv("EDITOR", editor)
        refused = call("review", "edit", key, "--config", config)
        assert (refused.exit_code, sentence in refused.stderr) == (2, True)
    monkeypatch.setenv("EDITOR", "sed -i 's/Hello/Dear/; s/your renewal/soon/'")
    assert call("review", "edit", key, "--config", config).exit_code == 0
    shown = _call(config, "review", "show", key)
    assert shown["action"]["title"] == "Acme: soon"
    assert shown["text"].startswith("Dear Ann,\n\nyour contract")


def test_what_was_rejected_is_never_sent(config: Path) -> None:
    key = _key(config)
    needs_reason = call("review", "reject", key, "--config", config)
    assert needs_reason.exit_code == 2
    _call(config, "review", "reject", key, "--reason", "I have called them", "--as", "Jo")
    assert _call(config, "run", at=_LATER)["delivery"]["done"] == 0
    shown = _call(config, "review", "show", key)["action"]
    assert (shown["state"], shown["error"]) == ("dropped", "Jo rejected it: I have called them")
    again = call("review", "approve", key, "--config", config)
    assert again.exit_code == 2
    assert "is dropped; nobody is asked to approve it" in again.stderr


def test_what_nobody_approves_in_time_is_dropped(config: Path) -> None:
    assert _call(config, "run", at="2026-03-04T09:00")["plan"]["actions"][0]["state"] != "dropped"
    (action,) = _call(config, "run", at=_THIRD_DAY)["plan"]["actions"]
    assert action["reason"] == "Jo Meyer had not approved it within 2 days"
    assert (action["state"], _call(config, "review")["awaiting"]) == ("dropped", [])


def test_who_leaves_the_rule_needs_no_approval_any_more(config: Path) -> None:
    accounts = config.parent / "crm" / "accounts.csv"
    accounts.write_text(accounts.read_text("utf-8").replace("2026-03-20", "2026-09-20"), "utf-8")
    _call(config, "run", at=_LATER)
    assert _call(config, "review")["awaiting"] == []


def test_the_config_asks_for_all_rules_and_a_step_cannot_loosen_that(tmp_path: Path) -> None:
    policy = "policy:\n  approval: {by: owner, of: [email, task], expires: 1 day}\n"
    config = make_company(tmp_path, config=CONFIG + policy, renewal_at_risk=_ASKED)
    actions = _call(config, "run")["plan"]["actions"]
    assert {a["kind"]: a["state"] for a in actions if a["account"] == "Acme"} == {
        "task": "awaiting approval",
        "email": "awaiting approval",
    }
    actions = _call(config, "run", at="2026-03-03T09:01")["plan"]["actions"]
    assert {a["reason"] for a in actions if a["account"] == "Acme"} == {
        "Jo Meyer had not approved it within 1 day"
    }


def test_without_anybody_to_approve_it_is_held(tmp_path: Path) -> None:
    accounts = FILES["crm/accounts.csv"].replace(",U1,", ",,")
    rule = _ASKED.replace("check-in\n", "check-in\n      from: company\n")
    config = make_company(tmp_path, accounts=accounts, renewal_at_risk=rule)
    held = {one["step"]: one["reason"] for one in _call(config, "run")["plan"]["held"]}
    assert held["email"] == "nobody is there to approve it: no active owner"


@pytest.mark.parametrize(
    ("approval", "sentence"),
    [
        ("nobody", "has no"),
        ("team.x", "one person approves: write a path to a user, and no team"),
        ("{by: owner, expires: soon}", "“soon” is not a duration"),
        ("{by: owner, expires: 2 business days}", "an approval expires after calendar time"),
        ("{who: owner}", "unknown key “who” in “approval”"),
    ],
)
def test_an_approval_that_cannot_be_is_a_mistake(
    tmp_path: Path, approval: str, sentence: str
) -> None:
    rule = RULE.replace("check-in\n", f"check-in\n      approval: {approval}\n")
    config = make_company(tmp_path, renewal_at_risk=rule)
    problems = _call_check(config)
    assert len(problems) == 1
    assert sentence in problems[0]
    assert "renewal-at-risk.yaml:1" in problems[0]


def _call_check(config: Path) -> list[str]:
    problems: list[str] = call_json("check", "--config", config, "--offline")["problems"]
    return problems


@pytest.fixture
def previewed(tmp_path: Path) -> Path:
    config = make_company(tmp_path, config=CONFIG.replace("existing: enrol\n", ""))
    _call(config, "run")
    return config


def test_existing_matches_are_contacted_once_a_person_says_so(previewed: Path) -> None:
    (waiting,) = _call(previewed, "review")["existing"]
    assert (waiting["rule"], waiting["subjects"]) == (
        "renewal-at-risk",
        {"crm:A1": "Acme", "crm:A2": "Blue"},
    )
    listed = call("review", "--config", previewed).stdout
    assert "renewal-at-risk: 2 records matched it when it was new" in listed
    said = _call(previewed, "review", "enrol", "renewal-at-risk", "acme", "--as", "Jo")
    assert said["subjects"] == {"crm:A1": "Acme"}
    _call(previewed, "review", "ignore", "renewal-at-risk", "--all")
    assert _call(previewed, "review")["existing"] == []
    report = _call(previewed, "run", at=_LATER)
    assert {a["account"] for a in report["plan"]["actions"]} == {"Acme"}
    assert report["delivery"]["done"] == 2
    assert _call(previewed, "run", at=_THIRD_DAY)["delivery"]["done"] == 0


def test_who_no_longer_matches_is_not_contacted(previewed: Path) -> None:
    _call(previewed, "review", "enrol", "renewal-at-risk", "--all")
    accounts = previewed.parent / "crm" / "accounts.csv"
    accounts.write_text(accounts.read_text("utf-8").replace("2026-03-20", "2026-09-20"), "utf-8")
    report = _call(previewed, "run", at=_LATER)
    assert {a["account"] for a in report["plan"]["actions"]} == {"Blue"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("enrol", "renewal-at-risk"), "name either records, or --all"),
        (("enrol", "renewal-at-risk", "A1", "--all"), "name either records, or --all"),
        (("ignore", "other", "--all"), "nobody waits in the rule “other”"),
        (("enrol", "renewal-at-risk", "Nobody"), "“Nobody” does not wait in the rule"),
        (("approve", "x"), "there is no action whose key begins with “x”"),
    ],
)
def test_words_that_fit_nothing_are_refused(
    previewed: Path, words: tuple[str, ...], sentence: str
) -> None:
    result = call("review", *words, "--config", previewed)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_who_said_what_is_kept(config: Path) -> None:
    key = _key(config)
    _call(config, "review", "edit", key, "--subject", "Soon", "--as", "Ann", "--reason", "short")
    _call(config, "review", "approve", key, "--as", "Jo")
    (reviewed,) = open_workspace(config, SystemClock()).ledger.reviewed()
    assert [(said.verdict, said.said_by, said.reason) for said in reviewed.said] == [
        ("edited", "Ann", "short"),
        ("approved", "Jo", ""),
    ]


def test_the_way_from_plan_to_review_is_told_step_by_step(tmp_path: Path) -> None:
    """A plan notes nothing, so whom it names can be enrolled only once a run has noted them."""
    config = make_company(tmp_path)
    config.write_text(CONFIG.replace("existing: enrol\n", ""), encoding="utf-8")
    at = ("--config", config, "--at", _AT)
    plan = " ".join(call("plan", *at).output.split())
    enrol = f"crmsync review enrol --config {config} renewal-at-risk crm:A1"
    assert f"to contact it, say so after the rule's first run: {enrol}" in plan
    too_early = call("review", "enrol", "renewal-at-risk", "crm:A1", *at)
    assert too_early.exit_code == 2
    assert f"A rule's first “crmsync run --config {config}” notes who matches" in too_early.output
    ran = " ".join(call("run", *at).output.split())
    assert f"2 records {WAIT_FOR_A_WORD}" in ran
    plan = " ".join(call("plan", *at).output.split())
    assert f"to contact it, say so: {enrol}" in plan
    assert call("review", "enrol", "renewal-at-risk", "crm:A1", *at).exit_code == 0
