from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crmsync.observe import configure_logs, logger, redact, remember_secret

if TYPE_CHECKING:
    import pytest


def test_logs_hide_secrets_and_addresses_wherever_they_stand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    remember_secret("top-secret-token")
    configure_logs(level="info", as_json=True)
    logger(connection="crm").info(
        "page.read",
        header={"Authorization": "Bearer top-secret-token"},
        people=["ann.smith@example.com"],
        error=ValueError("top-secret-token was refused"),
        rows=3,
    )
    line = json.loads(capsys.readouterr().err)
    assert line["header"] == {"Authorization": "Bearer [redacted]"}
    assert line["people"] == ["a…@example.com"]
    assert line["error"] == "[redacted] was refused"
    assert (line["event"], line["connection"], line["rows"]) == ("page.read", "crm", 3)


def test_quiet_levels_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="warning")
    logger().info("page.read")
    assert capsys.readouterr().err == ""


def test_short_secrets_do_not_blank_ordinary_words() -> None:
    remember_secret("a")
    assert redact("a plan") == "a plan"
