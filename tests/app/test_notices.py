"""What a mailbox tells of addresses moves what waits for their people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.commands import call, call_json
from support.company import CONFIG, RULE, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT = "2026-03-02T09:00+00:00"
_MAILBOX = """\
  mailbox:
    connector: files
    path: mailbox
    streams:
      mails:
        file: mails.csv
        complete: true
        table: activity
        key: id
        fields:
          kind: {value: email}
          at: at
          direction: direction
          automated: automated
          sender: sender
          addresses: addresses
          message_id: message_id
          answers: answers
          notice: notice
          notice_address: address
          notice_reason: reason
          notice_until: until
"""
_HEAD = (
    "id,at,direction,automated,sender,addresses,message_id,answers,notice,address,reason,until\n"
)
_OURS = "O {to},2026-01-02 10:00,outbound,no,jo@vendor.example,{to},{id},,,,,\n"
_BOUNCE = "{id},{at},inbound,yes,mailer-daemon@mx.example,,,{of},{kind},{address},{reason},\n"
_LATER = "{id},{at},inbound,{automated},Ann@Acme.example,ann@acme.example,,,{kind},{of},,{until}\n"
_SENT = "sent-to-ann@vendor.example"


def bounce(
    at: str, kind: str = "hard_bounce", address: str = "Ann@acme.example", of: str = _SENT
) -> str:
    reason = "no such address"
    return _BOUNCE.format(id=f"B {at}", at=at, kind=kind, address=address, reason=reason, of=of)


def mail(at: str, kind: str = "", until: str = "") -> str:
    automated, of = ("yes", "ann@acme.example") if kind else ("no", "")
    return _LATER.format(id=f"M {at}", at=at, automated=automated, kind=kind, of=of, until=until)


@pytest.fixture
def company(tmp_path: Path) -> Path:
    (tmp_path / "mailbox").mkdir()
    (tmp_path / "mailbox" / "mails.csv").write_text(
        _HEAD + _OURS.format(to="ann@acme.example", id=_SENT), encoding="utf-8"
    )
    return make_company(tmp_path, config=CONFIG + _MAILBOX)


def arrive(config: Path, *mails: str) -> None:
    path = config.parent / "mailbox" / "mails.csv"
    path.write_text(path.read_text(encoding="utf-8") + "".join(mails), encoding="utf-8")


def acme(config: Path, at: str = _AT) -> Any:
    """Of the mail to Ann: its state and reason, or why it is held."""
    plan = call_json("plan", "--config", config, "--at", at)
    for action in plan["actions"]:
        if action["subject_name"] == "Acme" and action["kind"] == "email":
            return action["state"], action["reason"], action["not_before"]
    (held,) = [h for h in plan["held"] if h["subject_name"] == "Acme" and h["step"] == "email"]
    return "held", held["reason"], None


def test_nothing_is_held_without_a_notice(company: Path) -> None:
    assert acme(company)[0] == "ready"


def test_nothing_goes_out_while_a_mailbox_cannot_be_read(company: Path) -> None:
    (company.parent / "mailbox" / "mails.csv").rename(company.parent / "mails.csv")
    rule = company.parent / "rules" / "renewal-at-risk.yaml"
    without = RULE.replace("  - last_contact: {older_than: 14 days}\n", "")
    rule.write_text(without, encoding="utf-8")
    state, reason, _ = acme(company)
    assert state == "held"
    assert reason.startswith("whether the customer wants no mail is not known as of now: the ")
    assert "“mails” of mailbox" in reason
    (company.parent / "mails.csv").rename(company.parent / "mailbox" / "mails.csv")
    assert acme(company)[0] == "ready"


@pytest.mark.parametrize("kind", ["hard_bounce", "complaint"])
@pytest.mark.parametrize("of", ["", "forged@evil.example", "sent-to-bob@vendor.example"])
def test_a_notice_that_names_no_mail_of_ours_to_them_moves_nothing(
    company: Path, kind: str, of: str
) -> None:
    ours = _OURS.format(to="bob@blue.example", id="sent-to-bob@vendor.example")
    arrive(company, ours, bounce("2026-02-27 10:00", kind, of=of))
    assert acme(company)[0] == "ready"


@pytest.mark.parametrize(("kind", "state"), [("hard_bounce", "held"), ("complaint", "dropped")])
@pytest.mark.parametrize("named", ["", "anns-private@mail.example"])
def test_a_notice_is_about_who_got_the_mail_whomever_it_names(
    company: Path, kind: str, state: str, named: str
) -> None:
    arrive(company, bounce("2026-02-27 10:00", kind, address=named))
    assert acme(company)[0] == state


def test_of_a_mail_to_several_a_notice_is_about_whom_it_names(company: Path) -> None:
    several = _OURS.format(to="ann@acme.example bob@acme.example", id="both@vendor.example")
    arrive(company, several)
    arrive(
        company, bounce("2026-02-26 10:00", address="bob@acme.example", of="both@vendor.example")
    )
    assert acme(company)[0] == "ready"
    arrive(company, bounce("2026-02-27 10:00", of="both@vendor.example"))
    assert acme(company)[0] == "held"


def test_a_bounce_holds_until_the_address_is_another(company: Path) -> None:
    arrive(company, bounce("2026-02-27 10:00"))
    state, reason, _ = acme(company)
    assert state == "held"
    assert reason == (
        "mail to ann@acme.example came back on 2026-02-27: no such address; "
        "correct the address in the CRM"
    )
    status = call("run", "--config", company, "--at", _AT)
    assert status.exit_code == 0
    assert "came back on 2026-02-27" in " ".join(
        call("status", "--config", company, "--at", _AT).stdout.split()
    )
    contacts = company.parent / "crm" / "contacts.csv"
    text = contacts.read_text(encoding="utf-8")
    contacts.write_text(text.replace("ann@acme", "anna@acme"), encoding="utf-8")
    assert acme(company)[0] == "ready"


def _renamed(config: Path, old: str, new: str) -> None:
    contacts = config.parent / "crm" / "contacts.csv"
    text = contacts.read_text(encoding="utf-8")
    assert old in text
    contacts.write_text(text.replace(old, new), encoding="utf-8")


def test_a_bounce_names_an_international_domain_in_its_own_way(company: Path) -> None:
    _renamed(company, "ann@acme.example", "ann@bücher.example")
    address = "ann@xn--bcher-kva.example"
    arrive(company, _OURS.format(to=address, id="idn@vendor.example"))
    arrive(company, bounce("2026-02-27 10:00", address=address, of="idn@vendor.example"))
    assert acme(company)[0] == "held"


@pytest.mark.parametrize("spelling", ["ann@xn--bcher-kva.example", "Ann Lee <ann@BÜCHER.example>"])
def test_a_no_counts_in_whatever_spelling(company: Path, spelling: str) -> None:
    _renamed(company, "ann@acme.example", "ann@bücher.example")
    assert acme(company)[0] == "ready"
    _renamed(company, "ben@blue.example", spelling)  # who has unsubscribed
    assert acme(company)[:2] == (
        "dropped",
        "crm:C2, who has the same address, has unsubscribed, and this mail is commercial",
    )


def test_a_bounce_that_has_not_come_yet_holds_nothing(company: Path) -> None:
    arrive(company, bounce("2026-03-02 12:00"))
    assert acme(company)[0] == "ready"
    assert acme(company, "2026-03-02T13:00+00:00")[0] == "held"


def test_mail_from_the_address_shows_that_it_lives(company: Path) -> None:
    arrive(company, bounce("2026-02-11 10:00"), mail("2026-02-12 08:00"))
    assert acme(company)[0] == "ready"
    arrive(company, bounce("2026-02-13 10:00"))
    assert acme(company)[0] == "held"


def test_soft_bounces_hold_when_they_come_again(company: Path) -> None:
    arrive(company, bounce("2026-02-26 10:00", "soft_bounce"))
    assert acme(company)[0] == "ready"
    arrive(company, bounce("2026-02-27 10:00", "soft_bounce"))
    assert acme(company)[0] == "held"


def test_a_complaint_drops(company: Path) -> None:
    arrive(company, bounce("2026-01-10 10:00", "complaint"))
    state, reason, _ = acme(company)
    assert (state, reason) == (
        "dropped",
        "ann@acme.example called a mail of ours spam on 2026-01-10",
    )


@pytest.mark.parametrize("kind", ["complaint", "hard_bounce"])
def test_a_person_takes_back_what_mail_has_told(company: Path, kind: str) -> None:
    arrive(company, bounce("2026-02-27 10:00", kind))
    assert acme(company)[0] in {"dropped", "held"}
    lift = ("suppress", "Ann@acme.example", "--lift", "--config", company, "--as", "Jo")
    (lifted,) = call_json(*lift, "--at", "2026-03-02T09:10+00:00")["lifted"]
    assert lifted["reason"].startswith("a mail")
    assert (lifted["said_at"], lifted["lifted_by"]) == ("2026-02-27T10:00:00+01:00", "Jo")
    later = "2026-03-02T09:20+00:00"
    assert acme(company, later)[0] == "ready"
    again = call(*lift, "--at", later)
    assert (again.exit_code, "is not suppressed" in again.stderr) == (2, True)
    assert call_json("status", "--config", company, "--at", later)["stops"] == []
    arrive(company, bounce("2026-03-02 10:30", kind))
    assert acme(company, "2026-03-02T10:00+00:00")[0] in {"dropped", "held"}


def test_an_absence_defers_until_they_are_back(company: Path) -> None:
    arrive(company, mail("2026-03-01 10:00", "out_of_office", "2026-03-04"))
    state, reason, until = acme(company)
    assert (state, until) == ("deferred", "2026-03-04T23:00:00+00:00")
    assert reason.endswith("away, until 2026-03-04")
    call_json("run", "--config", company, "--at", _AT)
    assert acme(company, "2026-03-04T22:59+00:00")[0] == "deferred"
    assert acme(company, "2026-03-05T06:00+00:00")[0] == "ready"


_UNTIL = RULE.replace(
    "then:\n",
    "until:\n  - last_reply: {after: enrolled}\n    goal: true\nthen:\n",
).replace("  - email:", "  - wait: 2 days\n  - email:")


def test_a_reply_in_the_mailbox_ends_the_journey_and_an_absence_does_not(company: Path) -> None:
    rule = company.parent / "rules" / "renewal-at-risk.yaml"
    rule.write_text(_UNTIL, encoding="utf-8")
    call_json("run", "--config", company, "--at", _AT)
    arrive(company, mail("2026-03-02 11:00", "out_of_office", "2026-03-03"))
    held = call_json("plan", "--config", company, "--at", "2026-03-03T09:00+00:00")["held"]
    assert [h["subject_name"] for h in held] == ["Acme", "Blue"], "both wait for their mail"
    arrive(company, mail("2026-03-03 11:00"))
    call_json("run", "--config", company, "--at", "2026-03-03T12:00+00:00")
    plan = call_json("plan", "--config", company, "--at", "2026-03-09T09:00+00:00")
    names = {h["subject_name"] for h in plan["held"]} | {a["subject_name"] for a in plan["actions"]}
    assert names == {"Blue"}
    explained = call("explain", "crm:A1", "--config", company, "--at", "2026-03-03T13:00+00:00")
    assert "its end has come" in " ".join(explained.stdout.split())
