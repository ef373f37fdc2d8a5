from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sending_under_test import SmtpUnderTest

from crmsync.testing.laws import ConnectorLaws

if TYPE_CHECKING:
    from pathlib import Path

    from smtp_server import MailServer

    from crmsync.testing.remote import RemoteUnderTest


class TestSmtp(ConnectorLaws):
    @pytest.fixture
    def remote(self, mail_server: MailServer, tmp_path: Path) -> RemoteUnderTest:
        return SmtpUnderTest(mail_server, tmp_path)
