"""What a mail that arrived is, and what it says."""
