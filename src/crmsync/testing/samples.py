"""What the laws send: actions of each kind, and text that breaks careless code."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from crmsync.model.actions import (
    Action,
    ActionKind,
    AddNote,
    CreateTask,
    CustomAction,
    LogEmail,
    RecordRef,
    SendEmail,
    UpdateFields,
    WithdrawTask,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INJECTED = "X-Injected"

HOSTILE_TEXTS = {
    "line breaks": "first\nsecond\r\nthird\n\nfifth",
    "other line ends": "page\x0cbreak\x0bnext\x85line\u2028separator\u2029end",
    "mail lines": "one\n.\nFrom here on\n--\nend",
    "quotes": "she said \"it's, 'fine'\"; a\\b | c `d` \"",
    "commas and tabs": ',a,"",\tb;c\t',
    "emoji": "👩‍👩‍👧‍👦 🇨🇭 and ☕️",
    "right to left": "שלום \u202eمرحبا\u202c end",
    "four bytes": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎",
    "combining": "e\u0301 is not \u00e9",
    "markup": "<script>alert('x')</script> &amp; <b>bold</b> &lt;",
    "formula": '=HYPERLINK("http://example.com","x")+cmd|\' /C calc\'!A0',
    "formula with a sign": "+41 44 000 00 00",
    "formula with an at": "@SUM(1+1)*2",
    "template": "{{ 7 * 7 }} ${x} %s {0}",
    "query": "'); DROP TABLE accounts; --",
    "nothing in disguise": "NULL",
    "not available": "N/A",
    "number in disguise": "007",
    "date in disguise": "1-2",
}


def hostile_texts(longest: int) -> dict[str, str]:
    """The hostile texts by name, with one as long as the remote takes."""
    return HOSTILE_TEXTS | {"very long": ("0123456789é" * (longest // 11 + 1))[:longest]}


def one_line(text: str) -> str:
    """A hostile text as a subject: one line of at most 200 characters."""
    return " ".join(text.split())[:200].strip()


def sample_action(
    kind: ActionKind, *, key: str, text: str, about: str, table: str, stream: str, column: str
) -> Action:
    """An action of that kind that carries the text wherever the kind has room for text."""
    record = RecordRef(table=table, id=about)
    match kind:
        case ActionKind.TASK:
            return _task(key, text, record)
        case ActionKind.EMAIL:
            return SendEmail(
                key=key,
                message_id=f"{key}@example.com",
                sender="Ada Sender <ada@example.com>",
                recipient="Bo Recipient <bo@example.com>",
                subject=one_line(text),
                text=text,
                html=f"<p>{escape(text)}</p>",
                about=(record,),
                at=START,
            )
        case ActionKind.NOTE:
            return AddNote(key=key, text=text, about=(record,))
        case ActionKind.UPDATE:
            return UpdateFields(key=key, record=record, stream=stream, changes={column: text})
        case ActionKind.CUSTOM:
            return CustomAction(key=key, name="say", texts={"text": text}, about=(record,))
        case ActionKind.WITHDRAWAL:
            task = _task(f"{key}-task", text, record)
            return WithdrawTask(key=key, task=task, remote_id=task.key)
        case ActionKind.LOG:
            return LogEmail(
                key=key,
                message_id=f"{key}@example.com",
                sender="Ada Sender <ada@example.com>",
                recipient="Bo Recipient <bo@example.com>",
                subject=one_line(text),
                text=text,
                html=f"<p>{escape(text)}</p>",
                about=(record,),
                at=START,
            )


def _task(key: str, text: str, about: RecordRef) -> CreateTask:
    return CreateTask(key=key, subject=one_line(text), body=text, due=START.date(), about=(about,))


def texts_of(action: Action) -> dict[str, str]:
    """The texts that must be found at the remote once the action has landed."""
    match action:
        case CreateTask():
            return {"subject": action.subject, "body": action.body}
        case SendEmail() | LogEmail():
            html = {} if action.html is None else {"html": action.html}
            return {"subject": action.subject, "text": action.text} | html
        case AddNote():
            return {"text": action.text}
        case UpdateFields():
            return {name: str(value) for name, value in action.changes.items()}
        case CustomAction():
            return dict(action.texts)
        case WithdrawTask():
            return {}
