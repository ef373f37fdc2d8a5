"""JSON Schemas with an installation's own names, for editors."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmsync.config.schema import Options, config_schema
from crmsync.config.yaml import load_yaml
from crmsync.errors import InvalidInputError, StoreError
from crmsync.plugins.manager import Plugins
from crmsync.rules.reading.load import TESTS
from crmsync.rules.schema import Names, rule_schema, rule_test_schema, segment_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.app.workspace import Workspace

KINDS = ("rule", "segment", "test", "config")
# Beside the config, since the schemas hold the names of this one installation.
FOLDER = ".crmsync"


@dataclass(frozen=True, kw_only=True)
class WrittenSchemas:
    """Where the schemas were written, and what an editor needs to find them.

    Attributes:
        files: kind of file to its schema, relative to the config's folder.
        patterns: schema to the files that it is for, likewise.
        modelines: kind of file to the first line of such a file, where it lies directly in its
            folder.
    """

    folder: str
    files: dict[str, str]
    patterns: dict[str, tuple[str, ...]]
    modelines: dict[str, str]


def schema_of(workspace: Workspace, kind: str) -> dict[str, Any]:
    """The schema of a kind of file: rule, segment, test or config."""
    match kind:
        case "rule":
            return rule_schema(workspace.catalog, _names(workspace))
        case "segment":
            return segment_schema(workspace.catalog, _names(workspace))
        case "test":
            return rule_test_schema(workspace.catalog, _names(workspace))
        case _:
            return schema_of_config(workspace.plugins)


def schema_of_config(plugins: Plugins | None = None) -> dict[str, Any]:
    """The schema of the config; a config with mistakes does not stand in its way."""
    connectors = (plugins or Plugins()).connectors
    return config_schema(
        {
            name: Options(
                description=spec.description,
                connection=spec.options,
                stream=spec.stream_options,
            )
            for name, spec in connectors.items()
        }
    )


def write_schemas(workspace: Workspace, config: Path) -> WrittenSchemas:
    """Write all schemas beside the config.

    Raises:
        StoreError: they cannot be written.
    """
    folder = workspace.installation.folder / FOLDER
    files = {kind: f"{FOLDER}/{kind}.schema.json" for kind in KINDS}
    try:
        folder.mkdir(exist_ok=True)
        for kind in KINDS:
            text = json.dumps(schema_of(workspace, kind), ensure_ascii=False, separators=(",", ":"))
            path = workspace.installation.folder / files[kind]
            path.write_text(text + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
    settings = workspace.installation.settings
    tests = f"{settings.rules}/{TESTS}"
    folders = {"rule": settings.rules, "segment": settings.segments, "test": tests, "config": "."}
    return WrittenSchemas(
        folder=str(folder),
        files=files,
        patterns={
            files["rule"]: (f"{settings.rules}/**/*.yaml", f"!{tests}/**"),
            files["segment"]: (f"{settings.segments}/**/*.yaml",),
            files["test"]: (f"{tests}/**/*.yaml",),
            files["config"]: (config.name,),
        },
        modelines={
            kind: f"# yaml-language-server: $schema={_way(workspace, of, files[kind])}"
            for kind, of in folders.items()
        },
    )


def _way(workspace: Workspace, folder: str, schema: str) -> str:
    """The path of a schema as seen from a folder of the config."""
    seen_from = workspace.installation.path(folder)
    path = Path(os.path.relpath(workspace.installation.folder / schema, seen_from)).as_posix()
    return path if path.startswith(".") else f"./{path}"


def _names(workspace: Workspace) -> Names:
    """What other files of the installation bring; those with mistakes bring nothing."""
    settings = workspace.installation.settings
    segments = defaultdict(list)
    for data in _read(workspace.installation.path(settings.segments)):
        segments[data.get("subject")].append(data.get("segment"))
    rules = [data.get("rule") for data in _read(workspace.installation.path(settings.rules))]
    return Names(
        teams=tuple(settings.teams),
        segments={
            str(subject): tuple(name for name in names if isinstance(name, str))
            for subject, names in segments.items()
        },
        templates=tuple(workspace.templates.names()),
        rules=tuple(name for name in rules if isinstance(name, str)),
        values=_mapped_values(workspace),
    )


def _read(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.rglob("*.yaml")):
        if TESTS in file.relative_to(folder).parts:
            continue
        try:
            data = load_yaml(file).data
        except InvalidInputError:
            continue  # check tells of it
        if isinstance(data, dict):
            yield data


def _mapped_values(workspace: Workspace) -> dict[tuple[str, str], tuple[str, ...]]:
    """The texts that the mappings of a field translate into, all connections together."""
    found: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for connection in workspace.installation.settings.connections.values():
        for stream in connection.streams.values():
            for name, mapping in stream.fields.items():
                for value in mapping.values.values():
                    if isinstance(value, str):
                        found[stream.table, name][value] = None
    return {where: tuple(values) for where, values in found.items()}
