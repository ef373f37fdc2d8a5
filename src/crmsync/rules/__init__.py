"""The rule language: read, checked, compiled. Pure: no I/O but reading rule files."""
