"""Which reader a file gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_files.formats.delimited import DelimitedExport
from crmsync_files.formats.json_lines import JsonLinesExport
from crmsync_files.formats.parquet import ParquetExport
from crmsync_files.options import SUFFIXES, FileFormat

if TYPE_CHECKING:
    from crmsync_files.formats.export import Export, OpenExport


def reader_of(export: OpenExport) -> Export:
    """The reader for an open file.

    Raises:
        RejectedError: nothing tells the file's format.
    """
    match export.options.format_of(export.file.name):
        case FileFormat.CSV:
            return DelimitedExport(export)
        case FileFormat.JSONL:
            return JsonLinesExport(export)
        case FileFormat.PARQUET:
            return ParquetExport(export)
        case None:
            known = ", ".join(SUFFIXES)
            raise export.rejected(
                f"its name does not tell the format (known are {known}); set the stream's "
                "“format” to csv, jsonl or parquet"
            )
