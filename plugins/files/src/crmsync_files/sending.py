"""Sends mail: into the outbox, and into the list of what was sent.

The outbox is there to be emptied by others, so what lies in it does not tell what was sent.
For each batch, every step being on the disk before the next begins:

1. the mails are staged where no mail program looks,
2. their keys are recorded in sent.csv,
3. the mails are moved into ``new``.

So after a crash anywhere, a key that is not recorded was never to be seen: its mail is staged
anew. A key that is recorded has its mail staged still, and then it is moved; or the mail was
delivered, whoever has taken it since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.errors import ConnectorError, UncertainError
from crmsync.model.actions import Receipt
from crmsync_files.folder import SENT
from crmsync_files.mail import message_of
from crmsync_files.maildir import Outbox, digest_of
from crmsync_files.written_tables import KEY, WrittenTable, is_text, neutral, no_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.clock import Clock
    from crmsync.model.actions import SendEmail
    from crmsync_files.folder import Folder

_Answers = dict[str, Receipt | ConnectorError]


class MailSender:
    """Sends each mail once, ever. Hold the folder's lock while using it."""

    def __init__(self, folder: Folder, clock: Clock) -> None:
        self._outbox = Outbox(folder)
        self._sent = WrittenTable(folder, SENT)
        self._clock = clock

    def send(self, actions: Sequence[SendEmail]) -> _Answers:
        """A receipt or an error for each key; where two actions have one, the first is sent."""
        first = {action.key: action for action in reversed(actions)}
        chosen = {action.key: first[action.key] for action in actions}
        try:
            recorded, staged = self._sent.keys(), self._outbox.staged()
            delivered = self._outbox.delivered()
        except ConnectorError as error:
            return dict.fromkeys(chosen, error)
        answers: _Answers = {}
        fresh: list[SendEmail] = []
        halfway: list[SendEmail] = []  # recorded before a crash, and still staged
        unrecorded: list[SendEmail] = []  # delivered, and somebody has removed it from the list
        for key, action in chosen.items():
            digest = digest_of(key)
            if digest in delivered:
                answers[key] = Receipt(key=key, remote_id=delivered[digest], already=True)
                unrecorded += [] if key in recorded else [action]
            elif key not in recorded:
                fresh.append(action)
            elif digest in staged:
                halfway.append(action)
            else:
                answers[key] = Receipt(key=key, remote_id=key, already=True)
        answers |= self._stage(fresh)
        ready = [action for action in fresh if action.key not in answers]
        problem = self._record([*unrecorded, *ready], staged=ready, halfway=halfway)
        if problem is not None:
            return answers | {action.key: problem for action in (*halfway, *ready)}
        return answers | self._release([*halfway, *ready])

    def find(self, keys: Sequence[str]) -> dict[str, Receipt]:
        """What was sent under these keys.

        Raises:
            ConnectorError: that cannot be told now.
        """
        recorded, staged = self._sent.keys(), self._outbox.staged()
        delivered = self._outbox.delivered()
        found = {}
        for key in keys:
            digest = digest_of(key)
            if digest in delivered:
                found[key] = Receipt(key=key, remote_id=delivered[digest], already=True)
            elif key in recorded and digest not in staged:
                found[key] = Receipt(key=key, remote_id=key, already=True)
        return found

    def _stage(self, actions: Sequence[SendEmail]) -> _Answers:
        """Stage mails; answers with the errors."""
        errors: _Answers = {}
        for action in actions:
            try:
                if not is_text(self._row(action)):
                    raise no_text(action.key)
                self._outbox.stage(action.key, message_of(action))
            except ConnectorError as error:
                errors[action.key] = error
        return errors

    def _record(
        self,
        actions: Sequence[SendEmail],
        *,
        staged: Sequence[SendEmail],
        halfway: Sequence[SendEmail],
    ) -> ConnectorError | None:
        """Record mails for good, or say why none of those that are staged may be moved now."""
        try:
            if staged:
                self._outbox.confirm_staged()
            if actions:
                self._sent.append([self._row(action) for action in actions])
            if halfway:
                self._sent.confirm()
        except ConnectorError as error:
            if not isinstance(error, UncertainError):  # else they may be recorded
                for action in staged:
                    self._outbox.discard(action.key)
            return error
        return None

    def _release(self, actions: Sequence[SendEmail]) -> _Answers:
        """Move staged mails into the outbox."""
        answers: _Answers = {}
        moved: dict[str, Receipt] = {}
        for action in actions:
            try:
                name = self._outbox.release(action.key, action.at)
            except ConnectorError as error:
                answers[action.key] = error
            else:
                moved[action.key] = Receipt(key=action.key, remote_id=name)
        try:
            if moved:
                self._outbox.confirm_released()
        except ConnectorError as error:
            return answers | dict.fromkeys(moved, error)
        return answers | moved

    def _row(self, action: SendEmail) -> dict[str, str]:
        return {
            KEY: action.key,
            "message_id": action.message_id,
            "recipient": neutral(action.recipient),
            "at": self._clock.now().isoformat(timespec="seconds"),
        }
