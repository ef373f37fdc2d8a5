"""Secrets are references: ``env:NAME`` or ``file:PATH``, looked up when they are needed.

A path is relative to the config file's folder, like all paths in the config.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

from crmsync.errors import AuthError
from crmsync.observe import remember_secret

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


# In pydantic's validation context: what relative paths are relative to.
FOLDER = "folder"
_DATABASE_SCHEMES = ("postgresql://", "postgres://")


class Secret:
    """A reference to a secret; a field type for the options of connectors."""

    def __init__(self, reference: str, *, folder: Path | None = None) -> None:
        scheme, _, rest = reference.partition(":")
        if scheme not in {"env", "file"} or not rest:
            # The text itself may be the secret, so it is not repeated.
            raise ValueError("a secret is written as a reference, env:NAME or file:PATH")
        if scheme == "file":
            rest = str((folder or Path()) / Path(rest).expanduser())
        self._scheme, self._rest = scheme, rest

    def reveal(self) -> str:
        """The secret itself; from then on it is hidden in all logs and errors.

        Raises:
            AuthError: there is nothing where the reference points.
        """
        if self._scheme == "env":
            value = os.environ.get(self._rest, "")
            if not value:
                raise AuthError(f"the environment variable {self._rest} is not set")
        else:
            try:
                value = Path(self._rest).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise AuthError(
                    f"the secret file {self._rest} cannot be read: {error.strerror}"
                ) from error
        remember_secret(value)
        return value

    def __repr__(self) -> str:
        return f"Secret({self._scheme}:{self._rest})"

    @classmethod
    def _read(cls, reference: str, info: core_schema.ValidationInfo) -> Secret:
        return cls(reference, folder=(info.context or {}).get(FOLDER))

    @classmethod
    def __get_pydantic_core_schema__(
        cls,
        source: Any,  # noqa: ANN401  pydantic's own signature
        handler: GetCoreSchemaHandler,
    ) -> core_schema.CoreSchema:
        """How pydantic reads and writes it."""
        return core_schema.with_info_after_validator_function(
            cls._read,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )


class DatabaseUrl(Secret):
    """``postgresql://USER@HOST/DATABASE``; or a reference to it, because it may hold a password."""

    def __init__(self, text: str, *, folder: Path | None = None) -> None:
        self._url = text if text.startswith(_DATABASE_SCHEMES) else None
        if self._url is not None:
            return
        try:
            super().__init__(text, folder=folder)
        except ValueError:
            raise ValueError(
                "it is written as sqlite, as postgresql://USER@HOST/DATABASE, or as a reference "
                "to that, env:NAME or file:PATH"
            ) from None

    def reveal(self) -> str:
        """The URL; from then on it is hidden in all logs and errors.

        Raises:
            AuthError: there is nothing where the reference points.
        """
        if self._url is None:
            return super().reveal()
        remember_secret(self._url)
        return self._url

    def __repr__(self) -> str:
        return super().__repr__() if self._url is None else "DatabaseUrl(postgresql:…)"
