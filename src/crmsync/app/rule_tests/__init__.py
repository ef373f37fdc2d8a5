"""Runs the tests that lie beside the rules, on a company that they write down."""
