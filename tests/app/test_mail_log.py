"""Each mail that another connection sends is on record in the CRM, once, and counts once."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import RejectedError, TransientError, UncertainError
from crmsync_files.folder import LOGGED, SENT
from crmsync_files.writing import FolderWriter
from crmsync_files.written_tables import COLUMNS
from support.commands import call, call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from crmsync.model.actions import Action

_AT = "2026-03-02T09:00+00:00"
_ACTIVITIES = "fields: {account: account, kind: kind, at: at}\n"
# What was logged, and what lies in the mailbox's folder of sent mail, come back by the next pull.
_BACK = """\
fields: {account: account, kind: kind, at: at}
      logged:
        file: logged.csv
        table: activity
        key: key
        fields:
          kind: {value: email}
          direction: {value: outbound}
          at: at
          addresses: recipient
          message_id: message_id
  post:
    connector: files
    path: post
    streams:
      sent:
        file: sent.csv
        table: activity
        key: key
        fields:
          kind: {value: email}
          direction: {value: outbound}
          at: at
          addresses: recipient
          message_id: message_id
mail: post
"""


@pytest.fixture
def company(tmp_path: Path) -> Path:
    (tmp_path / "post").mkdir()
    for path, name in ((tmp_path / "crm", LOGGED), (tmp_path / "post", SENT)):
        path.mkdir(exist_ok=True)
        (path / name).write_text(",".join(COLUMNS[name]) + "\n", encoding="utf-8")
    assert CONFIG.endswith(_ACTIVITIES)
    head = CONFIG.removesuffix(_ACTIVITIES)
    cap = "policy: {caps: [{per: contact, at_most: 2, within: 7 days}]}\n"
    return make_company(tmp_path, config=head + _BACK + cap)


def logged(config: Path) -> list[dict[str, str]]:
    path = config.parent / "crm" / "logged.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def run(config: Path, at: str = _AT) -> dict[str, Any]:
    return call_json("run", "--config", config, "--at", at)


def test_plan_says_it_in_a_word_and_the_run_does_it(company: Path) -> None:
    shown = " ".join(call("plan", "--config", company, "--at", _AT).stdout.split())
    assert '→ mail for "Ann Smith" <ann@acme.example>: Acme: your renewal, logged in crm' in shown
    assert shown.count("logged in crm") == 1, "what is dropped is not logged, nor is a task"
    report = run(company)
    assert (report["delivery"]["done"], report["delivery"]["logged"]) == (3, 1)
    (row,) = logged(company)
    assert row["key"].startswith("log-renewal-at-risk-")
    assert (row["recipient"], row["subject"]) == (
        '"Ann Smith" <ann@acme.example>',
        "Acme: your renewal",
    )
    assert (row["about_table"], row["about_id"], row["also_about"]) == (
        "account",
        "A1",
        "contact C1",
    )
    assert row["at"] == "2026-03-02T09:00:00+00:00"
    assert run(company, "2026-03-02T10:00+00:00")["delivery"]["logged"] == 0
    assert len(logged(company)) == 1


def test_one_mail_counts_once_wherever_it_comes_back_from(company: Path) -> None:
    run(company)
    # The log and the copy of what was sent are read; the rule holds on, for nobody has spoken.
    text = (company.parent / "rules" / "renewal-at-risk.yaml").read_text(encoding="utf-8")
    for name in ("second", "third"):
        again = text.replace("rule: renewal-at-risk", f"rule: {name}")
        (company.parent / "rules" / f"{name}.yaml").write_text(again, encoding="utf-8")
    report = run(company, "2026-03-02T10:00+00:00")["plan"]
    mails = {a["rule"]: a["state"] for a in report["actions"] if a["to"].startswith('"Ann')}
    assert mails == {"second": "ready", "third": "deferred"}, "one was sent, and two are allowed"
    assert {rule["rule"]: rule["matches"] for rule in report["rules"]} == {
        "renewal-at-risk": 2,
        "second": 2,
        "third": 2,
    }


def failing(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., object]) -> None:
    real = FolderWriter.apply

    def apply(self: FolderWriter, actions: Sequence[Action]) -> object:
        return answer(lambda: real(self, actions), actions)

    monkeypatch.setattr(FolderWriter, "apply", apply)


def _only_logs_fail(error: Exception) -> Callable[..., object]:
    def answer(apply: Callable[[], object], actions: Sequence[Action]) -> object:
        if any(action.kind == "log" for action in actions):
            raise error
        return apply()

    return answer


def test_a_log_that_the_crm_refuses_is_told_and_tried_again(
    company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        failing(patched, _only_logs_fail(RejectedError("no room for mails")))
        assert run(company)["delivery"]["rejected"] == 1
    told = " ".join(call("status", "--config", company, "--at", _AT).stdout.split())
    assert "rejected: log of the rule renewal-at-risk for Acme (crm:A1): no room for mails" in told
    said = call("retry", "log-", "--config", company, "--at", _AT, "--as", "Jo", "--reason", "")
    assert said.exit_code == 0, said.output
    assert run(company, "2026-03-02T10:00+00:00")["delivery"]["logged"] == 1
    assert len(logged(company)) == 1


def test_a_log_whose_answer_was_lost_is_found(
    company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(apply: Callable[[], object], actions: Sequence[Action]) -> object:
        answers = apply()
        if any(action.kind == "log" for action in actions):
            raise UncertainError("the line went dead")
        return answers

    with monkeypatch.context() as patched:
        failing(patched, lost)
        assert run(company)["delivery"]["uncertain"] == 1
    report = run(company, "2026-03-02T10:00+00:00")
    assert (report["delivery"]["logged"], report["delivery"]["uncertain"]) == (1, 0)
    assert len(logged(company)) == 1


def test_an_account_that_is_muted_has_what_was_sent_on_record(
    company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        failing(patched, _only_logs_fail(TransientError("later")))
        run(company)
    call("mute", "Acme", "--config", company, "--at", _AT, "--as", "Jo", "--reason", "calm")
    assert run(company, "2026-03-02T23:00+00:00")["delivery"]["logged"] == 1


def test_undo_says_that_the_log_stays(company: Path) -> None:
    run(company)
    said = call(
        "undo", "1", "--config", company, "--at", _AT, "--as", "Jo", "--reason", "", "--yes"
    )
    told = " ".join(said.output.split())
    assert "a mail that was sent cannot be called back, and its log in “crm” stays" in told
    assert len(logged(company)) == 1
