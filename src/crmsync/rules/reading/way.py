"""Reads the way of an enrolment from YAML: steps one after the other, waits, choices, its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from crmsync.config.yaml import nearest
from crmsync.model.durations import Duration, parse_duration
from crmsync.rules import paths
from crmsync.rules.conditions import (
    All,
    Comparison,
    Condition,
    Enrolled,
    Operator,
    Test,
    clauses,
)
from crmsync.rules.evaluation.asked import Asked
from crmsync.rules.language import (
    AnyStep,
    Branch,
    ChooseStep,
    ClockOf,
    EmailStep,
    Ending,
    Guard,
    Placed,
    Recipient,
    Result,
    StepIs,
    WaitStep,
    asks_for_steps,
)
from crmsync.rules.operators import shown
from crmsync.rules.reading.conditions import STEPS, ConditionParser, flow
from crmsync.rules.reading.steps import KINDS_OF_OTHERS, STEP_KEYS, StepParser
from crmsync.rules.unknown import settle_asked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from crmsync.config.yaml import Document, Path_, Problems
    from crmsync.model.catalog import Catalog
    from crmsync.rules.conditions import Related
    from crmsync.rules.language import Rule

WAIT, CHOOSE, OTHERWISE, GOAL = "wait", "choose", "otherwise", "goal"
KINDS = (*STEP_KEYS, WAIT, CHOOSE)
PLACED_KEYS = ("id", "after", "clock", "if")
WAIT_KEYS = ("until", "at_most", "clock")
_OF_WAITS = (Result.DONE, Result.NOT_DONE, Result.SKIPPED)
_CONTACT = "last_contact"
_ACCOUNT = "account"
_MOST_DEPTH = 10


@dataclass(kw_only=True)
class WayParser:
    """Reads the steps of one rule; mistakes are noted, and a step that has them is left out.

    Attributes:
        steps: reads what a step makes.
        conditions: reads what is asked on the way, where ``enrolled`` can be said.
        repeats: whether the rule begins anew after a time.
    """

    catalog: Catalog
    document: Document
    problems: Problems
    table: str
    steps: StepParser
    conditions: ConditionParser
    repeats: bool = False
    _known: dict[str, str] = field(default_factory=dict)  # each id with its kind
    _counts: dict[str, int] = field(default_factory=dict)
    _later: bool = False  # whether what is read now comes after something else

    def parse(self, value: object, at: Path_) -> tuple[AnyStep, ...]:
        """The list behind ``then:``."""
        return self._list("then", value, at, ())

    def endings(self, value: object, at: Path_) -> tuple[Ending, ...]:
        """What stands behind ``until:`` of a rule: each line ends an enrolment by itself."""
        found = []
        for item, here in self._lines(value, at):
            goal = False
            if not self._is_mapping(item, here):
                continue
            if GOAL in item:
                goal = item[GOAL]
                if not isinstance(goal, bool):
                    self._note((*here, GOAL), f"“goal” is true or false, and not {shown(goal)}")
                item = {key: told for key, told in item.items() if key != GOAL}  # noqa: PLW2901  what is left of it
                if not item:
                    self._note(here, "“goal” stands beside the conditions that it is about")
                    continue
            guard = self._guard(item, here, steps=False)
            if guard is not None:
                found.append(Ending(guard=guard, goal=bool(goal)))
        return tuple(found)

    def _list(
        self, key: str, value: object, at: Path_, within: tuple[Branch, ...]
    ) -> tuple[AnyStep, ...]:
        if not isinstance(value, list) or not value:
            self._note(at, f"“{key}” is a list of steps, and not {shown(value)}")
            return ()
        if len(within) > _MOST_DEPTH:
            self._note(at, f"choices nest deeper than {_MOST_DEPTH} levels here")
            return ()
        found: list[AnyStep] = []
        for i, item in enumerate(value):
            found += self._item(item, (*at, i), within)
        return tuple(found)

    def _item(self, item: object, at: Path_, within: tuple[Branch, ...]) -> tuple[AnyStep, ...]:
        kind = self._kind(item, at)
        if kind is None or not isinstance(item, dict):
            return ()
        step_id = self._id(kind, item, at)
        if step_id is None:
            return ()
        after = self._duration(item["after"], (*at, "after")) if "after" in item else None
        placed = Placed(
            id=step_id,
            after=after,
            clock=self._clock(item, at),
            guard=self._guard(item["if"], (*at, "if")) if "if" in item else None,
            within=within,
            place=self.document.key_place((*at, kind)),
        )
        if "clock" in item and "after" not in item:
            self._note_key((*at, "clock"), "“clock” says whose days “after” counts; write that too")
        if kind == CHOOSE:
            self._known[step_id] = kind
            return self._choose(placed, item[kind], (*at, kind))
        if kind == WAIT:
            if "after" in item:
                self._note_key((*at, "after"), "a wait begins when the steps before it are over")
            step: AnyStep | None = self._wait(placed, item[kind], (*at, kind))
        else:
            step = self.steps.step(kind, step_id, item[kind], (*at, kind))
            if step is not None:
                step = self._with(step, placed, item[kind])
        self._known[step_id] = kind
        return () if step is None else (step,)

    def _with(self, step: AnyStep, placed: Placed, value: Any) -> AnyStep:  # noqa: ANN401  YAML is anything
        step = replace(
            step, after=placed.after, clock=placed.clock, guard=placed.guard, within=placed.within
        )
        self._later = self._later or asks_for_steps(step)
        asked = self._later or self.repeats
        if isinstance(step, EmailStep) and asked and not value.get("despite_contact"):
            return replace(step, contacted=self._contacted(step), comes_later=self._later)
        return step

    def _contacted(self, step: EmailStep) -> Guard | None:
        """That people have spoken with the customer; None for a mail to a colleague."""
        if _is_colleague(self.catalog, self.table, step.to):
            return None
        path = _CONTACT
        if self.catalog.fact(self.table, _CONTACT) is None:
            path = f"{_ACCOUNT}.{_CONTACT}"
        try:
            column = paths.column(self.catalog, self.table, path)
        except ValueError:  # whom it is about has no contact
            return None
        text = f"{path}: {{after: enrolled}}"
        since = Comparison(
            column=column,
            test=Test(operator=Operator.AFTER, operand=Enrolled()),
            text=text,
            place=step.place,
        )
        return Guard(condition=settle_asked(since), enrolled=True, text=text, place=step.place)

    def _kind(self, item: object, at: Path_) -> str | None:
        if not isinstance(item, dict) or not item:
            self._note(at, f"a step is written “task: {{…}}”, and not {shown(item)}")
            return None
        known = (*KINDS, *self.catalog.kinds)
        kinds = [key for key in item if key in known]
        bad = False
        for key in item:
            if key in PLACED_KEYS or key in known:
                continue
            bad = True
            if key in KINDS_OF_OTHERS:
                told = f"no connection of the config does “{key}”; its connector must bring it"
                self._note_key((*at, key), told)
            elif any(item[kind] is None and key in STEP_KEYS.get(kind, ()) for kind in kinds):
                told = f"“{key}” belongs to “{kinds[0]}”: indent it further than “{kinds[0]}”"
                self._note_key((*at, key), told)
            else:
                hint = nearest(key, (*known, *PLACED_KEYS))
                self._note_key((*at, key), f"unknown step “{key}”{hint}")
        if len(kinds) != 1:
            if not bad:
                found = f"; here are {' and '.join(kinds)}" if kinds else ""
                self._note(at, f"a step has exactly one of {', '.join(known)}{found}")
            return None
        return None if bad else kinds[0]

    def _id(self, kind: str, item: dict[str, Any], at: Path_) -> str | None:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        number = self._counts[kind]
        step_id = item.get("id", kind if number == 1 else f"{kind}-{number}")
        if not isinstance(step_id, str) or not step_id:
            self._note((*at, "id"), f"a step's id is a text, and not {shown(step_id)}")
        elif step_id in self._known:
            self._note((*at, "id"), f"the id “{step_id}” stands at another step already")
        elif "#" in step_id:
            self._note((*at, "id"), "a step's id has no “#”: that counts the rounds of a rule")
        else:
            return step_id
        return None

    def _wait(self, placed: Placed, value: object, at: Path_) -> WaitStep | None:
        self._later = True
        if not isinstance(value, dict):
            length = self._duration(value, at)
            return None if length is None else _waiting(placed, length, ())
        for key in value:
            if key not in WAIT_KEYS:
                hint = nearest(key, WAIT_KEYS)
                self._note_key((*at, key), f"unknown key “{key}” in “wait”{hint}")
        if "at_most" not in value:
            self._note_key(at, "“wait” needs “at_most:”, how long at the longest")
            return None
        until = []
        for item, here in self._lines(value["until"], (*at, "until")) if "until" in value else ():
            guard = None
            if self._is_mapping(item, here):
                guard = self._guard(item, here, steps=False)
            until += [guard] if guard is not None else []
        placed = replace(placed, clock=self._clock(value, at))
        length = self._duration(value["at_most"], (*at, "at_most"))
        return None if length is None else _waiting(placed, length, tuple(until))

    def _choose(self, placed: Placed, value: object, at: Path_) -> tuple[AnyStep, ...]:
        self._later = True
        if not isinstance(value, list) or not value:
            self._note(at, f"“choose” is a list of branches, and not {shown(value)}")
            return ()
        branches: list[Guard | None] = []
        inside: list[AnyStep] = []
        for i, branch in enumerate(value):
            here = (*at, i)
            keys = set(branch) if isinstance(branch, dict) else set()
            within = (*placed.within, Branch(choice=placed.id, number=i))
            if keys == {"if", "then"}:
                branches.append(self._guard(branch["if"], (*here, "if")))
                inside += self._list("then", branch["then"], (*here, "then"), within)
            elif keys == {OTHERWISE} and i == len(value) - 1:
                branches.append(None)
                inside += self._list(OTHERWISE, branch[OTHERWISE], (*here, OTHERWISE), within)
            else:
                self._note(
                    here,
                    "a branch is written “if: […]” with “then: […]”, and the last one may be "
                    "“otherwise: […]”",
                )
        choice = ChooseStep(
            id=placed.id,
            after=placed.after,
            clock=placed.clock,
            guard=placed.guard,
            within=placed.within,
            branches=tuple(branches),
            place=placed.place,
        )
        return (choice, *inside)

    # -- what is asked

    def _guard(self, value: object, at: Path_, *, steps: bool = True) -> Guard | None:
        """Conditions that must all hold; None where there is a mistake in them."""
        before = len(self.problems.sentences)
        results: list[StepIs] = []
        read: list[Condition] = []
        items = self._lines(value, at)
        for item, here in items:
            if not self._is_mapping(item, here):
                continue
            rest = item
            if steps:
                about = {key: told for key, told in item.items() if key.startswith(STEPS)}
                for key, told in about.items():
                    results += self._step_is(key, told, (*here, key))
                rest = {key: told for key, told in item.items() if key not in about}
                if about and not rest:
                    continue
            condition = self.conditions.parse(rest, self.table, here)
            read += [condition] if condition is not None else []
        if not items or len(self.problems.sentences) > before:
            return None
        place = self.document.place(at)
        whole = settle_asked(All(conditions=tuple(read), place=place)) if read else None
        return Guard(
            results=tuple(results),
            condition=whole,
            enrolled=whole is not None and asks_for_enrolment(whole),
            text=flow(value),
            place=place,
        )

    def _is_mapping(self, item: object, at: Path_) -> TypeGuard[dict[str, Any]]:
        if not isinstance(item, dict) or not item:
            self._note(at, f"a condition is written “field: value”, and not {shown(item)}")
            return False
        return True

    def _step_is(self, key: str, value: object, at: Path_) -> list[StepIs]:
        step = key.removeprefix(STEPS)
        kind = self._known.get(step)
        if kind is None:
            self._note_key(at, f"there is no step “{step}” before this{nearest(step, self._known)}")
            return []
        words = value if isinstance(value, list) else [value]
        can = () if kind == CHOOSE else _OF_WAITS if kind == WAIT else tuple(Result)
        for word in words or [value]:
            if word not in can:
                known = ", ".join(can) or "nothing: ask what it chose by"
                self._note(at, f"of “{step}” can be asked {known}, and not {shown(word)}")
                return []
        results = tuple(Result(str(word)) for word in words)
        text = f"{key}: {flow(value)}"
        return [StepIs(step=step, results=results, text=text, place=self.document.key_place(at))]

    def _lines(self, value: object, at: Path_) -> list[tuple[object, Path_]]:
        if isinstance(value, list) and value:
            return [(item, (*at, i)) for i, item in enumerate(value)]
        if isinstance(value, dict) and value:
            return [(value, at)]
        self._note(at, "a list of conditions is missing here")
        return []

    # -- lengths of time

    def _duration(self, value: object, at: Path_) -> Duration | None:
        try:
            return parse_duration(value)
        except ValueError as error:
            self._note(at, str(error))
            return None

    def _clock(self, value: dict[str, Any], at: Path_) -> ClockOf:
        clock = value.get("clock", ClockOf.COMPANY)
        if clock not in list(ClockOf):
            hint = nearest(clock, list(ClockOf))
            self._note((*at, "clock"), f"“clock” cannot be {shown(clock)}{hint}")
            return ClockOf.COMPANY
        has_account = self.table == _ACCOUNT or self.catalog.relation(self.table, _ACCOUNT)
        owner = self.catalog.relation(self.table, "owner")
        if (clock == ClockOf.ACCOUNT and not has_account) or (
            clock == ClockOf.OWNER and not has_account and owner is None
        ):
            self._note((*at, "clock"), f"{self.table} has no {clock} whose clock could be meant")
        return ClockOf(clock)

    def _note(self, at: Path_, sentence: str) -> None:
        self.problems.add(self.document.place(at), sentence)

    def _note_key(self, at: Path_, sentence: str) -> None:
        self.problems.add(self.document.key_place(at), sentence)


def asks_for_enrolment(condition: Condition) -> bool:
    """Whether a time is compared with that of the enrolment."""
    asked = Asked.by([condition]).betweens
    return any(isinstance(between.test.operand, Enrolled) for between in asked)


def guards(way: Collection[AnyStep], until: Collection[Ending]) -> tuple[Guard, ...]:
    """All that is asked on the way of an enrolment."""
    found: list[Guard | None] = [ending.guard for ending in until]
    for step in way:
        found.append(step.guard)
        match step:
            case WaitStep():
                found += step.until
            case ChooseStep():
                found += step.branches
            case EmailStep():
                found.append(step.contacted)
            case _:
                pass
    return tuple(guard for guard in found if guard is not None)


def clauses_on_the_way(rule: Rule) -> list[Comparison | Related]:
    """The clauses of all that is asked of those inside."""
    asked = guards(rule.way, rule.until)
    return [c for guard in asked if guard.condition for c in clauses(guard.condition)]


def histories(rules: Iterable[Rule]) -> frozenset[tuple[str, str]]:
    """The tables and fields whose past rules ask for."""
    asked = Asked()
    for rule in rules:
        asked.add(rule.when)
        for guard in guards(rule.way, rule.until):
            if guard.condition is not None:
                asked.add(guard.condition)
    return frozenset(asked.histories)


def goes_on(rule: Rule) -> bool:
    """Whether something may come after what is due at first."""
    return rule.repeat_every is not None or any(asks_for_steps(step) for step in rule.way)


def _waiting(placed: Placed, length: Duration, until: tuple[Guard, ...]) -> WaitStep:
    return WaitStep(
        id=placed.id,
        clock=placed.clock,
        guard=placed.guard,
        within=placed.within,
        at_most=length,
        until=until,
        place=placed.place,
    )


def _is_colleague(catalog: Catalog, table: str, to: Recipient) -> bool:
    """Whether a mail can only go to a user."""
    if to.path is None or (to.otherwise and not _is_colleague(catalog, table, to.otherwise)):
        return False
    return paths.leads_to(catalog, table, to.path, "user") is None
