"""What `connections check` and `connections setup` tell an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from portal_under_test import KEY, MESSAGE_ID, UNIQUE, TestedPortal

from crmsync.errors import AuthError, QuotaError, RejectedError
from crmsync_hubspot.client import Answer, HubSpotClient
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.settings import ALL_SCOPES, Settings
from support.commands import call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestedPortal]:
    """A portal that nobody has set up for crmsync."""
    portal = TestedPortal(tmp_path, custom=(), others=(), settings=Settings())
    portal.clock.put_in_place(monkeypatch)
    yield portal
    portal.close()
    assert portal.service.mistakes == []


def told(portal: TestedPortal, *columns: str, name: str = "companies", **stream: Any) -> str:
    connector = portal.connect(name, columns or ("name",), **stream)
    return "\n".join(finding.sentence for finding in connector.check())


def test_a_sound_portal_has_no_findings(tested: TestedPortal) -> None:
    assert told(tested) == ""


def test_the_properties_for_keys_are_made(bare: TestedPortal) -> None:
    before = told(bare)
    assert f"tasks, notes and emails have no property {KEY}" in before
    assert f"emails have no property {MESSAGE_ID}" in before
    connector = bare.connect()
    asked = len(bare.service.requests)
    foreseen = connector.setup(dry_run=True)
    assert len(foreseen) == 4
    assert "where HubSpot allows that" in foreseen[0]
    assert not [one for one in bare.service.requests[asked:] if one.writes]
    made = connector.setup(dry_run=False)
    assert len(made) == 4
    assert "may have the same value twice" in made[0]
    assert connector.setup(dry_run=False) == []
    # This portal refuses unique values on tasks, as HubSpot does not promise them there.
    assert "the property crmsync_key of tasks, notes and emails may have the same" in told(bare)
    assert not [one for one in bare.connect().check() if one.fatal]


def test_where_the_portal_takes_unique_values_keys_are_unique(bare: TestedPortal) -> None:
    bare.settings.unique_on |= {"tasks", "notes", "emails"}
    made = bare.connect().setup(dry_run=False)
    assert [one.endswith("unique values") for one in made] == [True, True, True, False]
    assert told(bare) == ""


def test_a_portal_that_makes_a_plain_property_without_a_word_is_told(
    bare: TestedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said is what HubSpot's answer says, and not what was asked for."""
    bare.settings.unique_on = UNIQUE
    call = HubSpotClient.call

    def plain(client: HubSpotClient, *given: Any, **more: Any) -> Answer:
        if given[0] == "POST" and "hasUniqueValue" in more["body"]:
            more["body"] = more["body"] | {"hasUniqueValue": False}
        return call(client, *given, **more)

    monkeypatch.setattr(HubSpotClient, "call", plain)
    made = bare.connect().setup(dry_run=False)
    assert not [one for one in made if one.endswith("with unique values")]
    assert len([one for one in made if "the same value twice" in one]) == 3


def test_setting_up_goes_on_where_it_broke_off(bare: TestedPortal) -> None:
    bare.service.faults.append(Fault.DAILY)
    bare.service.spared = 6
    with pytest.raises(QuotaError):
        bare.connect().setup(dry_run=False)
    bare.service.faults.clear()
    assert bare.connect().setup(dry_run=False)
    assert bare.connect().setup(dry_run=False) == []


def test_a_scope_that_is_missing_is_named(tested: TestedPortal) -> None:
    tested.settings.scopes = ALL_SCOPES - {"crm.objects.deals.read", "crm.schemas.deals.read"}
    assert "lacks the scope crm.schemas.deals.read" in told(tested, "dealname", name="deals")
    tested.settings.scopes = ALL_SCOPES - {"crm.objects.owners.read"}
    assert "lacks the scope crm.objects.owners.read" in told(tested, "email", name="owners")
    tested.settings.scopes = ALL_SCOPES - {"crm.objects.deals.read"}
    connector = tested.connect("deals", ("dealname",))
    with pytest.raises(RejectedError, match=r"lacks the scope crm\.objects\.deals\.read"):
        list(connector.read("records", None))


def test_a_token_that_may_only_read_is_told_before_anything_is_due(tested: TestedPortal) -> None:
    tested.settings.scopes = ALL_SCOPES - {"crm.objects.contacts.write"}
    assert told(tested) == (
        "tasks and notes cannot be written: the token lacks the scope "
        "crm.objects.contacts.write; a super admin adds it to the service key (Development, Keys, "
        "Service keys) or, where the token is one of a private app, to that (Development, Legacy "
        "apps)"
    )
    assert not [one for one in tested.connect().check() if one.fatal]


def test_setting_up_without_the_scope_says_so(bare: TestedPortal) -> None:
    bare.settings.scopes = ALL_SCOPES - {"crm.schemas.contacts.write"}
    with pytest.raises(AuthError, match=r"lacks the scope crm\.schemas\.contacts\.write"):
        bare.connect().setup(dry_run=False)


def test_a_misspelt_property_is_told_with_the_nearest(tested: TestedPortal) -> None:
    assert "“lifecycelstage”; did you mean “lifecyclestage”?" in told(tested, "lifecycelstage")
    assert "no property “nmae”" in told(tested, history=["nmae"])


def test_an_object_that_is_not_there_is_told(tested: TestedPortal) -> None:
    assert "no object “p_renewals”" in told(tested, name="p_renewals")


def test_a_property_of_another_type_keeps_no_keys(bare: TestedPortal) -> None:
    from crmsync_hubspot.simulator.definitions import own_property  # noqa: PLC0415  for this alone

    bare.portal.types["tasks"].add(own_property(f"{KEY} number", "taskinformation"))
    assert "the property crmsync_key of tasks is no text" in told(bare)


def test_few_calls_left_are_told(tested: TestedPortal) -> None:
    tested.service.limits.used = 600_000
    assert told(tested) == "the portal has only 49,990 of its 650,000 calls of today left"


def test_a_bad_token_is_told(tested: TestedPortal) -> None:
    (tested.folder / "token").write_text("pat-eu1-of-another-portal")
    with pytest.raises(AuthError, match="does not accept the access token"):
        told(tested)


def test_described_fields_say_what_can_be_written(tested: TestedPortal) -> None:
    fields = {one.name: one for one in tested.connect().describe("records")}
    assert fields["city"].writable
    assert not fields["hs_num_child_companies"].writable
    assert not fields["createdAt"].writable
    links = tested.connect("calls", ("from", "to"), associations_to=["companies"])
    assert {"id", "from", "to", "companies"} <= {one.name for one in links.describe("records")}


CONFIG = """\
company: {{name: Vendor, email: hello@vendor.example}}
connections:
  hub:
    connector: hubspot
    url: {url}
    access_token: file:{token}
    streams:
      deals:
        table: deal
        object: deals
        key: id
        fields: {{name: dealname, amount: amount, won: hs_is_closed_won, updated_at: updatedAt}}
      contacts:
        table: contact
        object: contacts
        key: id
        fields: {{email: email, unsubscribed: hs_email_optout, updated_at: updatedAt}}
"""
RULE = """\
rule: {name}
subject: {subject}
when: [{when}]
then:
  - update: {{fields: {{{field}}}}}
"""


@pytest.fixture
def updating(tested: TestedPortal, tmp_path: Path) -> Path:
    """A config whose rule updates the amount of deals."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(url=tested.server.address, token=tested.folder / "token"))
    (tmp_path / "rules").mkdir()
    rule = RULE.format(name="r", subject="deal", when="name: Big", field="amount: 7")
    (tmp_path / "rules" / "r.yaml").write_text(rule)
    return config


def checked(config: Path, *words: str) -> str:
    return " ".join(call(*words, "--config", config).stdout.split())


def test_that_the_token_may_not_write_what_rules_update_is_told(
    tested: TestedPortal, updating: Path
) -> None:
    assert "No problems in 1 connection" in checked(updating, "connections", "check")
    tested.settings.scopes = ALL_SCOPES - {"crm.objects.deals.write"}
    told = "rules update amount, and deals cannot be changed: the token lacks the scope "
    for words in (("connections", "check"), ("check",)):
        assert f"{told}crm.objects.deals.write" in checked(updating, *words)
    (updating.parent / "rules" / "r.yaml").unlink()
    assert "No problems in 1 connection" in checked(updating, "connections", "check")


def test_that_nobody_can_change_what_a_rule_updates_is_told(updating: Path) -> None:
    rule = RULE.format(name="w", subject="deal", when="name: Big", field="won: true")
    (updating.parent / "rules" / "w.yaml").write_text(rule)
    told = "w.yaml:5:28: deal.won cannot be updated: “hub” keeps “hs_is_closed_won” itself"
    assert told in checked(updating, "check")


def test_a_rule_may_unsubscribe_people(tested: TestedPortal, updating: Path) -> None:
    tested.settings.scopes = ALL_SCOPES - {"crm.objects.deals.write"}
    rule = RULE.format(
        name="r", subject="contact", when="email: a@b.example", field="unsubscribed: true"
    )
    (updating.parent / "rules" / "r.yaml").write_text(rule)
    assert "No problems in 1 connection" in checked(updating, "check")
