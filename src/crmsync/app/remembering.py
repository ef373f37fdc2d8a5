"""How the rules stood in the last run, in a file beside the stores; it can be deleted at any time.

A run keeps it, a plan reads it. Where it cannot be used, everybody is evaluated.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from crmsync.app.affected import Affected
from crmsync.model.verdicts import RuleVerdicts
from crmsync.observe import logger
from crmsync.rules.incremental.standing import Standing
from crmsync.warehouse.changes import Mark

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.rules.evaluation.world import World
    from crmsync.rules.incremental.standing import Changed
    from crmsync.warehouse.reader import Records

_SCHEMA = pa.schema(
    [
        ("rule", pa.dictionary(pa.int32(), pa.string())),
        ("subject", pa.string()),
        ("matches", pa.bool_()),
        ("values", pa.list_(pa.string())),
    ]
)
_ABOUT = b"crmsync"


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """How rules stood, and the point in the warehouse's history at which they did.

    Attributes:
        full_at: when everybody was last evaluated.
    """

    standing: Standing
    mark: Mark
    full_at: datetime

    def changed(self, records: Records, world: World) -> Changed | None:
        """Whom the records that have changed since may concern.

        None where what changed is not known: then what is remembered is of no use.
        """
        now = records.mark()
        # What is kept does not reach back that far; or an older file was put in place, even if
        # it was written to again since.
        if now is None or self.mark.number < now.oldest or not records.has_written(self.mark):
            return None
        return Affected(records, world, records.changed_since(self.mark.number))


def remembered(path: Path) -> Remembered | None:
    """What the last run has kept; None where there is nothing that can be read."""
    if not path.exists():
        return None
    try:
        with pq.ParquetFile(path) as file:  # `read_table` would load pandas
            rows = file.read()
        about = json.loads(rows.schema.metadata[_ABOUT])
        return _from_rows(rows, about)
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger(path=str(path)).warning("standing_unreadable", error=str(error))
        return None


def remember(path: Path, kept: Remembered) -> None:
    """Keep it for the next time. A failure costs that time a full evaluation, and nothing else."""
    new = path.with_suffix(".new")
    try:
        pq.write_table(_to_rows(kept), new, compression="zstd")
        new.replace(path)
    except OSError as error:
        logger(path=str(path)).warning("standing_not_kept", error=str(error))


def _to_rows(kept: Remembered) -> pa.Table:
    standing, mark = kept.standing, kept.mark
    rules: list[str] = []
    subjects: list[str] = []
    matches: list[bool] = []
    values: list[list[str]] = []
    for name, said in standing.verdicts.items():
        for kind, found in ((True, said.matches), (False, said.unknown)):
            rules += [name] * len(found)
            subjects += found.keys()
            matches += [kind] * len(found)
            values += [list(texts) for texts in found.values()]
    about = {
        "at": standing.at.isoformat(),
        "full_at": kept.full_at.isoformat(),
        "basis": dict(standing.basis),
        "fresh": [[list(tables), list(names)] for tables, names in standing.fresh.items()],
        "subjects": {name: said.subjects for name, said in standing.verdicts.items()},
        "number": mark.number,
        "token": mark.token,
    }
    columns = [pa.array(rules, pa.string()).dictionary_encode(), subjects, matches, values]
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, of.type)
        for column, of in zip(columns, _SCHEMA, strict=True)
    ]
    table = pa.table(arrays, names=_SCHEMA.names)
    return table.replace_schema_metadata({_ABOUT: json.dumps(about).encode()})


def _from_rows(rows: pa.Table, about: dict[str, Any]) -> Remembered:
    matches: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in about["subjects"]}
    unknown: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in about["subjects"]}
    columns = [rows[name].to_pylist() for name in _SCHEMA.names]
    for rule, subject, match, values in zip(*columns, strict=True):
        (matches if match else unknown)[rule][subject] = tuple(values)
    standing = Standing(
        at=datetime.fromisoformat(about["at"]),
        verdicts={
            name: RuleVerdicts(
                rule=name, matches=matches[name], unknown=unknown[name], subjects=count
            )
            for name, count in about["subjects"].items()
        },
        basis=about["basis"],
        fresh={tuple(tables): tuple(names) for tables, names in about["fresh"]},
    )
    mark = Mark(number=about["number"], token=about["token"], oldest=0)
    full_at = datetime.fromisoformat(about["full_at"])
    return Remembered(standing=standing, mark=mark, full_at=full_at)
