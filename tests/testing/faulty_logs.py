"""Connectors that log mail with one fault each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.model.actions import LogEmail
from crmsync.testing.memory import MemoryConnector
from crmsync.testing.samples import START
from testing.mutants import killed_by

if TYPE_CHECKING:
    from crmsync.model.actions import Action
    from crmsync.testing.memory_remote import Order


class _Logs(MemoryConnector):
    """Logs mail its way; does the rest as it should."""

    def _order(self, action: Action) -> Order:
        return super()._order(self.told(action) if isinstance(action, LogEmail) else action)

    def told(self, log: LogEmail) -> LogEmail:
        return log


@killed_by("a_logged_mail_is_known_as_ours_when_it_comes_back", "one without a Message-ID")
class ForgetsMessageIds(_Logs):
    def told(self, log: LogEmail) -> LogEmail:
        return replace(log, message_id="")


@killed_by("a_logged_mail_is_known_as_ours_when_it_comes_back", "was logged as made-by-the-remote")
class MakesMessageIds(_Logs):
    def told(self, log: LogEmail) -> LogEmail:
        return replace(log, message_id=f"made-by-the-remote-{log.key}@crm.example")


@killed_by("a_logged_mail_stands_at_its_time", "was logged as one of")
class LogsAsOfNow(_Logs):
    def told(self, log: LogEmail) -> LogEmail:
        return replace(log, at=START)


@killed_by("a_mail_without_html_is_logged", "was logged with the HTML")
class InventsHtml(_Logs):
    def told(self, log: LogEmail) -> LogEmail:
        return replace(log, html=log.html or f"<pre>{log.text}</pre>")


@killed_by("what_is_made_stays_with_its_record", "landed on no record")
class LogsForNobody(_Logs):
    def told(self, log: LogEmail) -> LogEmail:
        return replace(log, about=())
