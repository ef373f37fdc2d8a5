"""What is known of customers: a DuckDB file, reached through Ibis."""
