"""Everything that a config file opens: settings, plugins, rules, templates, stores, connections."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.config.base import validate
from crmsync.config.load import Installation, load_config
from crmsync.config.yaml import Problems
from crmsync.errors import InvalidInputError, PluginError, StoreError, UsageError
from crmsync.model.catalog import Catalog
from crmsync.plugins.contract import ConnectionContext, StreamRequest
from crmsync.plugins.manager import Plugins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from crmsync.app.links import UnsubscribeLinks
    from crmsync.app.premises import Premises
    from crmsync.clock import Clock
    from crmsync.config.settings import ConnectionSettings
    from crmsync.config.yaml import Place
    from crmsync.ledger.store import Ledger
    from crmsync.model.actions import ActionKind, CustomKind, Scalar
    from crmsync.plugins.contract import Connector, ConnectorSpec
    from crmsync.rules.language import Rule
    from crmsync.rules.reading.load import RuleSet
    from crmsync.templating.templates import Templates
    from crmsync.warehouse.store import Warehouse


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """An installation, opened part by part as it is needed.

    Attributes:
        templates_folder: where the templates are read; None where the config says.
    """

    installation: Installation
    plugins: Plugins
    clock: Clock
    templates_folder: Path | None = None

    @cached_property
    def zone(self) -> ZoneInfo:
        """The company's: reports tell instants in it."""
        return ZoneInfo(self.installation.settings.company.time_zone)

    @property
    def now(self) -> datetime:
        """The present instant, in the company's zone."""
        return self.clock.now().astimezone(self.zone)

    @cached_property
    def catalog(self) -> Catalog:
        """What rules can name here."""
        return Catalog(
            tables=self.installation.tables(),
            facts=tuple(fact.spec for fact in self.plugins.facts),
            kinds=self._kinds(),
        )

    def _kinds(self) -> dict[str, dict[str, CustomKind]]:
        """The kinds of action that connections of the config add, by name and connection."""
        found: dict[str, dict[str, CustomKind]] = {}
        for name, connection in self.installation.settings.connections.items():
            spec = self.plugins.connectors.get(connection.connector)
            for kind in () if spec is None else spec.custom:
                found.setdefault(kind.name, {})[name] = kind
        return found

    @cached_property
    def rules(self) -> RuleSet:
        """The rules, checked.

        Raises:
            InvalidInputError: a rule or segment holds mistakes.
        """
        rules, mistakes = self.read_rules()
        if mistakes:
            raise InvalidInputError(mistakes)
        return rules

    @cached_property
    def histories(self) -> frozenset[tuple[str, str]]:
        """The tables and fields whose past rules ask for; rules with mistakes ask for nothing."""
        from crmsync.rules.reading.way import histories

        return histories(self._sound_rules())

    @cached_property
    def updates(self) -> Mapping[tuple[str, str], Place]:
        """The tables and fields that rules give new values, each with the place of the first."""
        from crmsync.rules.updates import updates

        return updates(self._sound_rules(), self.catalog)

    def _sound_rules(self) -> Sequence[Rule]:
        try:
            rules = self.__dict__["rules"] if "rules" in self.__dict__ else self.read_rules()[0]
        except InvalidInputError:
            return ()
        return rules.rules

    def at_clock(self, clock: Clock) -> Workspace:
        """The same, by another clock; what was opened and read is not opened and read again."""
        other = replace(self, clock=clock)
        for part in (
            "rules",
            "histories",
            "updates",
            "catalog",
            "templates",
            "warehouse",
            "ledger",
        ):
            if part in self.__dict__:
                other.__dict__[part] = self.__dict__[part]
        return other

    def read_rules(self) -> tuple[RuleSet, tuple[str, ...]]:
        """The rules in whose files there is no mistake, and all mistakes."""
        from crmsync.rules.reading.load import read_rules

        settings = self.installation.settings
        return read_rules(
            self.folder("rules", settings.rules),
            self.installation.path(settings.segments),
            self.catalog,
            settings.teams,
            shown_relative_to=self.installation.folder,
            policy=settings.policy,
        )

    @cached_property
    def templates(self) -> Templates:
        """The templates, with the filters of all plugins."""
        from crmsync.templating.templates import Templates

        settings = self.installation.settings
        return Templates(
            self.templates_folder or self.installation.path(settings.templates),
            self.plugins.filters,
            settings.company,
            shown_as=settings.templates,
        )

    def folder(self, what: str, relative: str) -> Path:
        """A folder of the config that must exist.

        Raises:
            InvalidInputError: it does not.
        """
        path = self.installation.path(relative)
        if not path.is_dir():
            place = self.installation.document.place((what,))
            raise InvalidInputError([f"{place}: there is no folder {path} with {what}"])
        return path

    @cached_property
    def state(self) -> Path:
        """Where the stores lie; made where it is missing.

        Raises:
            StoreError: it cannot be made.
        """
        path = self.installation.path(self.installation.settings.state)
        try:
            # Customers' data and the bodies of mails lie here: for nobody else's eyes.
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the state folder {path} cannot be made: {error.strerror}; "
                "name another with “state” in the config"
            ) from error
        return path

    @cached_property
    def warehouse(self) -> Warehouse:
        """What is known of customers."""
        from crmsync.app.basis import basis_of_queries
        from crmsync.warehouse.store import Warehouse
        from crmsync.warehouse.texts import QueryTexts

        basis = basis_of_queries(self.installation, self.plugins)
        texts = QueryTexts(self.state / "queries", basis)
        return Warehouse(self.state / "warehouse.duckdb", self.catalog.tables, self.streams, texts)

    @cached_property
    def streams(self) -> dict[tuple[str, str], str]:
        """The table of each stream of the config, by connection and stream."""
        return {
            (name, stream_name): stream.table
            for name, connection in self.installation.settings.connections.items()
            for stream_name, stream in connection.streams.items()
        }

    @cached_property
    def ledger(self) -> Ledger:
        """What was decided and done.

        Raises:
            AuthError: the config refers to a URL that is not there.
            StoreError: it cannot be opened.
        """
        from crmsync.ledger.store import Ledger

        url = self.installation.settings.ledger
        return Ledger(self.state / "ledger.sqlite" if url is None else url.reveal())

    @cached_property
    def unsubscribe_links(self) -> UnsubscribeLinks | None:
        """Links out of commercial mail; None where the config wants none.

        Raises:
            AuthError: a secret is not there, or too short.
        """
        from crmsync.app.links import UnsubscribeLinks

        settings = self.installation.settings
        wanted = settings.unsubscribe
        if wanted is None or settings.public is None:
            return None
        secrets = [secret.reveal() for secret in (wanted.secret, *wanted.earlier_secrets)]
        return UnsubscribeLinks(settings.public.url, secrets)

    @property
    def premises(self) -> Premises:
        """What this installation's decisions rest on, beside the records.

        Raises:
            InvalidInputError: a rule or segment holds mistakes.
            StoreError: the ledger cannot be opened.
            AuthError: the secret of the links out of commercial mail is not there.
        """
        from crmsync.app.premises import Premises

        links = self.unsubscribe_links
        return Premises(
            config=self.installation.settings,
            catalog=self.catalog,
            facts=self.plugins.facts,
            rules=self.rules.rules,
            templates=self.templates,
            ledger=self.ledger,
            clock=self.clock,
            connections=self.installation.settings.connections.keys(),
            abilities=self.abilities,
            remote_field=self.remote_field,
            remote_words=self.remote_words,
            plugins=self.plugins.reports,
            unsubscribe_url=None if links is None else links.url,
        )

    def abilities(self, connection: str) -> tuple[ActionKind, ...]:
        """The kinds of action that a connection can apply; none where it does not exist.

        Raises:
            InvalidInputError: no such connector works here.
        """
        if connection not in self.installation.settings.connections:
            return ()
        return tuple(self.spec(connection).actions)

    @cached_property
    def loggers(self) -> frozenset[str]:
        """The connections that can put mail on record which another one has sent."""
        from crmsync.model.actions import ActionKind

        found = set()
        for name in self.installation.settings.connections:
            with suppress(InvalidInputError):  # one that does not work here logs nothing
                found |= {name} if ActionKind.LOG in self.abilities(name) else set()
        return frozenset(found)

    @property
    def reminders(self) -> tuple[str, ...]:
        """What nobody may forget of the connections, such as that mail is redirected."""
        found: list[str] = []
        for name in self.installation.settings.connections:
            with suppress(InvalidInputError):  # what is wrong with it is told elsewhere
                remind = self.spec(name).remind
                told = () if remind is None else remind(self.context(name).options)
                found += [f"{name}: {sentence}" for sentence in told]
        return tuple(found)

    def connection(self, name: str) -> ConnectionSettings:
        """The settings of a connection.

        Raises:
            UsageError: the config has none of that name.
        """
        connections = self.installation.settings.connections
        if name not in connections:
            known = ", ".join(connections)
            raise UsageError(f"the config has no connection “{name}”; it has: {known}")
        return connections[name]

    def spec(self, name: str) -> ConnectorSpec:
        """What the connector behind a connection declares.

        Raises:
            InvalidInputError: no such connector works here.
        """
        try:
            return self.plugins.connector(self.connection(name).connector)
        except PluginError as error:
            place = self.installation.document.place(("connections", name, "connector"))
            raise InvalidInputError([f"{place}: {error}"]) from None

    def context(self, name: str) -> ConnectionContext:
        """What the connector of a connection is opened with, its options checked.

        Raises:
            InvalidInputError: the options hold mistakes.
        """
        spec, settings = self.spec(name), self.connection(name)
        document, problems = self.installation.document, Problems()
        at = ("connections", name)
        options = validate(
            spec.options,
            settings.own_options,
            document=document,
            path=at,
            problems=problems,
            folder=self.installation.folder,
        )
        streams = {}
        for stream_name, stream in settings.streams.items():
            own = validate(
                spec.stream_options,
                stream.own_options,
                document=document,
                path=(*at, "streams", stream_name),
                problems=problems,
                folder=self.installation.folder,
            )
            if own is not None:
                streams[stream_name] = StreamRequest(
                    name=stream_name,
                    options=own,
                    columns=stream.columns,
                    key=tuple(stream.key),
                    table=stream.table,
                    tracked=stream.tracked_columns(self.catalog.tables[stream.table]),
                    history_asked=stream.columns_of(
                        {name for table, name in self.histories if table == stream.table}
                    ),
                    changed_at=stream.remote_field("updated_at"),
                    updated=tuple(
                        column
                        for table, field in self.updates
                        if table == stream.table
                        and (column := stream.remote_field(field)) is not None
                    ),
                )
        return ConnectionContext(
            name=name,
            options=problems.checked(options),
            streams=streams,
            folder=self.installation.folder,
            clock=self.clock,
        )

    @contextmanager
    def connected(self, name: str) -> Iterator[Connector]:
        """An open connection, closed at the end.

        Raises:
            InvalidInputError: its options hold mistakes.
            ConnectorError: it cannot be opened.
        """
        from crmsync.app.spending import allowance_told, note_calls  # heavy

        context = replace(self.context(name), allowance=allowance_told(self, name))
        connector = self.spec(name).open(context)
        try:
            yield connector
        finally:
            note_calls(self, name, connector)
            connector.close()

    def remote_field(self, connection: str, table: str, field: str) -> tuple[str, str] | None:
        """The stream, and the remote's own field, behind a canonical field."""
        settings = self.installation.settings.connections.get(connection)
        for stream_name, stream in ({} if settings is None else settings.streams).items():
            remote = stream.remote_field(field) if stream.table == table else None
            if remote is not None:
                return stream_name, remote
        return None

    def remote_words(
        self, connection: str, table: str, field: str, value: Scalar
    ) -> tuple[Scalar, ...]:
        """A connection's own words for a field's value; several or none where nobody can tell."""
        from crmsync.model.tables import FieldType, split_global_id

        known = self.catalog.tables[table].field(field)
        if isinstance(value, str) and known is not None and known.type is FieldType.REFERENCE:
            source, own = split_global_id(value)
            if source == connection:
                return (own,)
            if source in self.installation.settings.connections and own:
                return ()
        found = self.remote_field(connection, table, field)
        if found is None:
            return ()
        return self.connection(connection).streams[found[0]].fields[field].remote_words(value)


def open_workspace(config: Path, clock: Clock) -> Workspace:
    """Open what a config file describes.

    Raises:
        UsageError: there is no such file.
        InvalidInputError: it holds mistakes.
    """
    from crmsync.sync.checks import check_mapping  # heavy

    installation = load_config(config)
    problems = Problems()
    for name, connection in installation.settings.connections.items():
        for stream_name, stream in connection.streams.items():
            at = ("connections", name, "streams", stream_name)
            for path, sentence in check_mapping(stream):
                problems.add(installation.document.key_place((*at, *path)), sentence)
    problems.raise_if_any()
    return Workspace(installation=installation, plugins=Plugins(), clock=clock)
