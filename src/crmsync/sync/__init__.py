"""Reads connectors into the warehouse."""
