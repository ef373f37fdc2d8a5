from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.plugins.calls import hangs
from crmsync_files.connector import FilesConnector
from support.commands import call_json
from support.company import make_company

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from crmsync.model.pages import Cursor, Page

_AT = "2026-03-02T09:00"


def test_a_stream_that_hangs_is_given_up_and_its_connection_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_company(tmp_path)
    let_go, read = threading.Event(), FilesConnector.read

    def hanging(self: FilesConnector, stream: str, since: Cursor | None) -> Iterator[Page]:
        if stream == "contacts":
            let_go.wait(60)
        yield from read(self, stream, since)

    with monkeypatch.context() as patched:
        patched.setattr(FilesConnector, "read", hanging)
        patched.setattr("crmsync.sync.run.LONGEST_WAIT", timedelta(seconds=3))
        first = call_json("sync", "--config", config, "--at", _AT)
        errors = {one["stream"]: one["error"] for one in first["streams"]}
        assert errors["accounts"] is None
        assert errors["contacts"] == "it has not answered within 3 seconds"
        second = call_json("sync", "--config", config, "--at", _AT)
        assert "has still not come back" in second["streams"][0]["error"]
        let_go.set()
        for _ in range(500):
            if not hangs(("reading", "crm")):
                break
            threading.Event().wait(0.01)
    third = call_json("sync", "--config", config, "--at", _AT)
    assert [one["error"] for one in third["streams"]] == [None] * 4
