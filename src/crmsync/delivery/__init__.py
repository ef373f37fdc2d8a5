"""The outbox: recorded before it is attempted, settled or found out."""
