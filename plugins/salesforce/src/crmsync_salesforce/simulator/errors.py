"""What the org refuses, as it tells it."""

from __future__ import annotations


class OrgError(Exception):
    """A request, or one record of it, that is refused.

    Attributes:
        code: the vendor's error code.
        fields: the fields that it concerns.
        status: the HTTP status where the whole request is refused.
    """

    def __init__(
        self, code: str, message: str, *, fields: tuple[str, ...] = (), status: int = 400
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.fields, self.status = code, message, fields, status

    def as_body(self) -> list[dict[str, object]]:
        """The body of the answer to a refused request."""
        told: dict[str, object] = {"message": self.message, "errorCode": self.code}
        return [told | ({"fields": list(self.fields)} if self.fields else {})]

    def as_result(self) -> dict[str, object]:
        """The result of one record among several."""
        error = {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}
        return {"success": False, "errors": [error]}
