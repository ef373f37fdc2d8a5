"""Mail that goes out by a mail server is on record in the CRM that its customer came from, once."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from smtp_server import PASSWORD, Fault

from crmsync_files.folder import LOGGED
from crmsync_files.written_tables import COLUMNS
from support.commands import call, call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from pathlib import Path

    from smtp_server import MailServer

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
_READ_BACK = """\
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
"""


@pytest.fixture
def config(tmp_path: Path, mail_server: MailServer) -> Path:
    (tmp_path / "password").write_text(PASSWORD)
    post = (
        "mail: post\nconnections:\n  post:\n    connector: smtp\n    host: localhost\n"
        f"    port: {mail_server.port}\n    ca_file: {mail_server.certificate}\n"
        "    user: robot@example.com\n    password: file:password\n"
        "    address: Vendor <hello@vendor.example>\n"
    )
    text = CONFIG.replace("connections:\n", post) + _READ_BACK
    made = make_company(tmp_path, config=text)
    header = ",".join(COLUMNS[LOGGED]) + "\n"
    (tmp_path / "crm" / LOGGED).write_text(header, encoding="utf-8")
    return made


def run(config: Path, hours: int = 0) -> dict[str, Any]:
    at = (AT + timedelta(hours=hours)).isoformat()
    return call_json("run", "--config", config, "--at", at)


def logged(config: Path) -> list[dict[str, str]]:
    with (config.parent / "crm" / LOGGED).open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def test_the_crm_has_what_the_mail_server_took(config: Path, mail_server: MailServer) -> None:
    report = run(config)
    assert report["delivery"]["problems"] == []
    assert report["delivery"]["logged"] == 1
    (taken,) = mail_server.taken
    (row,) = logged(config)
    assert f"<{row['message_id']}>" == str(taken.message["Message-ID"])
    assert row["subject"] == taken.message["Subject"]
    assert row["recipient"] == '"Ann Smith" <ann@acme.example>'
    assert "your contract renews" in row["text"]
    assert (row["about_id"], row["also_about"]) == ("A1", "contact C1")
    # It comes back by the next pull, is known as ours, and is neither contact nor sent again.
    for hours in (1, 2):
        again = run(config, hours)
        assert again["delivery"]["logged"] == again["delivery"]["done"] == 0
        assert [rule["matches"] for rule in again["plan"]["rules"]] == [2]
    assert len(logged(config)) == len(mail_server.taken) == 1


def test_a_mail_that_was_refused_has_no_log(config: Path, mail_server: MailServer) -> None:
    mail_server.faults.append(Fault.RCPT_UNKNOWN)
    assert run(config)["delivery"]["rejected"] == 1
    assert logged(config) == []


def test_a_mail_that_a_person_found_is_logged(config: Path, mail_server: MailServer) -> None:
    mail_server.faults.append(Fault.CUT_AFTER_DOT)
    assert run(config)["delivery"]["uncertain"] == 1
    assert logged(config) == []
    told = call("status", "--config", config, "--at", AT.isoformat()).stdout
    key = next(word for word in told.split() if word.startswith("renewal-at-risk-"))
    said = call("landed", key, "--config", config, "--as", "Jo", "--reason", "seen")
    assert said.exit_code == 0, said.output
    assert run(config, 1)["delivery"]["logged"] == 1
    assert len(logged(config)) == len(mail_server.taken) == 1
