"""Reads mailboxes over IMAP: what people sent and received, and what machines answered."""
