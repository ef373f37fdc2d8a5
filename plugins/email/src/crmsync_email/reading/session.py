"""One connection to a mailbox: the few commands that reading needs, none of which changes it.

Mails are fetched from their beginning and up to a bound, and from their end where no text stands
at the beginning: what they mean stands there, and what is attached is not read. So neither a mail
of 50 MB nor a structure of thousands of parts is loaded.
"""

from __future__ import annotations

import logging
import re
import ssl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, LoginError

from crmsync.errors import AuthError, QuotaError, RejectedError, TransientError
from crmsync_email.login import Security
from crmsync_email.reading.errors import RefusedError, answers
from crmsync_email.sending.answers import REST_AFTER_QUOTA
from crmsync_email.sending.message import SENT_AS
from crmsync_email.tokens import AccessTokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.clock import Clock
    from crmsync_email.login import Login
    from crmsync_email.reading.options import ImapOptions

# Its debug log holds all that servers say, and some quote the password that they refuse.
logging.getLogger("imapclient").setLevel(logging.WARNING)
_SECONDS = 60.0  # without a byte from the server
_SIZE, _DATE, _FLAGS = b"RFC822.SIZE", b"INTERNALDATE", b"FLAGS"
# Google: “Account exceeded command or bandwidth limits”; Microsoft: “… is throttled”.
_USED_UP = re.compile(r"\[OVERQUOTA\]|bandwidth|command limit|throttl", re.IGNORECASE)
# RFC 5530: what passes by itself, so that nobody has to look at the password.
_PASSING = re.compile(
    r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]|too many|try again|temporar", re.IGNORECASE
)


class ImapLogin:
    """How to log in to a mailbox: by a password, or by an access token (XOAUTH2)."""

    def __init__(self, login: Login, clock: Clock) -> None:
        self.user = login.user or ""
        self.clock = clock
        self._password = login.password
        self._tokens = None if login.oauth is None else AccessTokens(login.oauth, clock)

    @property
    def is_token(self) -> bool:
        """Whether the secret is an access token."""
        return self._tokens is not None

    def secret(self) -> str:
        """The password, or a token that is valid now.

        Raises:
            ConnectorError: there is none.
        """
        if self._tokens is not None:
            return self._tokens.token()
        return "" if self._password is None else self._password.reveal()

    def renew(self) -> bool:
        """The secret was refused; whether there may be another one now."""
        if self._tokens is not None:
            self._tokens.forget()
        return self._tokens is not None


@dataclass(frozen=True, kw_only=True)
class ListedFolder:
    r"""A folder as the server lists it; ``flags`` in lower case, such as ``\sent``."""

    name: str
    flags: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class FolderState:
    """What tells whether there is new mail.

    Attributes:
        validity: UIDVALIDITY: UIDs mean nothing beside another one.
        next_uid: no mail has it yet or a higher one; None where the server does not say.
        modseq: HIGHESTMODSEQ, which no change leaves as it is and which never falls (RFC 7162);
            None where the server does not offer CONDSTORE, or not for this folder.
    """

    validity: int
    next_uid: int | None
    modseq: int | None = None


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A mail before it is fetched. ``size`` in bytes."""

    uid: int
    size: int
    stored: datetime | None
    draft: bool


class MailboxSession:
    """An open connection to a mailbox; to be used by one thread at a time.

    Attributes:
        calls: how many commands were sent, each one round trip.
    """

    def __init__(self, options: ImapOptions, login: ImapLogin) -> None:
        """Connect and log in.

        Raises:
            AuthError: the server does not accept the login.
            TransientError: the server cannot be reached, or takes nobody now.
            RejectedError: it cannot be reached safely.
        """
        self.calls = 0
        self._where = f"the mail server {options.host}:{options.at_port} (IMAP)"
        self._client = self._connected(options)
        try:
            self._log_in(login)
        except BaseException:
            self.close()
            raise

    def _connected(self, options: ImapOptions) -> IMAPClient:
        context = self._context(options)
        with self._fatal("take anybody now"), self._answers():
            client = IMAPClient(
                options.host,
                port=options.at_port,
                ssl=options.security is Security.TLS,
                ssl_context=context,
                timeout=_SECONDS,
            )
        client.normalise_times = False
        if options.security is Security.STARTTLS:
            try:
                with self._answers():
                    client.starttls(context)
            except BaseException as error:
                with suppress(OSError):
                    client.shutdown()
                if isinstance(error, RefusedError):
                    raise RejectedError(
                        f"{self._where} offers no STARTTLS at port {options.at_port}, so the "
                        "password was not sent; try security: tls"
                    ) from None
                raise
        return client

    def _context(self, options: ImapOptions) -> ssl.SSLContext | None:
        if options.security is Security.NONE:
            return None
        try:
            return ssl.create_default_context(cafile=options.ca_file)
        except (OSError, ssl.SSLError):
            raise RejectedError(
                f"ca_file {options.ca_file} holds no certificates that can be read"
            ) from None

    def _log_in(self, login: ImapLogin) -> None:
        refused = self._refusal(login)
        if refused is not None and login.renew():  # perhaps it was taken back before its time
            refused = self._refusal(login)
        if refused is None:
            return
        # The server's own words may quote the password.
        if _USED_UP.search(str(refused)):
            raise QuotaError(
                f"{self._where} has given as much of the mailbox of {login.user} as it gives in a "
                "day",
                until=login.clock.now() + REST_AFTER_QUOTA,
            ) from None
        broken = isinstance(refused.__context__, IMAPClientAbortError)
        if broken or _PASSING.search(str(refused)):
            raise TransientError(f"{self._where} takes no logins now") from None
        what = "the OAuth token" if login.is_token else "the password"
        raise AuthError(
            f"{self._where} does not accept {what} of {login.user}; some providers want IMAP to be "
            "switched on for the mailbox, or a password for this program alone"
        ) from None

    def _refusal(self, login: ImapLogin) -> Exception | None:
        """None where the server has accepted the login."""
        secret = login.secret()
        try:
            with self._answers():
                if login.is_token:
                    self._client.oauth2_login(login.user, secret)
                elif self._client.has_capability("AUTH=PLAIN"):
                    self._client.plain_login(login.user, secret)
                else:
                    self._client.login(login.user, secret)
        except (RefusedError, LoginError) as error:
            return error
        except UnicodeEncodeError:
            raise AuthError(
                f"{self._where} takes no passwords with letters outside ASCII"
            ) from None
        return None

    def close(self) -> None:
        """Log out, whatever state the connection is in."""
        with suppress(Exception):
            self._client.logout()
        with suppress(Exception):
            self._client.shutdown()

    def folders(self) -> list[ListedFolder]:
        """All folders that can hold mail.

        Raises:
            ConnectorError: the server does not say.
        """
        with self._fatal("list its folders"), self._answers():
            listed = self._client.list_folders()
        found = []
        for flags, _, name in listed:
            words = frozenset(flag.decode("ascii", "replace").lower() for flag in flags)
            if not words & {"\\noselect", "\\nonexistent"}:
                found.append(ListedFolder(name=str(name), flags=words))
        return found

    def status(self, folder: str) -> FolderState:
        """Whether there is new mail in a folder, in one round trip.

        Raises:
            RefusedError: there is no such folder, or it may not be read.
        """
        with self._answers():
            counts = self._client.has_capability("CONDSTORE")
            asked = ["UIDVALIDITY", "UIDNEXT", *["HIGHESTMODSEQ"] * counts]
            return _state(self._client.folder_status(folder, asked))

    def examine(self, folder: str) -> FolderState:
        """Open a folder so that nothing in it can be changed.

        Raises:
            RefusedError: there is no such folder, or it may not be read.
        """
        with self._answers():
            return _state(self._client.select_folder(folder, readonly=True))

    def uids(self, first: int, last: int | None) -> list[int]:
        """The UIDs of the open folder from one to another, or to the end; in ascending order.

        Raises:
            RefusedError: the server does not say.
        """
        with self._answers():
            found = self._client.search(["UID", f"{first}:{last or '*'}"])
        # “n:*” names the last mail even where it is older (RFC 3501, 6.4.8).
        return sorted(uid for uid in set(found) if uid >= first and (last is None or uid <= last))

    def outlines(self, uids: Sequence[int]) -> list[Outline]:
        """What these mails are, by UID; of those of which nothing is told, the UID alone.

        Raises:
            RefusedError: the server does not say.
        """
        with self._answers():
            told = self._client.fetch(list(uids), ["RFC822.SIZE", "INTERNALDATE", "FLAGS"])
        return [_outline(uid, told.get(uid, {})) for uid in uids]

    def beginnings(self, uids: Sequence[int], length: int) -> dict[int, bytes]:
        """The first bytes of these mails, by UID; those that the server leaves out are not there.

        Raises:
            RefusedError: the server does not give them.
        """
        return self.pieces(uids, 0, length)

    def pieces(self, uids: Sequence[int], start: int, length: int) -> dict[int, bytes]:
        """Some bytes of these mails, by UID, beginning at the one of this number.

        Raises:
            RefusedError: the server does not give them.
        """
        with self._answers():
            told = self._client.fetch(list(uids), [f"BODY.PEEK[]<{start}.{length}>"])
        name = f"BODY[]<{start}>".encode()
        found = {}
        for uid, one in told.items():
            if name in one and not isinstance(one[name], bytes):
                raise RefusedError(f"the server has no text of mail {uid}")
            if name in one:
                found[uid] = one[name][:length]
        return found

    def with_message_id(self, text: str) -> list[int]:
        """The UIDs of the mails of the open folder whose Message-ID contains a text.

        Raises:
            RefusedError: the server does not search.
        """
        with self._answers():
            return list(self._client.search(["HEADER", "Message-ID", text]))

    def message_ids(self, uids: Sequence[int]) -> dict[int, str]:
        """The headers of these mails that hold a Message-ID, as they stand there.

        Raises:
            RefusedError: the server does not say.
        """
        asked = f"BODY.PEEK[HEADER.FIELDS (MESSAGE-ID {SENT_AS.upper()})]"
        with self._answers():
            told = self._client.fetch(list(uids), [asked])
        return {
            uid: value.decode("latin-1")
            for uid, one in told.items()
            for name, value in one.items()
            # Servers write the names in other ways than they were asked.
            if name.startswith(b"BODY[HEADER.FIELDS") and isinstance(value, bytes)
        }

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """A command: what may go wrong with it, told in a sentence."""
        self.calls += 1
        with answers(self._where):
            yield

    @contextmanager
    def _fatal(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RefusedError as error:
            raise TransientError(f"{self._where} does not {doing}{error}") from None


def _state(told: dict[bytes, object]) -> FolderState:
    validity, next_uid = told.get(b"UIDVALIDITY"), told.get(b"UIDNEXT")
    if not isinstance(validity, int):
        raise RefusedError("it has no UIDVALIDITY")
    modseq = told.get(b"HIGHESTMODSEQ")
    return FolderState(
        validity=validity,
        next_uid=next_uid if isinstance(next_uid, int) and next_uid else None,
        modseq=modseq if isinstance(modseq, int) and modseq else None,
    )


def _outline(uid: int, told: dict[bytes, object]) -> Outline:
    size, flags = told.get(_SIZE), told.get(_FLAGS)
    return Outline(
        uid=uid,
        size=size if isinstance(size, int) else 0,
        stored=_aware(told.get(_DATE)),
        draft=isinstance(flags, tuple) and any(flag.lower() == b"\\draft" for flag in flags),
    )


def _aware(value: object) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
