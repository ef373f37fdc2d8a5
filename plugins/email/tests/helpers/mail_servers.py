"""Real mail servers on loopback: dovecot for mailboxes, postfix to carry mail between them.

Each test session has its own, in a fresh directory and on free ports, ended by their process ids.
Every domain is at home here, so that no mail leaves the machine; what a test names is carried to
a port of its own, for instance to a server that refuses. Every mailbox has the same password.
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import jwt
from imapclient import IMAPClient

if TYPE_CHECKING:
    from collections.abc import Iterable

PASSWORD = "correct-horse"  # noqa: S105  of mailboxes that live for a test
_TOKEN_KEY = b"of tokens that live for a test, too"
_DOVECOT, _POSTFIX = Path("/usr/sbin/dovecot"), Path("/usr/sbin/postfix")
_LMTP = Path("/usr/lib/dovecot/lmtp")
_OWNER = "mail"  # a user that Debian always has
_PATIENCE = 20.0  # seconds

_DOVECOT_CONF = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
mail_location = maildir:{folder}/mail/%u
mail_uid = {owner}
mail_gid = {owner}
mail_fsync = never
first_valid_uid = 1
first_valid_gid = 1
default_login_user = dovenull
default_internal_user = dovecot
default_process_limit = 30
default_vsz_limit = 1G
mail_max_userip_connections = 50
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner} home={folder}/mail/%u allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = {ssl}
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {auth}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
namespace inbox {{
  inbox = yes
  mailbox Gesendetes {{
    special_use = \\Sent
    auto = create
  }}
}}
"""

_OAUTH2_CONF = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = sub
"""

_POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth}
smtpd_relay_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
default_transport = error:5.1.2 no mail leaves this machine
relay_transport = error:5.1.2 no mail leaves this machine
transport_maps = texthash:{folder}/transport
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
smtputf8_enable = yes
alias_maps =
alias_database =
message_size_limit = 0
virtual_mailbox_limit = 0
mailbox_size_limit = 0
"""

_POSTFIX_MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def why_no_servers() -> str | None:
    """Why dovecot and postfix cannot be started here, or None."""
    missing = {
        "postfix": _POSTFIX.exists(),
        "dovecot-imapd": _DOVECOT.exists(),
        "dovecot-lmtpd": _LMTP.exists(),
    }
    lacking = [package for package, there in missing.items() if not there]
    if lacking:
        return f"Debian's {', '.join(lacking)} are not installed"
    return None if os.geteuid() == 0 else "only root can start dovecot and postfix"


class Mailboxes(Protocol):
    """Everybody's mailbox; one is made when somebody first asks for it."""

    @property
    def imap(self) -> int:
        """The port at which they are read."""
        ...

    @property
    def lmtp(self) -> int:
        """The port at which mail is delivered to them."""
        ...

    def client(self, user: str) -> IMAPClient:
        """A connection to a mailbox, as another mail program has it."""
        ...

    def token(self, user: str, *, seconds: int = 600) -> str:
        """An access token for a mailbox, as an identity provider gives it."""
        ...

    def put(self, user: str, mails: Iterable[bytes], folder: str = "INBOX") -> None:
        """Put mails into a folder, as a mail program does."""
        ...


class Carrier(Protocol):
    """Carries mail between mailboxes, and tells of what could not be delivered."""

    @property
    def smtp(self) -> int:
        """The port at which it takes mail from this machine."""
        ...

    def carry(self, domain: str, port: int) -> None:
        """From now on, carry mail to a domain by SMTP to a port of this machine."""
        ...


def free_port() -> int:
    """A port on this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_port(port: int, log: Path) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    told = log.read_text(errors="replace")[-2_000:] if log.exists() else "it has said nothing"
    raise AssertionError(f"nobody listens at port {port}: {told}")


@dataclass(frozen=True, kw_only=True)
class Dovecot:
    """A dovecot that runs; a mailbox is made when somebody first asks for it.

    Attributes:
        imap, imaps, lmtp, auth: its ports; at the last one it tells a postfix whose password is
            right. STARTTLS is offered at ``imap`` where it has a certificate.
    """

    folder: Path
    imap: int
    imaps: int
    lmtp: int
    auth: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, folder: Path, *, certificate: tuple[Path, Path] | None = None) -> Dovecot:
        """Start one in a fresh directory, with a certificate and its key where TLS is wanted."""
        folder.chmod(0o755)
        (folder / "run").mkdir()
        (folder / "mail").mkdir()
        shutil.chown(folder / "mail", _OWNER, _OWNER)
        imap, imaps, lmtp, auth = (free_port() for _ in range(4))
        lines = ""
        if certificate is not None:
            lines = f"ssl_cert = <{certificate[0]}\nssl_key = <{certificate[1]}"
        config = folder / "dovecot.conf"
        config.write_text(
            _DOVECOT_CONF.format(
                folder=folder, owner=_OWNER, password=PASSWORD, imap=imap,
                imaps=imaps if certificate else 0, lmtp=lmtp, auth=auth, certificate=lines,
                ssl="yes" if certificate else "no",
            )
        )  # fmt: skip
        (folder / "oauth2.conf").write_text(_OAUTH2_CONF.format(folder=folder))
        keys = folder / "keys" / "default" / "HS256"
        keys.mkdir(parents=True)
        (keys / "default").write_bytes(base64.b64encode(_TOKEN_KEY))
        log = folder / "dovecot.log"
        process = subprocess.Popen(
            [_DOVECOT, "-F", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for port in (imap, lmtp, *((imaps,) if certificate else ())):
            wait_for_port(port, log)
        return cls(folder=folder, imap=imap, imaps=imaps, lmtp=lmtp, auth=auth, process=process)

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.process.terminate()
        self.process.wait()

    def client(self, user: str) -> IMAPClient:
        """A connection to a mailbox, as another mail program has it."""
        client = IMAPClient("127.0.0.1", port=self.imap, ssl=False, timeout=_PATIENCE)
        client.login(user, PASSWORD)
        return client

    @staticmethod
    def token(user: str, *, seconds: int = 600) -> str:
        """An access token for a mailbox, as an identity provider gives it."""
        now = int(time.time())
        claims = {"sub": user, "iat": now - 700, "exp": now + seconds}
        return jwt.encode(claims, _TOKEN_KEY, algorithm="HS256")

    def put(self, user: str, mails: Iterable[bytes], folder: str = "INBOX") -> None:
        """Put mails into a folder, as a mail program does."""
        with self.client(user) as client:
            for mail in mails:
                client.append(folder, mail)


@dataclass(frozen=True, kw_only=True)
class Postfix:
    """A postfix that runs and takes mail from this machine at the port ``smtp``."""

    folder: Path
    smtp: int

    @classmethod
    def start(cls, folder: Path, mailboxes: Dovecot) -> Postfix:
        """Start one in a fresh directory; mail is delivered to mailboxes, whose passwords count."""
        folder.chmod(0o755)
        for name in ("queue", "data", "config"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix", "postfix")
        smtp = free_port()
        (folder / "transport").write_text("")
        config = folder / "config"
        (config / "main.cf").write_text(
            _POSTFIX_MAIN.format(folder=folder, lmtp=mailboxes.lmtp, auth=mailboxes.auth)
        )
        (config / "master.cf").write_text(_POSTFIX_MASTER.format(smtp=smtp))
        started = subprocess.run(
            [_POSTFIX, "-c", config, "start"], capture_output=True, text=True, check=False
        )
        assert started.returncode == 0, started.stderr
        wait_for_port(smtp, folder / "mail.log")
        return cls(folder=folder, smtp=smtp)

    def carry(self, domain: str, port: int) -> None:
        """From now on, carry mail to a domain by SMTP to a port of this machine."""
        with (self.folder / "transport").open("a") as table:
            table.write(f"{domain} smtp:[127.0.0.1]:{port}\n")
        config = self.folder / "config"
        subprocess.run([_POSTFIX, "-c", config, "reload"], capture_output=True, check=True)

    def log(self) -> str:
        """What it has written to its log."""
        return (self.folder / "mail.log").read_text(errors="replace")

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        config = self.folder / "config"
        subprocess.run([_POSTFIX, "-c", config, "stop"], capture_output=True, check=False)
