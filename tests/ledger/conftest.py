from __future__ import annotations

from support.ledgers import empty_ledgers, ledger, ledger_at, unmade_ledger_at

__all__ = ["empty_ledgers", "ledger", "ledger_at", "unmade_ledger_at"]
