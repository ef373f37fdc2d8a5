"""The unit tests of rules, read; and records in memory for them to be evaluated on."""
