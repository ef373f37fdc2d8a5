"""What a mail that a machine wrote can tell of an address."""

from __future__ import annotations

from enum import StrEnum


class NoticeKind(StrEnum):
    """The words of ``activity.notice``."""

    HARD_BOUNCE = "hard_bounce"  # the address is dead
    SOFT_BOUNCE = "soft_bounce"  # that mail did not arrive, another may
    COMPLAINT = "complaint"  # they called it spam
    OUT_OF_OFFICE = "out_of_office"  # somebody is away


# Of a soft bounce, the reason that counts when it is said again on another day.
NO_SUCH_ADDRESS = "no such address"

# What customers answer who want no more commercial mail: the templates that ship ask for the first
# in each language, and the buttons of mail programs write “unsubscribe” as the subject.
UNSUBSCRIBE_WORDS = (
    *("unsubscribe", "unsubscribe me", "please unsubscribe", "please unsubscribe me"),
    *("unsubscribe please", "remove me", "please remove me", "opt out", "stop"),
    *("abmelden", "bitte abmelden", "abbestellen"),
    *("désabonner", "désabonnement", "désinscription", "me désabonner"),
    *("darme de baja", "darse de baja", "baja", "cancelar suscripción"),
    *("cancellami", "disiscrivimi", "disiscrizione", "cancellazione"),
    *("cancelar subscrição", "remover", "afmelden", "uitschrijven", "avregistrera", "afmeld"),
)
