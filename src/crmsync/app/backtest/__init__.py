"""When a rule would have fired over the past, and what then happened."""
