"""What the portal refuses, as it tells it."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Context = dict[str, list[str]]


class PortalError(Exception):
    """A request, or one input of a batch, that is refused.

    Attributes:
        category: the vendor's word for the kind of error.
        details: the entries of ``errors``, each with at least a ``message``.
        context: names and ids that it concerns.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        category: str = "VALIDATION_ERROR",
        details: Sequence[Mapping[str, Any]] = (),
        context: Context | None = None,
        links: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.category = message, status, category
        self.details, self.context, self.links = list(details), context, links

    def as_body(self) -> dict[str, Any]:
        """The body of the answer to a refused request."""
        body: dict[str, Any] = {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid.uuid4()),
            "category": self.category,
        }
        if self.details:
            body["errors"] = self.details
        if self.context:
            body["context"] = self.context
        if self.links:
            body["links"] = dict(self.links)
        return body

    def as_item(self, **context: list[str]) -> dict[str, Any]:
        """One of the ``errors`` of an answer with several results."""
        return {
            "status": "error",
            "category": self.category,
            "message": self.message,
            "context": (self.context or {}) | context,
            "errors": self.details,
            "links": dict(self.links or {}),
        }


def unknown_item(told: str) -> PortalError:
    """What became of one of several is not known."""
    return PortalError(
        "Internal error while this input was read",
        status=500,
        category="INTERNAL_ERROR",
        context={"ids": [told]},
    )


def not_found(message: str = "resource not found", **context: list[str]) -> PortalError:
    """The thing is not there."""
    return PortalError(message, status=404, category="OBJECT_NOT_FOUND", context=context or None)


def not_allowed() -> PortalError:
    """The path has no such method."""
    return PortalError("HTTP 405 Method Not Allowed", status=405, category="METHOD_NOT_ALLOWED")


def bad_json(words: str) -> PortalError:
    """A body that is not what the endpoint reads."""
    return PortalError(f"Invalid input JSON: {words}")


def invalid_values(problems: Sequence[tuple[str, str, str]]) -> PortalError:
    """Values that are refused: name, code and words of each."""
    results = [
        {
            "isValid": False,
            "message": words,
            "error": code,
            "name": name,
            "localizedErrorMessage": words,
        }
        for name, code, words in problems
    ]
    told = json.dumps(results, separators=(",", ":"))
    return PortalError(
        f"Property values were not valid: {told}",
        details=[
            {"message": words, "code": code, "context": {"propertyName": [name]}}
            for name, code, words in problems
        ],
    )
