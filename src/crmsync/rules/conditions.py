"""The condition tree of a rule."""

from __future__ import annotations


class Condition:
    """The root of all conditions."""
