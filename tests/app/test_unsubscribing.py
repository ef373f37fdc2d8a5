"""A customer unsubscribes: no more commercial mail, at once, and the CRM is told."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.opting_out import write_opt_outs
from crmsync.app.stopping import UNSUBSCRIBE_LINK, unsubscribe
from crmsync.app.workspace import open_workspace
from crmsync.clock import FixedClock, parse_instant
from crmsync.ledger.opt_outs import OPT_OUT
from crmsync.ledger.states import State
from crmsync.model.actions import SendEmail, UpdateFields
from support.commands import call, call_json
from support.company import CONFIG, FILES, RULE, TEMPLATE, make_company
from support.public import BASE, SECRET, mails, public_company

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from crmsync.app.workspace import Workspace

_AT, _LATER = "2026-03-02T09:00", "2026-03-02T10:00"
_ANN = "ann@acme.example"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRMSYNC_UNSUBSCRIBE_SECRET", SECRET)


@pytest.fixture
def config(ledger_at: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    text = CONFIG
    if isinstance(ledger_at, str):
        monkeypatch.setenv("CRMSYNC_LEDGER", ledger_at)
        text = f"ledger: env:CRMSYNC_LEDGER\n{CONFIG}"
    return public_company(tmp_path, config=text)


def _instant(at: str) -> datetime:
    """By the company's clock on the wall."""
    return parse_instant(f"{at}+01:00")


def _opened(config: Path, at: str = _AT) -> Workspace:
    return open_workspace(config, FixedClock(instant=_instant(at)))


def _run(config: Path, at: str = _AT) -> dict[str, Any]:
    return call_json("run", "--config", config, "--at", at)


def _states(plan: dict[str, Any], account: str = "Acme") -> dict[str, tuple[str, str]]:
    actions = plan["plan"]["actions"] if "plan" in plan else plan["actions"]
    return {a["step"]: (a["state"], a["reason"]) for a in actions if a["account"] == account}


def _updates(config: Path) -> list[dict[str, str]]:
    path = config.parent / "crm" / "updates.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return [*csv.DictReader(lines)]


def test_commercial_mail_bears_a_link_that_mail_programs_know(config: Path) -> None:
    _run(config)
    (mail,) = mails(config)
    link = _opened(config).unsubscribe_links
    assert link is not None
    url = link.url(_ANN)
    assert url.startswith(f"{BASE}/unsubscribe/")
    assert mail["List-Unsubscribe"] == f"<{url}>, <mailto:stop@vendor.example?subject=unsubscribe>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    # In one piece: what is folded or encoded, mail programs do not find.
    (written,) = (config.parent / "crm" / "outbox" / "new").iterdir()
    lines = written.read_text("ascii").splitlines()
    assert [line for line in lines if url in line], lines[:12]


@pytest.mark.parametrize(
    ("template", "rule"),
    [
        (TEMPLATE.replace("commercial", "service"), RULE),
        (TEMPLATE, RULE + "      class: service\n"),
        (TEMPLATE, RULE.replace("to: primary_contact", "to: owner")),
    ],
    ids=["template of class service", "step of class service", "colleague"],
)
def test_other_mail_has_no_such_header(tmp_path: Path, template: str, rule: str) -> None:
    template = template.replace("contact.first_name", "account.name")
    config = public_company(tmp_path, check_in=template, renewal_at_risk=rule)
    _run(config)
    assert mails(config)
    assert all(mail["List-Unsubscribe"] is None for mail in mails(config))


def test_a_text_can_name_the_link_and_does_without_it(tmp_path: Path) -> None:
    text = TEMPLATE + "{% if unsubscribe_url %}No more: {{ unsubscribe_url }}{% endif %}\n"
    config = public_company(tmp_path / "with", check_in=text)
    assert call("check", "--offline", "--config", config).exit_code == 0
    _run(config)
    links = _opened(config).unsubscribe_links
    assert links is not None
    (mail,) = mails(config)
    assert f"No more: {links.url(_ANN)}" in mail.get_payload(decode=True).decode()  # type: ignore[union-attr]  # one part
    without = make_company(tmp_path / "without", check_in=text)
    _run(without)
    (mail,) = mails(without)
    assert "No more" not in mail.get_payload(decode=True).decode()  # type: ignore[union-attr]  # one part
    assert mail["List-Unsubscribe"] is None


def test_who_has_unsubscribed_gets_no_commercial_mail_and_all_else(config: Path) -> None:
    call("sync", "--config", config, "--at", _AT)
    assert unsubscribe(_opened(config), f"Ann Smith <{_ANN.upper()}>") is True
    plan = _run(config)
    reason = (
        "commercial mail to the address was declined by unsubscribe link on 2026-03-02 09:00 CET"
    )
    assert _states(plan) == {"task": ("ready", ""), "email": ("dropped", reason)}
    assert mails(config) == []


def test_service_mail_goes_on(tmp_path: Path) -> None:
    config = public_company(tmp_path, check_in=TEMPLATE.replace("commercial", "service"))
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    assert _states(_run(config))["email"] == ("ready", "")


def test_it_is_recorded_once_with_who_and_when(config: Path) -> None:
    assert unsubscribe(_opened(config), _ANN) is True
    assert unsubscribe(_opened(config, _LATER), _ANN) is False
    (stop,) = _opened(config).ledger.stops(now=_instant(_LATER))
    assert (stop.said_by, stop.said_at) == (UNSUBSCRIBE_LINK, _instant(_AT))
    shown = call("status", "--config", config, "--at", _LATER).stdout
    assert f"{_ANN} gets no commercial mail. Said by unsubscribe link on 2026-03-02" in shown


def test_a_person_can_take_it_back(config: Path) -> None:
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    words = ("suppress", _ANN, "--lift", "--config", config, "--at", _AT, "--as", "Jo")
    assert call_json(*words)["lifted"][0]["kind"] == "unsubscribed"
    assert _states(_run(config))["email"] == ("ready", "")


def test_what_is_ready_is_not_sent_any_more(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link is used while the run hands over its first batch."""
    workspace = _opened(config)
    real, seen = type(workspace.ledger).pauses, []

    def pauses(ledger: Any, **arguments: Any) -> Any:
        seen.append(unsubscribe(workspace, _ANN))
        return real(ledger, **arguments)

    monkeypatch.setattr(type(workspace.ledger), "pauses", pauses)
    _run(config)
    monkeypatch.undo()
    monkeypatch.setenv("CRMSYNC_UNSUBSCRIBE_SECRET", SECRET)
    assert seen[0] is True
    assert mails(config) == []
    (mail,) = [
        e
        for e in workspace.ledger.effects()
        if isinstance(e.action, SendEmail) and _ANN in e.action.recipient
    ]
    assert mail.state is State.PLANNED
    _run(config, _LATER)
    assert mails(config) == []


def test_the_crm_is_told_in_its_own_field_once(config: Path) -> None:
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    told = " ".join(call("run", "--config", config, "--at", _AT).output.split())
    assert "3 delivered 1 of them tells the CRM that a customer has unsubscribed" in told
    (update,) = _updates(config)
    assert (update["table"], update["id"], update["stream"]) == ("contact", "C1", "contacts")
    assert (update["field"], update["new"]) == ("unsubscribed", "yes")
    _run(config, _LATER)
    assert len(_updates(config)) == 1
    (effect,) = [e for e in _opened(config).ledger.effects() if e.step == OPT_OUT]
    assert (effect.state, effect.enrolment.subject) == (State.DONE, "crm:C1")


def test_every_record_of_the_person_is_marked_and_nobody_elses(tmp_path: Path) -> None:
    contacts = FILES["crm/contacts.csv"] + (
        "C3,A3,Ann,Smith, ANN@acme.example ,\nC4,A3,Ann,Smith,ann@acme.example,yes\n"
    )
    config = public_company(tmp_path, contacts=contacts)
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    _run(config)
    assert sorted(update["id"] for update in _updates(config)) == ["C1", "C3"]


def test_the_mark_is_in_the_words_of_the_crm(tmp_path: Path) -> None:
    words = '{column: unsubscribed, values: {"opted out": true, "": false, "*": false}}'
    text = CONFIG.replace("unsubscribed: unsubscribed", f"unsubscribed: {words}")
    config = public_company(tmp_path, config=text)
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    _run(config)
    assert [update["new"] for update in _updates(config)] == ["opted out"]


def test_who_takes_the_mark_away_is_not_overruled(config: Path) -> None:
    """And the customer's word holds until somebody lifts it."""
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    _run(config)
    _run(config, "2026-03-04T09:00")
    assert len(_updates(config)) == 1
    unsubscribe(_opened(config, "2026-03-05T09:00"), _ANN)
    call("suppress", _ANN, "--lift", "--config", config, "--at", "2026-03-05T10:00", "--as", "Jo")
    unsubscribe(_opened(config, "2026-03-06T09:00"), _ANN)
    _run(config, "2026-03-06T09:00")
    assert len(_updates(config)) == 2, "another word is written again"


def test_a_plan_writes_nothing(config: Path) -> None:
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    call_json("plan", "--config", config, "--at", _AT)
    assert _updates(config) == []
    assert [e for e in _opened(config).ledger.effects() if e.step == OPT_OUT] == []


def test_what_the_remote_refused_can_be_tried_again(config: Path) -> None:
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    updates = config.parent / "crm" / "updates.csv"
    updates.mkdir()  # nothing can be written there
    _run(config)
    (effect,) = [e for e in _opened(config).ledger.effects() if e.step == OPT_OUT]
    assert effect.state is not State.DONE
    assert isinstance(effect.action, UpdateFields)
    updates.rmdir()
    if effect.state is State.REJECTED:
        retried = call("retry", effect.key, "--config", config, "--at", _LATER, "--as", "Jo")
        assert retried.exit_code == 0, retried.stderr
    _run(config, "2026-03-03T09:00")
    assert len(_updates(config)) == 1


def test_nobody_asked_for_anything_costs_nothing(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("sync", "--config", config, "--at", _AT)
    workspace = _opened(config)
    monkeypatch.setattr(type(workspace.warehouse), "reading", None)
    assert write_opt_outs(workspace, 1) is False


def test_explain_tells_it(config: Path) -> None:
    call("sync", "--config", config, "--at", _AT)
    unsubscribe(_opened(config), _ANN)
    rule = config.parent / "rules" / "contacts.yaml"
    rule.write_text(
        "rule: contacts\ndescription: One of contacts.\nsubject: contact\n"
        "when: [{email: {present: true}}]\nthen: [{note: {text: All is well.}}]\n"
    )
    told = call_json("explain", "C1", "--config", config, "--at", _AT)["stops"]
    assert told == [
        "its address gets no commercial mail: said by unsubscribe link on 2026-03-02 09:00 CET"
    ]


def test_check_doubts_commercial_mail_without_a_way_out(tmp_path: Path) -> None:
    without = make_company(tmp_path / "without")
    told = call_json("check", "--offline", "--config", without)
    assert told["problems"] == []
    (doubt,) = [d for d in told["doubts"] if "unsubscribe" in d]
    assert "“renewal-at-risk” sends commercial mail" in doubt
    service = make_company(tmp_path / "service", check_in=TEMPLATE.replace("commercial", "service"))
    colleagues = make_company(
        tmp_path / "colleagues",
        renewal_at_risk=RULE.replace("to: primary_contact", "to: owner"),
        check_in=TEMPLATE.replace("contact.first_name", "account.name"),
    )
    for config in (service, colleagues, public_company(tmp_path / "with")):
        told = call_json("check", "--offline", "--config", config)
        assert [d for d in told["doubts"] if "unsubscribe" in d] == [], config


def test_check_says_which_crm_is_not_told(tmp_path: Path) -> None:
    text = CONFIG.replace("          unsubscribed: unsubscribed\n", "")
    told = call_json("check", "--offline", "--config", public_company(tmp_path, config=text))
    assert any("the CRM is not told" in doubt for doubt in told["doubts"])


def test_check_tells_a_secret_that_is_missing_or_short(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRMSYNC_UNSUBSCRIBE_SECRET", "short")
    (problem,) = call_json("check", "--offline", "--config", config)["problems"]
    assert "at least 32 characters" in problem
    assert ":33:" in problem or "config.yaml:" in problem
    monkeypatch.delenv("CRMSYNC_UNSUBSCRIBE_SECRET")
    (problem,) = call_json("check", "--offline", "--config", config)["problems"]
    assert "the environment variable CRMSYNC_UNSUBSCRIBE_SECRET is not set" in problem
    assert call("plan", "--config", config, "--at", _AT).exit_code == 1


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ("public: {url: crm.example.com}", "“crm.example.com” is no public URL"),
        ("public: {url: 'http://crm.example.com'}", "is no public URL"),
        ("public: {url: 'https://crm.example.com/?a=b'}", "is no public URL"),
        ("public: {url: 'https://me@crm.example.com'}", "is no public URL"),
        ("public: {url: 'https://crm.example.com', listen: here}", "no address to listen at"),
        ("unsubscribe: {secret: env:NAME}", "“unsubscribe” needs “public: {url: https://…}”"),
        (
            "public: {url: 'https://a.example'}\nunsubscribe: {secret: env:A, mailto: nobody}",
            "“nobody” is no e-mail address that a link can hold",
        ),
        (
            "public: {url: 'https://a.example'}\nunsubscribe: {secret: swordfish}",
            "a secret is written as a reference",
        ),
    ],
)
def test_mistakes_in_the_config_are_told(tmp_path: Path, block: str, sentence: str) -> None:
    config = make_company(tmp_path, config=f"{CONFIG}{block}\n")
    (problem,) = call_json("check", "--offline", "--config", config)["problems"]
    assert sentence in problem
    assert "swordfish" not in problem


def test_rule_tests_need_no_secret(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRMSYNC_UNSUBSCRIBE_SECRET")
    tests = config.parent / "rules" / "tests"
    tests.mkdir()
    (tests / "renewal-at-risk.yaml").write_text(
        """\
rule: renewal-at-risk
tests:
  - name: it writes
    at: 2026-03-02T09:00
    given:
      account: [{id: A1, name: Acme, owner: U1, renewal_date: 2026-03-20, primary_contact: C1}]
      contact: [{id: C1, account: A1, first_name: Ann, email: ann@acme.example}]
      user: [{id: U1, name: Jo, email: jo@vendor.example}]
    expect:
      actions:
        - email: {to: ann@acme.example}
""",
        encoding="utf-8",
    )
    result = call("test", "--config", config)
    assert "AuthError" not in result.output
    assert "CRMSYNC_UNSUBSCRIBE_SECRET" not in result.output
