"""What the ledger remembers, as values."""
