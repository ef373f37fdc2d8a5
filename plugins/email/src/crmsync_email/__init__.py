"""Mailboxes and mail: what was sent, what came back, and what it means."""
