"""Reads the config file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crmsync.config.base import validate
from crmsync.config.settings import Config
from crmsync.config.yaml import Document, Problems, load_yaml, nearest
from crmsync.errors import UsageError
from crmsync.model.tables import BASE_FIELDS, CANONICAL_TABLES, ID_SEPARATOR, Table

if TYPE_CHECKING:
    from crmsync.config.mapping import FieldMapping


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A config file that was read: its settings, where each of them stands, and its folder."""

    settings: Config
    document: Document
    folder: Path

    def path(self, relative: str) -> Path:
        """A path of the config, relative to the config file's folder."""
        return self.folder / Path(relative).expanduser()

    def tables(self) -> dict[str, Table]:
        """The canonical tables with the custom fields of all mappings."""
        tables = dict(CANONICAL_TABLES)
        for connection in self.settings.connections.values():
            for stream in connection.streams.values():
                table = tables[stream.table]
                added = tuple(f for f in stream.custom_fields() if table.field(f.name) is None)
                tracked = [name for name, mapping in stream.fields.items() if mapping.tracked]
                tables[stream.table] = table.with_fields(added).with_tracked(tracked)
        return tables


def load_config(file: Path) -> Installation:
    """Read a config file and check all that can be told without a connector.

    Raises:
        UsageError: there is no such file.
        InvalidInputError: it holds mistakes; all of them are named.
    """
    if not file.is_file():
        if (file / "config.yaml").is_file():
            raise UsageError(f"{file} is a folder; name the file: --config {file / 'config.yaml'}")
        raise UsageError(
            f"there is no config file {file}; name one with --config, "
            "or make one with “crmsync init DIR”"
        )
    document = load_yaml(file)
    problems = Problems()
    folder = file.resolve().parent
    read = validate(
        Config, document.data, document=document, path=(), problems=problems, folder=folder
    )
    settings = problems.checked(read)
    _check_mappings(settings, document, problems)
    if settings.mail is not None and settings.mail not in settings.connections:
        hint = nearest(settings.mail, settings.connections)
        problems.add(document.place(("mail",)), f"there is no connection “{settings.mail}”{hint}")
    problems.raise_if_any()
    return Installation(settings=settings, document=document, folder=folder)


def _check_mappings(settings: Config, document: Document, problems: Problems) -> None:
    custom: dict[tuple[str, str], object] = {}
    for name, connection in settings.connections.items():
        at = ("connections", name)
        if ID_SEPARATOR in name or not name.strip():
            problems.add(
                document.key_place(at),
                f"“{name}” cannot name a connection: a name is not empty and has no “:”",
            )
        for stream_name, stream in connection.streams.items():
            here = (*at, "streams", stream_name)
            if stream.table not in CANONICAL_TABLES:
                hint = nearest(stream.table, CANONICAL_TABLES)
                problems.add(
                    document.place((*here, "table")), f"unknown table “{stream.table}”{hint}"
                )
                continue
            for field_name, mapping in stream.fields.items():
                sentence = _field_problem(stream.table, field_name, mapping, custom)
                if sentence is not None:
                    problems.add(document.key_place((*here, "fields", field_name)), sentence)


def _field_problem(
    table_name: str,
    name: str,
    mapping: FieldMapping,
    custom: dict[tuple[str, str], object],
) -> str | None:
    table = CANONICAL_TABLES[table_name]
    known = table.field(name)
    if known is not None:
        if mapping.type not in {None, known.type}:
            return f"{table_name}.{name} is a {known.type}; that cannot be changed"
        if mapping.tracked and known in BASE_FIELDS:
            return f"no history can be kept of {table_name}.{name}; take away “tracked”"
        return None
    if mapping.type is None:
        hint = nearest(name, (field.name for field in table.fields)) or "; it is not known"
        return f"{table_name} has no field “{name}”{hint} (a custom field needs a type)"
    shape = (mapping.type, mapping.references)
    if custom.setdefault((table_name, name), shape) != shape:
        return f"{table_name}.{name} has another type in another stream"
    return None
