"""The main job with mail that goes out by a mail server: once each, whatever breaks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from smtp_server import PASSWORD, Fault

from crmsync.app.setup import prepare_demo
from crmsync.app.workspace import open_workspace
from crmsync.clock import FixedClock
from support.commands import call, call_json
from support.company import CONFIG, FILES, make_company

if TYPE_CHECKING:
    from pathlib import Path

    from smtp_server import MailServer

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def connection(server: MailServer, folder: Path, more: str = "") -> str:
    """The lines of the config by which mail goes out."""
    (folder / "password").write_text(PASSWORD)
    return (
        "  post:\n    connector: smtp\n    host: localhost\n"
        f"    port: {server.port}\n    ca_file: {server.certificate}\n    user: robot@example.com\n"
        f"    password: file:password\n    address: Vendor <hello@vendor.example>\n{more}"
    )


def company(folder: Path, server: MailServer, more: str = "", **changes: str) -> Path:
    head = "policy: {most_share_of_accounts: 1.0}\nmail: post\nconnections:\n"
    routed = head + connection(server, folder, more)
    return make_company(folder, config=CONFIG.replace("connections:\n", routed), **changes)


def run(config: Path, at: datetime = AT) -> dict[str, Any]:
    return call_json("run", "--config", config, "--at", at.isoformat())


def test_the_sample_s_renewal_mails_go_out(tmp_path: Path, mail_server: MailServer) -> None:
    config = prepare_demo(tmp_path / "demo", AT).config
    text = config.read_text(encoding="utf-8")
    lines = connection(mail_server, config.parent).replace("vendor.example", "brightwater.example")
    routed = text.replace("connections:\n", "mail: post\nconnections:\n" + lines)
    config.write_text(routed, encoding="utf-8")
    assert call("check", "--config", config).exit_code == 0
    proved = call("connections", "check", "post", "--config", config)
    assert proved.exit_code == 0, proved.stdout
    report = run(config)
    assert report["delivery"]["problems"] == []
    planned = {one["key"] for one in report["plan"]["actions"] if one["state"] == "ready"}
    mails = [one for one in report["plan"]["actions"] if one["kind"] == "email"]
    sent = {one["key"].rpartition("-")[2] for one in mails if one["key"] in planned}
    taken = [one.message for one in mail_server.taken]
    ids = Counter(str(one["Message-ID"]) for one in taken)
    assert set(ids.values()) == {1}
    assert {one.partition(".")[2].partition("@")[0] for one in ids} == sent
    assert len(sent) > 10
    (renewal, *_) = [
        one.message
        for one in mail_server.taken
        if any(
            mail["rule"] == "renewal-at-risk" and mail["key"].rpartition("-")[2] in one.message_id
            for mail in mails
        )
    ]
    assert renewal["From"].addresses[0].domain == "brightwater.example"
    assert renewal["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in renewal.iter_parts()] == ["text/plain", "text/html"]
    second = run(config, AT + timedelta(hours=1))
    assert second["delivery"]["done"] == 0
    assert len(mail_server.taken) == len(taken)


def test_what_is_uncertain_waits_for_a_person(tmp_path: Path, mail_server: MailServer) -> None:
    config = company(tmp_path, mail_server)
    mail_server.faults.append(Fault.CUT_AFTER_DOT)
    assert run(config)["delivery"]["uncertain"] == 1
    for hours in (1, 2, 30):
        again = run(config, AT + timedelta(hours=hours))
        assert again["delivery"]["uncertain"] == 1
        assert again["delivery"]["done"] == 0
    (taken,) = mail_server.taken
    status = call("status", "--config", config, "--at", (AT + timedelta(hours=31)).isoformat())
    told = " ".join(status.stdout.split())
    assert "so it may have taken it" in told
    key = next(word for word in told.split() if word.startswith("renewal-at-risk-"))
    assert key.rpartition("-")[2] in taken.message_id
    landed = call(
        "landed", key, "--config", config, "--as", "Jo", "--reason", "it is in her mailbox"
    )
    assert landed.exit_code == 0, landed.stdout + landed.stderr


def test_what_a_killed_process_was_sending_is_not_sent_again(
    tmp_path: Path, mail_server: MailServer
) -> None:
    config = company(tmp_path, mail_server)
    mail_server.faults.append(Fault.HANG_AFTER_DOT)
    command = [sys.executable, "-m", "crmsync", "run", "--config", str(config)]
    process = subprocess.Popen(
        [*command, "--at", AT.isoformat()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    for _ in range(600):
        if mail_server.taken or process.poll() is not None:
            break
        time.sleep(0.1)
    assert process.poll() is None, "it waits for the answer"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(mail_server.taken) == 1
    for hours in (1, 2):
        assert run(config, AT + timedelta(hours=hours))["delivery"]["uncertain"] == 1
    assert len(mail_server.taken) == 1


def test_whatever_breaks_no_mail_is_sent_twice(tmp_path: Path, mail_server: MailServer) -> None:
    dice = random.Random(4)
    count = 40
    accounts = [f"A{n},Acme {n},U1,gold,2026-03-20" for n in range(count)]
    contacts = [f"C{n},A{n},Ann {n},Smith,ann{n}@acme{n}.example,no" for n in range(count)]
    calls = [f"T{n},A{n},call,2026-01-10 10:00" for n in range(count)]
    config = company(
        tmp_path,
        mail_server,
        accounts="\n".join(["id,name,owner,tier,renewal", *accounts]),
        contacts="\n".join(["id,account,first,last,email,unsubscribed", *contacts]),
        activities="\n".join(["id,account,kind,at", *calls]),
    )
    faults = [fault for fault in Fault if not fault.name.startswith(("HANG", "CUT_BEFORE"))]
    for hour in range(8):
        # Once each kind, and then what the dice say; at the end all is well for a while.
        mail_server.faults.clear()
        if hour < 5:
            mail_server.faults.extend(dice.sample(faults, k=4))
        report = run(config, AT + timedelta(hours=2 * hour))
    twice = [one for one, times in _ids(mail_server).items() if times > 1]
    assert twice == []
    counts = report["delivery"]
    assert counts["waiting"] == 0
    states = Counter(_states(config))
    assert states["done"] + states["uncertain"] + states["rejected"] == count
    # What was taken is done, or nobody knows; what was refused was not taken.
    assert states["done"] <= len(mail_server.taken) <= states["done"] + states["uncertain"]


def _ids(server: MailServer) -> Counter[str]:
    return Counter(one.message_id for one in server.taken)


def _states(config: Path) -> list[str]:
    """The state of each mail in the ledger."""
    workspace = open_workspace(config, FixedClock(instant=AT + timedelta(days=2)))
    return [one.state.value for one in workspace.ledger.effects() if one.action.kind == "email"]


def test_a_minute_s_mails_count_over_runs(tmp_path: Path, mail_server: MailServer) -> None:
    config = company(
        tmp_path,
        mail_server,
        "    rate: {per_minute: 1}\n",
        accounts="id,name,owner,tier,renewal\nA1,Acme,U1,gold,2026-03-20\nA2,Bo,U1,gold,2026-03-20",
        contacts="id,account,first,last,email,unsubscribed\nC1,A1,Ann,Smith,ann@acme.example,no\n"
        "C2,A2,Bob,Jones,bob@bo.example,no",
        activities="id,account,kind,at\nT1,A1,call,2026-01-10 10:00\nT2,A2,call,2026-01-10 10:00",
    )
    first = run(config)["delivery"]
    assert (first["done"], first["waiting"], first["problems"]) == (3, 1, [])  # two are tasks
    status = call("status", "--config", config, "--at", AT.isoformat())
    assert "1 mail went out within a minute, as rate allows" in " ".join(status.stdout.split())
    assert run(config, AT + timedelta(seconds=59))["delivery"]["done"] == 0
    assert run(config, AT + timedelta(seconds=71))["delivery"]["done"] == 1
    assert len(mail_server.taken) == 2


def test_letters_before_the_at_go_where_the_server_takes_them(
    tmp_path: Path, mail_server: MailServer
) -> None:
    contacts = (
        "id,account,first,last,email,unsubscribed\n"
        "C1,A1,Jörg,Groß,jörg@köln.example,no\nC2,A2,Bo,Groß,bo@straße.example,no"
    )
    config = company(tmp_path, mail_server, contacts=contacts)
    assert run(config)["delivery"]["done"] == 4  # two are tasks
    taken = {one.recipients[0]: one.message["To"].addresses[0] for one in mail_server.taken}
    assert set(taken) == {"jörg@xn--kln-sna.example", "bo@xn--strae-oqa.example"}
    assert taken["bo@xn--strae-oqa.example"].display_name == "Bo Groß"
    mail_server.international = False
    mail_server.taken.clear()
    (tmp_path / "other").mkdir()
    other = company(tmp_path / "other", mail_server, contacts=contacts)
    report = run(other)["delivery"]
    assert (report["done"], report["rejected"]) == (3, 1)
    assert [one.recipients for one in mail_server.taken] == [["bo@xn--strae-oqa.example"]]
    told = " ".join(call("status", "--config", other, "--at", AT.isoformat()).stdout.split())
    assert "takes no addresses such as jörg@xn--kln-sna.example (it lacks SMTPUTF8)" in told


def test_where_nobody_is_no_other_mail_goes(tmp_path: Path, mail_server: MailServer) -> None:
    contacts = (
        "id,account,first,last,email,unsubscribed\n"
        "C1,A1,Ann,Smith,nobody@acme.example,no\nC2,A2,Bo,Okafor,bo@blue.example,yes"
    )
    config = company(tmp_path, mail_server, contacts=contacts)
    assert run(config)["delivery"]["rejected"] == 1
    first = (tmp_path / "rules" / "renewal-at-risk.yaml").read_text(encoding="utf-8")
    second = first.replace("rule: renewal-at-risk", "rule: second")
    (tmp_path / "rules" / "second.yaml").write_text(second, encoding="utf-8")
    report = run(config, AT + timedelta(hours=1))
    (held,) = [one["reason"] for one in report["plan"]["held"] if one["rule"] == "second"]
    assert held.startswith("mail to nobody@acme.example was refused on 2026-03-02: the mail server")
    assert held.endswith("550 5.1.1 no such user here; correct the address in the CRM")
    at = ("--config", config, "--at", (AT + timedelta(hours=2)).isoformat())
    told = " ".join(call("status", *at).stdout.split())
    assert (
        "nobody@acme.example takes no mail: what would go there is held. Said by the mail" in told
    )
    lifted = call("suppress", "nobody@acme.example", "--lift", *at, "--as", "Jo")
    assert lifted.exit_code == 0, lifted.output
    again = run(config, AT + timedelta(hours=3))
    assert again["delivery"]["rejected"] == 1, "it was tried anew"
    assert mail_server.taken == []


def test_redirected_mail_of_a_whole_run(tmp_path: Path, mail_server: MailServer) -> None:
    config = company(tmp_path, mail_server, "    redirect_to: jo@vendor.example\n")
    checked = call("connections", "check", "post", "--config", config)
    assert "every mail goes to jo@vendor.example" in " ".join(checked.stdout.split())
    reminder = "post: every mail goes to jo@vendor.example instead of to its recipient"
    for command in ("plan", "run", "status"):
        told = call(command, "--config", config, "--at", AT.isoformat())
        assert reminder in " ".join(told.stdout.split()), command
    assert [one.recipients for one in mail_server.taken] == [["jo@vendor.example"]]
    assert "ann@acme.example" in FILES["crm/contacts.csv"]
