"""Mailboxes in memory, with as much of IMAP (RFC 3501, 7162) as the tests and crmsync speak.

For machines without dovecot. It is no kinder than that: what it does not know, it answers with BAD.
"""

from __future__ import annotations

import base64
import re
import socketserver
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SENT = "Gesendetes"
_ABILITIES = b"IMAP4rev1 AUTH=PLAIN SPECIAL-USE CONDSTORE"
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|\0(\d+)\0|(\(.*?\))|([^\s"]+)')
_ITEM = re.compile(rb"BODY(?:\.PEEK)?\[([^\]]*)\](?:<(\d+)\.(\d+)>)?|[A-Z0-9.]+")
_DATE = "%d-%b-%Y %H:%M:%S %z"


class _NoError(Exception):
    """The answer is NO, with these words."""


class _BadError(Exception):
    """The answer is BAD: it is not understood."""


@dataclass(kw_only=True)
class _Mail:
    uid: int
    raw: bytes
    stored: datetime
    flags: set[bytes]
    recent: bool = True


@dataclass(kw_only=True)
class _Folder:
    validity: int
    flags: bytes = b"\\HasNoChildren"
    mails: list[_Mail] = field(default_factory=list)
    next_uid: int = 1
    modseq: int = 1
    gone: bool = False

    def add(self, raw: bytes, flags: Iterable[bytes] = (), stored: datetime | None = None) -> None:
        stored = stored or datetime.now(UTC)
        text = re.sub(rb"\r?\n", b"\r\n", raw)
        self.mails.append(_Mail(uid=self.next_uid, raw=text, stored=stored, flags=set(flags)))
        self.next_uid += 1
        self.modseq += 1

    def state(self) -> dict[bytes, int]:
        return {
            b"MESSAGES": len(self.mails),
            b"RECENT": sum(one.recent for one in self.mails),
            b"UNSEEN": sum(b"\\Seen" not in one.flags for one in self.mails),
            b"UIDVALIDITY": self.validity,
            b"UIDNEXT": self.next_uid,
            b"HIGHESTMODSEQ": self.modseq,
        }

    def among(self, asked: bytes) -> list[tuple[int, _Mail]]:
        """The mails of a set of UIDs, with their numbers; “n:*” names the last one at least."""
        last = max((one.uid for one in self.mails), default=0)
        ranges = []
        for part in asked.split(b","):
            ends = [last if end == b"*" else int(end) for end in part.split(b":")]
            ranges.append((min(ends), max(ends)))
        numbered = enumerate(self.mails, 1)
        return [(n, one) for n, one in numbered if any(a <= one.uid <= b for a, b in ranges)]


class ImapServer(socketserver.ThreadingTCPServer):
    """A server for everybody's mailbox; one is made when somebody first asks for it."""

    daemon_threads, block_on_close = True, False

    def __init__(self, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.password = password
        self.lock = threading.RLock()
        self._validities = count(1_700_000_000)
        self._users: dict[str, dict[str, _Folder]] = {}
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def of(self, user: str) -> dict[str, _Folder]:
        with self.lock:
            if user not in self._users:
                self._users[user] = {"INBOX": self.new(), _SENT: self.new()}
                self._users[user][_SENT].flags += b" \\Sent"
            return self._users[user]

    def new(self) -> _Folder:
        return _Folder(validity=next(self._validities))

    def deliver(self, user: str, raw: bytes) -> None:
        """Put a mail into somebody's inbox, as a mail server does."""
        with self.lock:
            self.of(user)["INBOX"].add(raw)


class _Session(socketserver.StreamRequestHandler):
    server: ImapServer
    disable_nagle_algorithm = True  # an answer is many short writes

    def handle(self) -> None:
        self.folders: dict[str, _Folder] | None = None
        self.open: _Folder | None = None
        self.readonly = True
        with suppress(OSError):
            self._say(b"* OK ready")
            while self._one():
                pass

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")

    def _one(self) -> bool:
        """Answer one command; whether the next one is awaited."""
        line, self.literals = self.rfile.readline(), list[bytes]()
        while (found := _LITERAL.search(line)) is not None:
            self._say(b"+ go on")
            self.literals.append(self.rfile.read(int(found[1])))
            line = line[: found.start()] + b"\0%d\0" % (len(self.literals) - 1)
            line += self.rfile.readline()
        tag, _, rest = line.strip().partition(b" ")
        if not tag:
            return False
        name, _, told = rest.partition(b" ")
        if name.upper() == b"UID":
            name, _, told = told.partition(b" ")
            name = b"UID " + name
        if self.open is not None and self.open.gone:
            self._say(b"* BYE the folder was deleted under you")
            return False
        answer = b"OK done"
        try:
            with self.server.lock:
                self._command(name.upper().decode("ascii"))(told)
        except _NoError as error:
            answer = b"NO " + str(error).encode()
        except (_BadError, ValueError, IndexError) as error:
            answer = b"BAD " + (str(error).encode() or b"what?")
        self._say(tag + b" " + answer)
        return name.upper() != b"LOGOUT"

    def _command(self, name: str) -> Callable[[bytes], None]:
        known = {
            "CAPABILITY": self._capability,
            "NOOP": lambda _: None,
            "LOGOUT": lambda _: self._say(b"* BYE good-bye"),
            "AUTHENTICATE": self._authenticate,
            "LOGIN": self._log_in,
        }
        if self.folders is not None:
            known |= {
                "LIST": self._list,
                "STATUS": self._status,
                "SELECT": lambda told: self._select(told, readonly=False),
                "EXAMINE": lambda told: self._select(told, readonly=True),
                "CREATE": self._create,
                "DELETE": self._delete,
                "RENAME": self._rename,
                "APPEND": self._append,
            }
        if self.open is not None:
            known |= {"UID SEARCH": self._search, "UID FETCH": self._fetch}
        if self.open is not None and not self.readonly:
            known |= {"UID STORE": self._store, "UID COPY": self._copy, "EXPUNGE": self._expunge}
        if name not in known:
            raise _BadError(f"{name} is not known here, or not now")
        return known[name]

    def _words(self, told: bytes) -> list[bytes]:
        words = []
        for text, literal, parens, atom in _TOKEN.findall(told):
            plain = re.sub(rb"\\(.)", rb"\1", text) or parens or atom
            words.append(self.literals[int(literal)] if literal else plain)
        return words

    def _named(self, name: bytes) -> _Folder:
        folder = self._own.get(_folder_name(name))
        if folder is None:
            raise _NoError("[NONEXISTENT] Mailbox doesn't exist")
        return folder

    @property
    def _own(self) -> dict[str, _Folder]:
        assert self.folders is not None
        return self.folders

    @property
    def _opened(self) -> _Folder:
        assert self.open is not None
        return self.open

    def _capability(self, _: bytes) -> None:
        self._say(b"* CAPABILITY " + _ABILITIES)

    def _enter(self, user: bytes, password: bytes) -> None:
        if password.decode() != self.server.password:
            raise _NoError("[AUTHENTICATIONFAILED] Authentication failed.")
        self.folders = self.server.of(user.decode())
        self._capability(b"")

    def _authenticate(self, told: bytes) -> None:
        if told.upper() != b"PLAIN":
            raise _NoError("Unsupported authentication mechanism.")
        self._say(b"+ ")
        _, user, password = base64.b64decode(self.rfile.readline()).split(b"\0")
        self._enter(user, password)

    def _log_in(self, told: bytes) -> None:
        user, password = self._words(told)
        self._enter(user, password)

    def _list(self, _: bytes) -> None:
        for name, folder in self._own.items():
            self._say(b'* LIST (%s) "." "%s"' % (folder.flags, name.encode("ascii")))

    def _status(self, told: bytes) -> None:
        name, items = self._words(told)
        state = self._named(name).state()
        pairs = b" ".join(b"%s %d" % (one, state[one]) for one in items[1:-1].split())
        self._say(b'* STATUS "%s" (%s)' % (name, pairs))

    def _select(self, told: bytes, *, readonly: bool) -> None:
        self.open = None
        folder = self._named(self._words(told)[0])
        state = folder.state()
        self._say(b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        self._say(b"* %d EXISTS" % state[b"MESSAGES"])
        self._say(b"* %d RECENT" % state[b"RECENT"])
        for name in (b"UIDVALIDITY", b"UIDNEXT", b"HIGHESTMODSEQ"):
            self._say(b"* OK [%s %d] so it is" % (name, state[name]))
        self.open, self.readonly = folder, readonly
        for one in () if readonly else folder.mails:
            one.recent = False

    def _create(self, told: bytes) -> None:
        name = _folder_name(self._words(told)[0])
        if name in self._own:
            raise _NoError("[ALREADYEXISTS] Mailbox already exists")
        self._own[name] = self.server.new()

    def _delete(self, told: bytes) -> None:
        (name,) = self._words(told)
        self._named(name).gone = True
        del self._own[_folder_name(name)]

    def _rename(self, told: bytes) -> None:
        old, new = self._words(told)
        self._own[_folder_name(new)] = self._named(old)
        del self._own[_folder_name(old)]

    def _append(self, told: bytes) -> None:
        name, *more, raw = self._words(told)
        flags = more.pop(0)[1:-1].split() if more and more[0][:1] == b"(" else []
        stored = parsedate_to_datetime(more[0].decode().replace("-", " ", 2)) if more else None
        self._named(name).add(raw, flags, stored)

    def _search(self, told: bytes) -> None:
        match self._words(told):
            case [b"ALL"]:
                found = list(enumerate(self._opened.mails, 1))
            case [b"UID", asked]:
                found = self._opened.among(asked)
            case [b"HEADER", name, text]:
                numbered = enumerate(self._opened.mails, 1)
                found = [(n, one) for n, one in numbered if text.lower() in _header(one, name)]
            case _:
                raise _BadError("Unknown argument")
        self._say(b"* SEARCH" + b"".join(b" %d" % one.uid for _, one in found))

    def _fetch(self, told: bytes) -> None:
        asked, _, items = told.partition(b" ")
        for number, one in self._opened.among(asked):
            given = [b"UID %d" % one.uid]
            for item in _ITEM.finditer(items):
                given += self._given(one, item)
            self._say(b"* %d FETCH (%s)" % (number, b" ".join(given)))

    def _given(self, one: _Mail, item: re.Match[bytes]) -> list[bytes]:
        section = item[1]
        if section is None:
            known = {
                b"UID": b"",
                b"FLAGS": b"FLAGS (%s)" % b" ".join(sorted(one.flags)),
                b"RFC822.SIZE": b"RFC822.SIZE %d" % len(one.raw),
                b"INTERNALDATE": b'INTERNALDATE "%s"' % one.stored.strftime(_DATE).encode(),
            }
            if item[0] not in known:
                raise _BadError(f"Unknown parameter {item[0].decode()}")
            return [known[item[0]]] if known[item[0]] else []
        if not item[0].startswith(b"BODY.PEEK") and not self.readonly:
            one.flags.add(b"\\Seen")
        text = one.raw
        if section:
            wanted = re.fullmatch(rb"HEADER\.FIELDS \(([^)]*)\)", section)
            if wanted is None:
                raise _BadError("Invalid BODY[..] parameter")
            text = _lines(one.raw, wanted[1].lower().split())
        name = b"BODY[%s]" % section
        if item[2] is not None:
            start = int(item[2])
            name, text = b"%s<%d>" % (name, start), text[start : start + int(item[3])]
        return [b"%s {%d}\r\n%s" % (name, len(text), text)]

    def _store(self, told: bytes) -> None:
        asked, how, flags = self._words(told)
        if how != b"+FLAGS":
            raise _BadError("only +FLAGS is known here")
        for number, one in self._opened.among(asked):
            one.flags |= set(flags[1:-1].split())
            self._opened.modseq += 1
            self._say(b"* %d FETCH (UID %d FLAGS (%s))" % (number, one.uid, b" ".join(one.flags)))

    def _copy(self, told: bytes) -> None:
        asked, name = self._words(told)
        target = self._named(name)
        for _, one in self._opened.among(asked):
            target.add(one.raw, one.flags, one.stored)

    def _expunge(self, _: bytes) -> None:
        folder = self._opened
        for number in range(len(folder.mails), 0, -1):
            if b"\\Deleted" in folder.mails[number - 1].flags:
                del folder.mails[number - 1]
                self._say(b"* %d EXPUNGE" % number)
        folder.modseq += 1


def _folder_name(name: bytes) -> str:
    text = name.decode("ascii")
    return "INBOX" if text.upper() == "INBOX" else text


def _header(one: _Mail, name: bytes) -> bytes:
    mail = message_from_bytes(one.raw.partition(b"\r\n\r\n")[0], policy=policy.compat32)
    told = " ".join(str(value) for value in mail.get_all(name.decode("ascii"), []))
    return told.lower().encode("utf-8", "replace")


def _lines(raw: bytes, names: list[bytes]) -> bytes:
    """These lines of the header, with what continues them, and an empty one."""
    head = raw.partition(b"\r\n\r\n")[0]
    fields = re.split(rb"\r\n(?![ \t])", head)
    kept = [one for one in fields if one.partition(b":")[0].strip().lower() in names]
    return b"".join(one + b"\r\n" for one in kept) + b"\r\n"
