"""Digests of a stream's mapping, by which a changed mapping is noticed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from crmsync.warehouse.batch import MappingDigest

if TYPE_CHECKING:
    from crmsync.config.mapping import StreamSettings


def mapping_digest(settings: StreamSettings, company_zone: str) -> MappingDigest:
    """What stands for a mapping: any change of it reads the stream anew.

    The connector's own options of the stream are part of it: which file, in which encoding.
    """
    said = settings.model_dump(mode="json")
    times = said["fields"].get("updated_at")
    return MappingDigest(
        whole=_digest([said, company_zone]),
        ids=_digest([said["table"], said["key"]]),
        times=_digest([times, company_zone]),
        fields={name: _digest(mapping) for name, mapping in said["fields"].items()},
    )


def _digest(said: object) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
