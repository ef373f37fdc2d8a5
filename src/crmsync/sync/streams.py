"""A stream, and what its rows are mapped by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmsync.config.mapping import StreamSettings
    from crmsync.model.tables import Table


@dataclass(frozen=True, kw_only=True)
class MappedStream:
    """A stream of a connection.

    Attributes:
        table: the canonical one that its rows are mapped to.
        company_zone: the IANA name of the zone of times that bear none.
    """

    connection: str
    name: str
    settings: StreamSettings
    table: Table
    company_zone: str
