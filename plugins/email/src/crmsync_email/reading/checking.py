"""Whether a mailbox has what a connection needs, told in its administrator's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.config.yaml import nearest
from crmsync.plugins.contract import Finding
from crmsync_email.reading.errors import RefusedError
from crmsync_email.reading.folders import SENT, sent_folder, wanted_folders
from crmsync_email.reading.whose import Ours

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync_email.reading.folders import Folder
    from crmsync_email.reading.options import ImapOptions
    from crmsync_email.reading.session import ListedFolder, MailboxSession


def findings(
    session: MailboxSession, options: ImapOptions, own: Sequence[str]
) -> Iterator[Finding]:
    """What is missing in a mailbox that could be logged in to.

    Args:
        own: the addresses of the connection, and what it logs in with.

    Raises:
        ConnectorError: the mail server cannot be asked.
    """
    listed = session.folders()
    yield from _sent(options, listed)
    for folder in wanted_folders(options, listed):
        if folder.name is None:
            if folder.asked != SENT:
                yield _no_folder(folder, listed)
            continue
        try:
            session.status(folder.name)
            session.examine(folder.name)
        except RefusedError as error:
            yield Finding(
                sentence=f"the folder “{folder.name}” may not be read{error}; let its owner share "
                "it with this login, or take it out of “folders”"
            )
    yield from _ours(options, own)


def _no_folder(folder: Folder, listed: Sequence[ListedFolder]) -> Finding:
    if not folder.by_use:
        return Finding(sentence=_missing(folder.asked, listed))
    return Finding(
        sentence=f"the mail server does not say which folder is the “{folder.asked}”; write its "
        "name under “folders” instead",
        fatal=False,
    )


def _sent(options: ImapOptions, listed: Sequence[ListedFolder]) -> Iterator[Finding]:
    if sent_folder(options, listed) is not None:
        return
    if options.sent is not None:
        yield Finding(sentence=_missing(options.sent, listed))
    elif SENT in (name.lower() for name in options.folders):
        names = ", ".join(f"“{one.name}”" for one in listed[:20])
        yield Finding(
            sentence="nothing tells in which folder sent mail lies, so what people write from this "
            f"mailbox does not count as contact; name it under “sent”. There are: {names}",
            fatal=False,
        )


def _missing(asked: str, listed: Sequence[ListedFolder]) -> str:
    return f"the mailbox has no folder “{asked}”{nearest(asked, [one.name for one in listed])}"


def _ours(options: ImapOptions, own: Sequence[str]) -> Iterator[Finding]:
    ours = Ours.of(options.ours, own)
    if not ours.addresses and not ours.domains:
        yield Finding(
            sentence="nothing tells which mail is from us; write our addresses under “ours”, or "
            "@example.com for all of a domain"
        )
