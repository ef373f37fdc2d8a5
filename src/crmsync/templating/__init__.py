"""Personal mail from template folders: Jinja2, sandboxed."""
