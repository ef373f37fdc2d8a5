"""Laws of declaring: what a connector says of itself is true, and needs no network."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic import BaseModel

from crmsync.config.secrets import Secret
from crmsync.errors import RejectedError, UncertainError
from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.plugins.contract import Connector, ConnectorSpec, Reads, Writes
from crmsync.testing.laws.failing import failures
from crmsync.testing.laws.steps import (
    apply_one,
    connected,
    landed,
    minutes,
    read,
    sample_actions,
    sample_records,
)
from crmsync.testing.laws.writing import stale_update
from crmsync.testing.remote import Failure, Feature, RemoteUnderTest
from crmsync.testing.replica import Replica
from crmsync.testing.samples import START

if TYPE_CHECKING:
    from collections.abc import Callable

_LATER = START + minutes(1000)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class DeclaringLaws:
    """What holds before anything is read or written."""

    def test_the_spec_needs_no_network(self, remote: RemoteUnderTest) -> None:
        """Name, options, actions and rate are known before the first connection."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "connect", _no_network)
            patch.setattr(socket, "getaddrinfo", _no_network)
            spec = remote.spec
            assert isinstance(spec, ConnectorSpec), "the spec is a ConnectorSpec"
            assert _NAME.fullmatch(spec.name), (
                f"the name “{spec.name}” is not written in small letters, digits and underscores"
            )
            assert spec.description.strip(), "the spec has no description"
            for model in (spec.options, spec.stream_options):
                assert issubclass(model, BaseModel), "options are pydantic models"
                assert model.model_json_schema(), "options have a JSON Schema"
                assert model.model_config.get("extra") == "forbid", (
                    f"{model.__name__} lets misspelt keys pass; inherit config.base.Settings"
                )
            for kind, handling in spec.actions.items():
                assert isinstance(kind, ActionKind), f"{kind!r} is not an ActionKind"
                assert isinstance(handling, KeyHandling), f"{handling!r} is not a KeyHandling"
            assert bool(spec.custom) is (ActionKind.CUSTOM in spec.actions), (
                "a connector that adds kinds of action says how it honours the keys of CUSTOM"
            )
            assert spec.batch_size >= 1, "a batch has at least one action"
            assert 1 <= spec.mails_at_once <= spec.batch_size, "mails go in batches, too"

    def test_the_connector_has_the_parts_it_declares(self, remote: RemoteUnderTest) -> None:
        """``Reads`` and ``Writes`` are there, unless declared absent."""
        with connected(remote) as connector:
            assert isinstance(connector, Connector), "a connector has `check` and `close`"
            for feature, part in ((Feature.READS, Reads), (Feature.WRITES, Writes)):
                if feature not in remote.absent:
                    assert isinstance(connector, part), (
                        f"the connector is no {part.__name__}; declare {feature} absent if so meant"
                    )
        declared = bool(remote.spec.actions)
        assert declared == (Feature.WRITES not in remote.absent), (
            "a connector that can write names its actions in the spec, and only such a one does"
        )

    def test_check_finds_a_sound_remote_sound(self, remote: RemoteUnderTest) -> None:
        """``crmsync check`` has nothing to complain of where all is well."""
        if Feature.READS not in remote.absent:
            remote.put(sample_records(3))
        with connected(remote) as connector:
            fatal = [finding.sentence for finding in connector.check() if finding.fatal]
        assert not fatal, f"all is well, but check says: {'; '.join(fatal)}"

    def test_what_is_declared_absent_does_not_work(self, remote: RemoteUnderTest) -> None:
        """An absence has a reason, and is tried: a gap that was closed must be declared closed."""
        for part, reason in remote.absent.items():
            assert len(reason.split()) > 1, f"{part} is declared absent without a reason"
            try:
                works = _PROBES[part](remote)
            except NotImplementedError:
                continue  # the remote under test has no way to make it happen
            assert not works, f"{part} is declared absent (“{reason}”), but it works"


def _no_network(*_: object, **__: object) -> None:
    raise AssertionError("the spec went over the network")


def _reads(remote: RemoteUnderTest) -> bool:
    with connected(remote) as connector:
        if not isinstance(connector, Reads):
            return False
        remote.put(sample_records(3))
        return bool(list(connector.read(remote.stream, None)))


def _writes(remote: RemoteUnderTest) -> bool:
    return bool(remote.spec.actions)


def _pages(remote: RemoteUnderTest) -> bool:
    remote.put(sample_records())
    return len(read(remote)) > 1


def _deletions(remote: RemoteUnderTest) -> bool:
    records = sample_records()
    remote.put(records)
    pages = read(remote)
    remote.delete([records[0].id], _LATER)
    replica = Replica(remote, [*pages, *read(remote, pages[-1].cursor)])
    return records[0].id not in replica.texts


def _merges(remote: RemoteUnderTest) -> bool:
    records = sample_records()
    remote.put(records)
    pages = read(remote)
    remote.merge(records[0].id, records[1].id, _LATER)
    return bool(Replica(remote, [*pages, *read(remote, pages[-1].cursor)]).aliases)


def _unreadable(remote: RemoteUnderTest) -> bool:
    records = sample_records()
    remote.put(records)
    remote.spoil(records[0].id, _LATER)
    return bool(Replica(remote, read(remote)).problems)


def _compares(remote: RemoteUnderTest) -> bool:
    if ActionKind.UPDATE not in remote.spec.actions:
        return False
    return isinstance(stale_update(remote)[0], RejectedError)


def _lands(remote: RemoteUnderTest, kinds: set[ActionKind], what: str) -> bool:
    for action in sample_actions(remote, "probe"):
        if action.kind in kinds:
            apply_one(remote, action)
            if any(getattr(effect, what) for effect in landed(remote, action)):
                return True
    return False


def _links(remote: RemoteUnderTest) -> bool:
    return _lands(remote, {ActionKind.TASK, ActionKind.NOTE}, "record")


def _due_days(remote: RemoteUnderTest) -> bool:
    return _lands(remote, {ActionKind.TASK}, "due")


def _secrets(remote: RemoteUnderTest) -> bool:
    return remote.secret is not None or _has_secret(remote.spec.options)


def _has_secret(model: Any) -> bool:  # noqa: ANN401  annotations are anything
    if isinstance(model, type) and issubclass(model, BaseModel):
        return any(_has_secret(field.annotation) for field in model.model_fields.values())
    return model is Secret or any(_has_secret(argument) for argument in get_args(model))


def _fails(failure: Failure) -> Callable[[RemoteUnderTest], bool]:
    def probe(remote: RemoteUnderTest) -> bool:
        try:
            return bool(failures(remote, failure))
        except AssertionError:
            return False

    return probe


def _rejects(remote: RemoteUnderTest) -> bool:
    if Feature.WRITES in remote.absent:
        return False
    return isinstance(apply_one(remote, remote.refused_action("key-refused")), RejectedError)


def _is_uncertain(remote: RemoteUnderTest) -> bool:
    if Feature.WRITES in remote.absent:
        return False
    answers = []
    for action in sample_actions(remote, "probe"):
        remote.fail_next(Failure.UNCERTAIN)
        answers.append(apply_one(remote, action))
    return any(isinstance(answer, UncertainError) for answer in answers)


_PROBES: dict[Feature | Failure, Callable[[RemoteUnderTest], bool]] = {
    Feature.READS: _reads,
    Feature.WRITES: _writes,
    Feature.PAGES: _pages,
    Feature.DELETIONS: _deletions,
    Feature.MERGES: _merges,
    Feature.UNREADABLE: _unreadable,
    Feature.LINKS: _links,
    Feature.DUE_DAYS: _due_days,
    Feature.COMPARES: _compares,
    Feature.SECRETS: _secrets,
    Failure.AUTH: _fails(Failure.AUTH),
    Failure.TRANSIENT: _fails(Failure.TRANSIENT),
    Failure.QUOTA: _fails(Failure.QUOTA),
    Failure.REJECTED: _rejects,
    Failure.UNCERTAIN: _is_uncertain,
}
