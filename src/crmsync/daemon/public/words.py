"""What the unsubscribe page says, in the languages that it speaks."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_LANGUAGES = 20  # of one header; browsers send a handful


@dataclass(frozen=True, kw_only=True)
class Words:
    """One language. ``{company}`` stands for who sends the mails."""

    ask: str
    explain: str
    button: str
    done: str
    kept: str
    lost: str
    later: str


WORDS = {
    "en": Words(
        ask="Unsubscribe",
        explain="{company} will send you no more mails of this kind.",
        button="Unsubscribe",
        done="You are unsubscribed",
        kept="{company} sends you no more mails of this kind. You can close this page.",
        lost="There is nothing here",
        later="That did not work. Please try again in a few minutes.",
    ),
    "de": Words(
        ask="Abmelden",
        explain="{company} schickt Ihnen dann keine Mails dieser Art mehr.",
        button="Abmelden",
        done="Sie sind abgemeldet",
        kept="{company} schickt Ihnen keine Mails dieser Art mehr. "
        "Sie können diese Seite schließen.",
        lost="Hier ist nichts",
        later="Das hat nicht geklappt. Bitte versuchen Sie es in einigen Minuten noch einmal.",
    ),
    "fr": Words(
        ask="Se désabonner",
        explain="{company} ne vous enverra plus de messages de ce type.",
        button="Se désabonner",
        done="Vous êtes désabonné",
        kept="{company} ne vous envoie plus de messages de ce type. Vous pouvez fermer cette page.",
        lost="Il n’y a rien ici",
        later="Cela n’a pas fonctionné. Veuillez réessayer dans quelques minutes.",
    ),
    "it": Words(
        ask="Annullare l’iscrizione",
        explain="{company} non le invierà più messaggi di questo tipo.",
        button="Annullare l’iscrizione",
        done="L’iscrizione è annullata",
        kept="{company} non le invia più messaggi di questo tipo. Può chiudere questa pagina.",
        lost="Qui non c’è niente",
        later="Non ha funzionato. Riprovi tra qualche minuto.",
    ),
    "es": Words(
        ask="Cancelar la suscripción",
        explain="{company} no le enviará más mensajes de este tipo.",
        button="Cancelar la suscripción",
        done="Su suscripción está cancelada",
        kept="{company} ya no le envía mensajes de este tipo. Puede cerrar esta página.",
        lost="Aquí no hay nada",
        later="No ha funcionado. Vuelva a intentarlo dentro de unos minutos.",
    ),
}


def words_for(accepted: str) -> tuple[str, Words]:
    """The language that somebody reads best of those that there are, by ``Accept-Language``."""
    wishes: list[tuple[float, int, str]] = []
    for number, wish in enumerate(accepted.split(",")[:_MOST_LANGUAGES]):
        tag, _, quality = wish.strip().partition(";q=")
        try:
            wishes.append((-float(quality or 1), number, tag.strip().lower().split("-")[0]))
        except ValueError:
            continue
    known = (language for _, _, language in sorted(wishes) if language in WORDS)
    language = next(known, "en")
    return language, WORDS[language]
