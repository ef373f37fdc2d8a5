"""Who goes by an earlier text of their rule, and what that says of them."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from crmsync.app.outages import unless_unread
from crmsync.errors import InvalidInputError
from crmsync.journeys.texts import STOPPED, AsItWas, Texts
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.language import OnChange
from crmsync.rules.reading.earlier import rule_as_it_was

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crmsync.app.premises import Premises
    from crmsync.ledger.values.enrolments import Enrolment, EnrolmentRef, EnrolmentSnapshot
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule

    # By rule and version, those who entered by it.
    _Groups = Mapping[tuple[str, str], list[EnrolmentRef]]


def texts_of(
    premises: Premises, rules: Iterable[Rule], snapshot: EnrolmentSnapshot, world: World
) -> Texts:
    """Those inside who entered by another text of their rule, and what becomes of them.

    Who entered by a text that is not kept goes by the present one.
    """
    present = {rule.name: rule for rule in rules}
    groups: dict[tuple[str, str], list[EnrolmentRef]] = defaultdict(list)
    for one in snapshot.open:
        if _entered_otherwise(one, present):
            groups[one.ref.rule, one.rule_version].append(one.ref)
    if not groups:
        return Texts()
    sources = premises.ledger.rule_texts(groups.keys())
    found = _Found(premises, world)
    for (name, version), source in sorted(sources.items()):
        found.add(present[name], version, source, groups[name, version])
    return found.texts()


def earlier_texts(premises: Premises) -> tuple[Rule, ...]:
    """The rules as they were, by which some of those inside go; of those that can be read."""
    present = {rule.name: rule for rule in premises.rules if rule.on_change is OnChange.FINISH}
    wanted = {
        (name, version)
        for name, version in premises.ledger.versions_inside()
        if name in present and version != present[name].version
    }
    found = []
    for (name, version), source in sorted(premises.ledger.rule_texts(wanted).items()):
        catalog, teams = premises.catalog, premises.config.teams
        with suppress(InvalidInputError):
            found.append(rule_as_it_was(present[name], version, source, catalog, teams))
    return tuple(found)


def _entered_otherwise(one: Enrolment, present: Mapping[str, Rule]) -> bool:
    rule = present.get(one.ref.rule)
    is_active = one.status is EnrolmentStatus.ACTIVE
    return is_active and rule is not None and one.rule_version != rule.version


class _Found:
    def __init__(self, premises: Premises, world: World) -> None:
        self._premises = premises
        self._world = world
        self._earlier: dict[EnrolmentRef, AsItWas] = {}
        self._anew: set[EnrolmentRef] = set()
        self._stopped: dict[EnrolmentRef, str] = {}
        self._unreadable: dict[EnrolmentRef, str] = {}

    def add(self, rule: Rule, version: str, source: str, refs: list[EnrolmentRef]) -> None:
        """What becomes of those who entered by a version of a rule."""
        if rule.on_change is OnChange.STOP:
            self._stopped |= dict.fromkeys(refs, STOPPED)
            return
        if rule.on_change is OnChange.RESTART:
            self._anew |= set(refs)
            return
        catalog, teams = self._premises.catalog, self._premises.config.teams
        try:
            was = rule_as_it_was(rule, version, source, catalog, teams)
        except InvalidInputError as error:
            reason = (
                f"the text of the rule that it entered by cannot be read any more: "
                f"{error.problems[0]}; “on_change: restart” or “stop” lets go of it"
            )
            self._unreadable |= dict.fromkeys(refs, reason)
            return
        if was.subject != rule.subject:
            reason = f"the rule is about another kind of record now, {rule.subject}"
            self._stopped |= dict.fromkeys(refs, reason)
            return
        ids = {ref.subject for ref in refs}
        verdict = Evaluation([was], self._world, ids=ids).verdicts[was.name]
        verdict = unless_unread(self._world, was, verdict, ids)
        self._earlier |= dict.fromkeys(refs, AsItWas(rule=was, verdict=verdict))

    def texts(self) -> Texts:
        """All of it."""
        return Texts(
            earlier=self._earlier,
            anew=frozenset(self._anew),
            stopped=self._stopped,
            unreadable=self._unreadable,
        )
