"""What a mail that arrived is: written by a person, by a mail system, or by a machine on holiday.

Headers decide (RFC 3834, RFC 3464, RFC 5965, RFC 8098, RFC 2919); subjects decide only for the mail
systems that set no header. What nothing marks as automatic was written by a person.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from crmsync_email.incoming.away import says_when
from crmsync_email.incoming.notices import read_notice
from crmsync_email.incoming.parts import content_type, header, parts, texts
from crmsync_email.incoming.phrases import any_of, said
from crmsync_email.incoming.replies import own_words
from crmsync_email.incoming.ses import notification_in

if TYPE_CHECKING:
    from crmsync_email.incoming.parts import Part
from crmsync_email.incoming.ses import Notification

# RFC 3464, and RFC 6533 for addresses with letters outside ASCII.
_BEGINNING = 400  # characters in which a machine says that something was received
_STATUS_TYPES = {"message/delivery-status", "message/global-delivery-status"}


class Kind(StrEnum):
    """What a mail is."""

    HUMAN = "written by a person"
    BOUNCE = "a notice that a mail did not arrive"
    COMPLAINT = "a notice that a mail was called spam"
    AWAY = "an automatic reply of somebody who is away"
    AUTO_REPLY = "an automatic reply"
    CALENDAR = "an invitation or the answer to one"
    LIST = "mail of a list"
    AUTOMATIC = "sent by a machine"

    @property
    def is_automated(self) -> bool:
        """Whether nobody wrote it at that moment, so that it is no contact."""
        return self is not Kind.HUMAN


def kind_of(mail: Part, *, by_our_group: bool = False) -> Kind:
    """What this mail is.

    Args:
        by_our_group: it came through a group of ours, which marks all that it passes on as mail of
            a list.
    """
    told = notification_in(mail)
    if told is not None:
        return _of_ses(told)
    types = {content_type(part): part for part in parts(mail)}
    report = str(mail.get_param("report-type") or "").lower()
    if "message/feedback-report" in types or report == "feedback-report" or _is_opt_out(mail):
        return Kind.COMPLAINT
    if "message/disposition-notification" in types or report == "disposition-notification":
        return Kind.AUTOMATIC  # a receipt: a program says that a mail was read, or deleted unread
    if _is_notice(mail, types, report):
        return Kind.BOUNCE
    if any(_is_invitation(part) for part in parts(mail)):
        return Kind.CALENDAR
    if _is_reply_of_machine(mail):
        is_away = said("away").search(_words_of(mail)) or says_when(mail)
        return Kind.AWAY if is_away else Kind.AUTO_REPLY
    if _is_of_list(mail, by_our_group=by_our_group):
        return Kind.LIST
    if _is_automatic(mail):
        return Kind.AUTOMATIC
    return Kind.HUMAN


def _of_ses(told: Notification) -> Kind:
    if told.complained:
        return Kind.COMPLAINT
    return Kind.BOUNCE if told.bounced else Kind.AUTOMATIC


def _is_invitation(part: Part) -> bool:
    """Whether a part asks for a meeting or answers such; a file that somebody sends does not."""
    is_calendar = content_type(part) == "text/calendar" and part.get_param("method")
    return bool(is_calendar) and part.get_content_disposition() != "attachment"


# As crmsync makes them, see `crmsync.model.own_mail`.
_OF_OURS = re.compile(r"<crmsync\.[0-9a-f]{40}@", re.IGNORECASE)


def _is_of_list(mail: Part, *, by_our_group: bool) -> bool:
    """Whether it went to many; not what answers a mail of ours, whatever list it has passed.

    Programs with which salespeople write put List-Unsubscribe into answers to one person, too.
    A group puts headers of its own in the place of the list's; what it does not know, it leaves.
    """
    answers = f"{header(mail, 'In-Reply-To')} {header(mail, 'References')}"
    if _OF_OURS.search(answers):
        return False
    if by_our_group:
        return bool(mail.get("List-Unsubscribe-Post") or mail.get("Feedback-ID"))
    if mail.get("List-Id") or header(mail, "Precedence").lower() == "list":
        return True
    return bool(mail.get("List-Unsubscribe")) and not answers.strip()


def _is_opt_out(mail: Part) -> bool:
    """Complaints about mail in forms that are no ARF: Microsoft's, Yahoo's, and Apple's button."""
    if header(mail, "X-Apple-Unsubscribe").lower() == "true":
        return True
    sender = header(mail, "From").lower()
    return "staff@hotmail.com" in sender and "complaint" in header(mail, "Subject").lower()


def _is_notice(mail: Part, types: dict[str, Part], report: str) -> bool:
    if _STATUS_TYPES & types.keys() or report in {"delivery-status", "global-delivery-status"}:
        return True
    if mail.get("X-Failed-Recipients"):
        return True
    bounced_to_nobody = header(mail, "Return-Path") in {"<>", "<MAILER-DAEMON>"}
    if said("delivered").search(header(mail, "Subject")):
        return False
    subject = said("notice_subjects").search(header(mail, "Subject"))
    if _machine_says_reply(mail):
        return bool(_is_of_system(mail) and subject)
    if _is_of_system(mail) and (subject or bounced_to_nobody):
        return True
    speaks_of_mail = subject or said("notice_texts").search(_words_of(mail))
    if bounced_to_nobody or _is_of_system(mail):
        return bool(speaks_of_mail)
    # Parcels are not delivered, either: whoever writes so must show the mail that they speak of.
    return bool(_is_of_nobody(mail) and speaks_of_mail and read_notice(mail).original.message_id)


def _is_of_system(mail: Part) -> bool:
    return bool(said("systems").search(f"{header(mail, 'From')} {header(mail, 'Sender')}"))


def _is_of_nobody(mail: Part) -> bool:
    return bool(said("nobody").search(header(mail, "From")))


def _machine_says_reply(mail: Part) -> bool:
    """Whether a header marks it as an automatic reply."""
    submitted = header(mail, "Auto-Submitted").lower()
    if submitted.startswith("auto-replied"):
        return True
    if any(mail.get(name) for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponder")):
        return True
    return header(mail, "Precedence").lower() in {"auto_reply", "auto-reply"}


def _is_reply_of_machine(mail: Part) -> bool:
    if _machine_says_reply(mail) or _automatic_subject().match(header(mail, "Subject")):
        return True
    # People who write with such a program have that header, too: it does not say it alone.
    if not mail.get("X-Auto-Response-Suppress"):
        return False
    words = f"{header(mail, 'Subject')}\n{own_words(mail)[:_BEGINNING]}"
    return bool(said("acknowledged").search(words))


@cache
def _automatic_subject() -> re.Pattern[str]:
    """A subject that a machine has put together: what kind it is, a colon, the subject it answers.

    People write of holidays and of automatic replies, too; and they answer automatic replies.
    """
    kind = any_of("automatic_subjects")
    return re.compile(rf"\W*(?:{kind})(?:\s+(?:{kind}))*\s*(?:$|[:：\])）])", re.IGNORECASE)


def _words_of(mail: Part) -> str:
    body = next((text.text for text in texts(mail)), "")
    return f"{header(mail, 'Subject')}\n{body[:4_000]}"


def _is_automatic(mail: Part) -> bool:
    submitted = header(mail, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    if header(mail, "Precedence").lower() in {"bulk", "junk"}:
        return True
    # In small companies a person sits at postmaster@, and answers.
    return _is_of_nobody(mail) or (_is_of_system(mail) and not mail.get("In-Reply-To"))
