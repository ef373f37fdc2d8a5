"""What a decision rests on, beside the records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.clock import Clock
    from crmsync.config.settings import Config
    from crmsync.ledger.store import Ledger
    from crmsync.model.actions import ActionKind, Scalar
    from crmsync.model.catalog import Catalog
    from crmsync.plugins.contract import Fact
    from crmsync.plugins.manager import PluginReport
    from crmsync.rules.language import Rule
    from crmsync.templating.templates import Templates


def in_our_words(_connection: str, _table: str, _field: str, value: Scalar) -> Sequence[Scalar]:
    """Of a connection whose words are ours."""
    return (value,)


@dataclass(frozen=True, kw_only=True)
class Premises:
    """An installation's own, or those of a rule test, with a ledger and a clock of its own.

    Attributes:
        rules: all of them; what is missing here is taken to be gone.
        connections: the names of those that exist.
        abilities: the kinds of action that a connection can apply; none where it does not exist.
        remote_field: connection, table and canonical field to the stream and the remote's own
            field; None where the mapping cannot be turned round.
        remote_words: connection, table, canonical field and a value of it to the remote's own
            words for that; several, or none, where nobody can tell.
        plugins: what is installed beside the core, and what it brings.
        resting: the rules that nobody may enter now, each with the instant (UTC) at which its
            schedule comes next, if it ever does.
        unsubscribe_url: by address, the link out of commercial mail; None where mails have none.
    """

    config: Config
    catalog: Catalog
    facts: Sequence[Fact]
    rules: tuple[Rule, ...]
    templates: Templates
    ledger: Ledger
    clock: Clock
    connections: Collection[str]
    abilities: Callable[[str], Collection[ActionKind]]
    remote_field: Callable[[str, str, str], tuple[str, str] | None]
    remote_words: Callable[[str, str, str, Scalar], Sequence[Scalar]] = in_our_words
    plugins: Sequence[PluginReport] = ()
    resting: Mapping[str, datetime | None] = field(default_factory=dict)
    unsubscribe_url: Callable[[str], str] | None = None
