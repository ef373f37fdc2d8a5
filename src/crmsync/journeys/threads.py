"""A mail that goes on with an earlier conversation, as mail programs recognise it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MESSAGE_ID = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+")  # printable ASCII without angle brackets
# “Re:” and what mail programs in other languages write in its place.
_REPLY = re.compile(r"^((re|aw|antw|sv|vs|odp|ref|rif|res)(\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE)
_LONGEST = 250  # characters; of a longer one no header line can be made that any server takes
_MOST = 20  # Message-IDs; of more, the first and the latest are what programs go by


def continued(subject: str, last: Mapping[str, Any] | None) -> tuple[str, dict[str, str]]:
    """The subject and the headers (RFC 5322, 3.6.4) of a mail in the thread of another.

    Args:
        subject: of the mail; another thread than its own has another subject, so that of the
            thread goes before it.
        last: the mail that is answered: ``message_id``, ``answers`` and ``subject``, as an
            activity has them; None where there was none, which begins a thread.
    """
    newest = [] if last is None else _ids(str(last["message_id"]))
    if last is None or not newest:
        return subject, {}
    # In an activity the nearest comes first, in a mail's References the farthest.
    ids = _ids(f"{last['message_id']} {last['answers'] or ''}")[::-1]
    if len(ids) > _MOST:
        ids = [ids[0], *ids[1 - _MOST :]]
    own = _REPLY.sub("", " ".join(str(last["subject"] or "").split()))
    if not all(sign.isprintable() for sign in own):  # it was read wrong, and nobody writes it so
        own = ""
    headers = {
        "In-Reply-To": f"<{newest[0]}>",
        "References": " ".join(f"<{one}>" for one in ids),
    }
    return f"Re: {own}" if own else subject, headers


def _ids(text: str) -> list[str]:
    words = (word.strip("<>,;") for word in text.split())
    return list(
        dict.fromkeys(
            word for word in words if len(word) <= _LONGEST and _MESSAGE_ID.fullmatch(word)
        )
    )
