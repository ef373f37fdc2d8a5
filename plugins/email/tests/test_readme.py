"""What the README says of connectors and options is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from crmsync.config.settings import ConnectionSettings
from crmsync.model.actions import ActionKind, KeyHandling
from crmsync_email import crmsync_connectors
from crmsync_email import options as known
from crmsync_email.login import OAuth

_TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
_EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", _TEXT, flags=re.DOTALL | re.MULTILINE)
_SPECS = {spec.name: spec for spec in crmsync_connectors()}
_PROVIDERS = (
    known.PostmarkOptions,
    known.SendgridOptions,
    known.MailgunOptions,
    known.SesOptions,
)


def _section(heading: str) -> str:
    return _TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def _named_in(text: str, heading: str) -> set[str]:
    """The names in the first column of the first table with this heading."""
    table = text.partition(f"| {heading} |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_connector_is_named() -> None:
    assert _named_in(_TEXT, "Connector") == _SPECS.keys()


def test_what_a_person_must_decide_is_told() -> None:
    for line in re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", _TEXT, flags=re.MULTILINE):
        name, words = line
        if name in _SPECS:
            unsafe = _SPECS[name].actions[ActionKind.EMAIL] is KeyHandling.UNSAFE
            assert ("a person decides" in words) == unsafe, name


def test_every_option_is_explained() -> None:
    of_all = set(known.SendingOptions.model_fields)
    assert _named_in(_section("Options of all that send"), "Key") == of_all
    smtp = _named_in(_section("Options of `smtp`"), "Key")
    assert smtp == set(known.SmtpOptions.model_fields) - of_all
    assert _named_in(_TEXT, "Key of `oauth`") == set(OAuth.model_fields)
    providers = {name for one in _PROVIDERS for name in one.model_fields}
    assert _named_in(_section("Options of the providers"), "Key") == providers - of_all


@pytest.mark.parametrize("text", _EXAMPLES, ids=range(len(_EXAMPLES)))
def test_every_example_is_a_config(text: str) -> None:
    told = yaml.safe_load(text)
    assert told.get("mail", "post") in told["connections"]
    for connection in told["connections"].values():
        settings = ConnectionSettings.model_validate(connection)
        _SPECS[settings.connector].options.model_validate(settings.own_options)


def test_there_is_an_example_of_each() -> None:
    for name, spec in _SPECS.items():
        assert spec.example is not None
        told = yaml.safe_load(spec.example.read_text(encoding="utf-8"))
        settings = ConnectionSettings.model_validate(told.pop(name))
        assert (settings.connector, told) == (name, {})
        spec.options.model_validate(settings.own_options)


def test_what_stands_in_braces_is_an_option() -> None:
    found: dict[str, Any] = {}
    for name, braces in re.findall(r"^\| `(\w+)` \| `(\{.*?\})`", _TEXT, flags=re.MULTILINE):
        found[name] = yaml.safe_load(braces)
    assert set(found) == {"dkim"}
    known.Dkim.model_validate(found["dkim"])


def test_defaults_are_those_that_are_told() -> None:
    options = known.SmtpOptions.model_validate({"host": "x", "address": "a@example.com"})
    assert (options.at_port, options.security.value) == (587, "starttls")
    tls = known.SmtpOptions.model_validate(
        {"host": "x", "address": "a@example.com", "security": "tls"}
    )
    assert tls.at_port == 465
    assert options.own_domains == {"example.com"}
