"""Evaluating only those whom a changed record or the clock may concern."""
