"""What docs/unsubscribe.md shows is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from crmsync.app.workspace import open_workspace
from crmsync.clock import SystemClock
from crmsync.config.public import PublicSettings
from crmsync.daemon.public import server, words
from support.commands import call, call_json
from support.company import CONFIG, TEMPLATE, make_company
from support.public import SECRET, mails

if TYPE_CHECKING:
    import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "unsubscribe.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL))


def test_its_config_and_its_template_give_its_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"env:(\w+)", BLOCKS["yaml"]):
        monkeypatch.setenv(name, SECRET)
    config = make_company(
        tmp_path, config=CONFIG + BLOCKS["yaml"], check_in=TEMPLATE + BLOCKS["jinja"]
    )
    assert call("check", "--offline", "--config", config).exit_code == 0
    settings = open_workspace(config, SystemClock()).installation.settings
    assert settings.public == PublicSettings(url="https://crm.example.com"), "the default of listen"
    call_json("run", "--config", config, "--at", "2026-03-02T09:00")
    (mail,) = mails(config)
    shown = dict(line.split(": ", 1) for line in BLOCKS["text"].strip().splitlines())
    link = re.findall(r"<(https[^>]+)>", str(mail["List-Unsubscribe"]))[0]
    assert f"Unsubscribe: {link}" in mail.get_payload(decode=True).decode()  # type: ignore[union-attr]  # one part
    hidden = re.sub(r"unsubscribe/[\w-]+>", "unsubscribe/…>", str(mail["List-Unsubscribe"]))
    assert {**dict(mail.items()), "List-Unsubscribe": hidden}.items() >= shown.items()


def test_its_bounds_and_languages_are_those_of_the_code() -> None:
    assert f"more than {server.LONGEST_BODY // 2**20} MiB" in PAGE
    assert f"more than {server.LONGEST_HEADER // 2**10} KiB" in PAGE
    assert f"{server.MOST_CONNECTIONS} connections are open at most" in PAGE
    assert f"closed after {server.SILENCE} seconds" in PAGE
    assert set(words.WORDS) == {"en", "de", "fr", "it", "es"}
    assert "in English, German, French, Italian or Spanish" in PAGE
