"""The ledger: what was decided and done. Open it with `crmsync.ledger.store.Ledger`."""
