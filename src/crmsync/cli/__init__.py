"""The command line."""


def main() -> None:
    """The entry point ``crmsync``."""
    # Imported here, so that importing the package costs nothing.
    from crmsync.cli.commands import app

    app()
