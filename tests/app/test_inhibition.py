"""While a rule is at work for an account, those that it inhibits are silent there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.commands import call_json
from support.company import CONFIG, FILES, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT, _LATER = "2026-03-02T09:00", "2026-03-03T09:00"
_NOTE = """\
rule: {name}
subject: {subject}
labels: gentle
when:
  - {when}
then:
  - note: {{text: Look}}
"""
_CONTACTS = FILES["crm/contacts.csv"]


def _company(folder: Path) -> Path:
    """Ann of Acme wants no mail; whoever has such a contact is left in peace."""
    config = make_company(
        folder,
        config=CONFIG + "freshness: {default: 7 days}\n",
        renewal_at_risk=_NOTE.format(name="plain", subject="account", when="tier: [gold, silver]"),
        contacts=_CONTACTS.replace("acme.example,no", "acme.example,yes"),
    )
    unwanted = _NOTE.format(name="unwanted", subject="contact", when="unsubscribed: true")
    unwanted = unwanted.replace("labels: gentle", "inhibits: gentle")
    (folder / "rules" / "unwanted.yaml").write_text(unwanted, encoding="utf-8")
    return config


def _run(config: Path, at: str) -> tuple[set[str], dict[str, str]]:
    """Whom the rule “plain” acts for, and why it does not for others."""
    plan = call_json("plan", "--config", config, "--at", at)
    report = call_json("run", "--config", config, "--at", at)["plan"]
    assert report["actions"] == plan["actions"]
    acts = {a["subject_name"] for a in report["actions"] if a["rule"] == "plain"}
    return acts, {h["subject_name"]: h["reason"] for h in report["held"] if h["rule"] == "plain"}


def test_it_holds_from_the_first_run_on_and_until_the_other_rule_is_left(tmp_path: Path) -> None:
    config = _company(tmp_path)
    acts, held = _run(config, _AT)
    assert acts == {"Café"}
    assert held.keys() == {"Acme", "Blue"}
    assert held["Acme"] == "the account is in “unwanted”, which inhibits this rule"

    (tmp_path / "crm" / "contacts.csv").write_text(_CONTACTS, encoding="utf-8")
    acts, held = _run(config, _LATER)
    assert (acts, set(held)) == ({"Acme"}, {"Blue"})
