"""The main job with its ledger on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from support.commands import AT, call, call_json

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from support.postgres import Schemas


def _with_ledger(demo: Path, value: str) -> Path:
    config = demo / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(f"ledger: {value}\n{text}", encoding="utf-8")
    return config


def test_a_run_works_the_same_and_leaves_no_file(
    demo: Path, schemas: Schemas, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _with_ledger(demo, "env:CRMSYNC_LEDGER")
    (demo / "state" / "ledger.sqlite").unlink(missing_ok=True)
    with schemas.new() as at:
        monkeypatch.setenv("CRMSYNC_LEDGER", at)
        first = call_json("run", "--config", config, "--at", AT.isoformat())
        assert first["delivery"]["done"] >= 60
        second = call_json("run", "--config", config, "--at", AT.isoformat())
        assert (second["plan"]["actions"], second["delivery"]["done"]) == ([], 0)
        effects = call_json("status", "--config", config, "--at", AT.isoformat())["effects"]
        assert effects["done"] == first["delivery"]["done"]
        with Ledger(at) as ledger, ledger.evaluating(since=AT):
            assert ledger.effect_counts()[State.DONE] == effects["done"]
            refused = call("run", "--config", config, "--at", AT.isoformat())
        assert "another crmsync is at work on the database" in refused.stderr
    assert not list((demo / "state").glob("ledger*"))


def test_a_server_that_lets_nobody_in_is_a_sentence_without_the_password(
    demo: Path, schemas: Schemas
) -> None:
    url = schemas.empty().replace("/postgres?", "/nobody_made_it?").replace(":@", ":s3cr3t-word@")
    refused = call("status", "--config", _with_ledger(demo, url))
    assert refused.exit_code == 1
    assert "“nobody_made_it” lets nobody in" in refused.stderr
    assert "s3cr3t" not in refused.output


def test_a_reference_that_leads_nowhere_is_a_sentence(demo: Path) -> None:
    refused = call("status", "--config", _with_ledger(demo, "env:NOBODY_SET_IT"))
    assert refused.exit_code == 1
    assert "the environment variable NOBODY_SET_IT is not set" in refused.stderr
