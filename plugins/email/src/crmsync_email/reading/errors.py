"""What can go wrong on the wire to a mailbox, told in sentences and by what happens next."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from crmsync.errors import ConnectorError, RejectedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator


class RefusedError(Exception):
    """The server answered NO or BAD to one command, or what nobody can read.

    The connection goes on. The text is the end of a sentence, with the server's words.
    """


@contextmanager
def answers(where: str) -> Iterator[None]:
    """A command to the server that is called so.

    Raises:
        RefusedError: it answered NO or BAD.
        TransientError: the connection broke.
        RejectedError: the server cannot prove who it is.
    """
    try:
        yield
    except (LoginError, UnicodeEncodeError):
        raise
    except IMAPClientAbortError as error:
        raise TransientError(f"{where} ended the connection{_words(error)}") from None
    except IMAPClientError as error:
        if "got more than" in str(error):  # a line without an end: nothing after it is sure
            raise TransientError(f"{where} talks in lines without an end") from None
        raise RefusedError(_words(error)) from None
    except OSError as error:
        raise _of_wire(error, where) from None
    except (ValueError, TypeError, AssertionError, LookupError):
        raise RefusedError(": it is told in a form that cannot be read") from None


def _of_wire(error: OSError, where: str) -> ConnectorError:
    match error:
        case ssl.SSLCertVerificationError():
            return RejectedError(
                f"the certificate of {where} is not valid: {error.verify_message}; where it is of "
                "your company's own authority, name that in ca_file"
            )
        case ssl.SSLError():
            told = error.reason or "TLS failed"
            return TransientError(f"there is no safe connection to {where}: {told}")
        case TimeoutError():
            return TransientError(f"{where} did not answer in time")
        case _:
            told = error.strerror or "the connection broke"
            return TransientError(f"{where} cannot be reached: {told}")


def _words(error: Exception) -> str:
    """What the server said, to be put behind a sentence."""
    said = " ".join(str(error).split())[:200]
    return f": “{said}”" if said else ""
