"""The laws. Inherit `ConnectorLaws` in a test class and give the fixture ``remote``."""

from __future__ import annotations

from crmsync.testing.laws.declaring import DeclaringLaws
from crmsync.testing.laws.failing import FailingLaws
from crmsync.testing.laws.logging import LoggingLaws
from crmsync.testing.laws.reading import ReadingLaws
from crmsync.testing.laws.withdrawing import WithdrawingLaws
from crmsync.testing.laws.writing import WritingLaws

__all__ = ["ConnectorLaws"]


class ConnectorLaws(
    DeclaringLaws, ReadingLaws, WritingLaws, WithdrawingLaws, LoggingLaws, FailingLaws
):
    """All laws of a connector.

    A subclass, collected by pytest, gives one fixture ``remote`` that returns a fresh, empty
    `crmsync.testing.remote.RemoteUnderTest`.
    """
