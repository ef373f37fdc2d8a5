"""Texts for customers and colleagues: Jinja2 templates, sandboxed, in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crmsync.templating.templates import RenderedEmail, Skip, Templates

__all__ = ["RenderedEmail", "Skip", "Templates"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  the signature of PEP 562
    """Jinja2 and Babel are heavy, so they are loaded when one of these is first used."""
    if name in __all__:
        from crmsync.templating import templates  # noqa: PLC0415  heavy

        return getattr(templates, name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
