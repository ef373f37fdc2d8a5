"""Who matches at an instant: rules as queries, compiled once."""
