"""Derived columns, defined once and reused by all rules."""
