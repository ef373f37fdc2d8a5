"""The ledger's schema, as the sum of its changes."""
