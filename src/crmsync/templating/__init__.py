"""Texts for customers and colleagues: Jinja2 templates, sandboxed, in the reader's language."""
