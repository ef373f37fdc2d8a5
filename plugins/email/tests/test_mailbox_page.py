"""What the page on the connector “mailbox” says of options, columns and configs is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from crmsync.config.settings import ConnectionSettings
from crmsync.sync.checks import check_mapping
from crmsync_email import crmsync_connectors
from crmsync_email.options import MailboxOptions
from crmsync_email.reading.options import ImapOptions
from crmsync_email.reading.pages import fields

_TEXT = (Path(__file__).parents[1] / "mailbox.md").read_text(encoding="utf-8")
(_EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```$", _TEXT, flags=re.DOTALL | re.MULTILINE)


def _named_in(heading: str) -> set[str]:
    """The names in the first column of the table with this heading."""
    table = _TEXT.partition(f"| {heading} |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_option_is_explained() -> None:
    assert _named_in("Key of `imap`") == set(ImapOptions.model_fields)
    assert _named_in("Key of a connection") < set(MailboxOptions.model_fields)


def test_the_columns_are_those_there_are() -> None:
    assert _named_in("Column") < {field.name for field in fields()}


def test_the_example_is_a_config_that_maps_all_there_is() -> None:
    (connection,) = yaml.safe_load(_EXAMPLE)["connections"].values()
    settings = ConnectionSettings.model_validate(connection)
    (stream,) = settings.streams.values()
    assert list(check_mapping(stream)) == []
    assert {*stream.columns, "id"} == {field.name for field in fields()}
    MailboxOptions.model_validate(settings.own_options)
    (spec,) = [spec for spec in crmsync_connectors() if spec.name == "mailbox"]
    assert spec.example is not None
    assert yaml.safe_load(spec.example.read_text(encoding="utf-8")) == {"mailbox": connection}


_BASE: dict[str, Any] = {"address": "a@example.com", "imap": {"host": "x"}}
_LOGIN = {"user": "a@example.com", "password": "env:P"}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (_BASE, "whose mailbox is it?"),
        (_BASE | _LOGIN | {"imap": {"host": "x", "security": "none"}}, "in the clear"),
        (_BASE | _LOGIN | {"imap": {"host": "x", "ours": "example.com"}}, "write for example"),
        (_BASE | _LOGIN | {"imap": {"host": "x", "folders": []}}, "at least 1"),
    ],
)
def test_mistakes_in_the_options_are_told(told: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        MailboxOptions.model_validate(told)


@pytest.mark.parametrize(
    ("host", "more", "itself"),
    [
        ("smtp.gmail.com", {}, True),
        ("smtp.office365.com", {}, True),
        ("mail.example.com", {}, False),
        ("mail.example.com", {"sent_copy": "server"}, True),
        ("smtp.gmail.com", {"sent_copy": "bcc"}, False),
    ],
)
def test_who_puts_copies_into_the_mailbox(host: str, more: dict[str, str], itself: bool) -> None:
    told = _BASE | _LOGIN | more | {"smtp": {"host": host}}
    assert MailboxOptions.model_validate(told).copies_itself is itself


def test_it_is_declared_that_what_was_sent_can_be_looked_up() -> None:
    (spec,) = (one for one in crmsync_connectors() if one.name == "mailbox")
    assert {handling.value for handling in spec.actions.values()} == {"lookup"}
