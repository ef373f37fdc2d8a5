"""The formats an export can have: each reads an open file piece by piece."""
