"""Sends mail: as a careful person would write it, and saying truly what became of it."""
