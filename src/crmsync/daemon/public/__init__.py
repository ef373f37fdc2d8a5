"""What the daemon answers to people and systems outside: unsubscribe links, and hooks."""
