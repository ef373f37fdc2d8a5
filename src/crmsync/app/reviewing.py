"""What waits for a person's word, and what they say: approve, reject, edit, enrol, ignore."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.app.outbox import find_effects, shown
from crmsync.app.results.reviewing import (
    Awaiting,
    ExistingMatches,
    ReviewedResult,
    ReviewResult,
    ReviewShown,
)
from crmsync.clock import SystemClock, readable
from crmsync.delivery.worker import may_take_over
from crmsync.errors import UsageError
from crmsync.journeys.people import record_name
from crmsync.journeys.words import with_words_of
from crmsync.ledger.decided import decide_effects
from crmsync.ledger.enrolments import decide_previewed
from crmsync.ledger.reviews import (
    Verdict,
    read_reviewed_one,
    say_of_effects,
    say_of_enrolments,
    word_effect,
)
from crmsync.ledger.states import State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    CustomAction,
    LogEmail,
    SendEmail,
    UpdateFields,
    WithdrawTask,
    text_of,
)
from crmsync.model.tables import ID_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import sqlalchemy as sa

    from crmsync.app.workspace import Workspace
    from crmsync.ledger.reviews import Reviewed
    from crmsync.ledger.values.effects import Effect
    from crmsync.ledger.values.enrolments import Enrolment
    from crmsync.model.actions import Action


def read_review(workspace: Workspace) -> ReviewResult:
    """All that waits for a person's word."""
    reviewed = [one for one in workspace.ledger.reviewed() if one.effect.state is State.AWAITING]
    actions = shown(workspace, [one.effect for one in reviewed])
    editors = [_editors(one) for one in reviewed]
    return ReviewResult(
        at=workspace.now,
        awaiting=tuple(
            Awaiting(
                action=action,
                reason=workspace.ledger.history_of(one.effect.id)[-1].reason,
                edited_by=edited_by,
                edited_in_vain_by=in_vain,
            )
            for one, action, (edited_by, in_vain) in zip(reviewed, actions, editors, strict=True)
        ),
        existing=_existing(workspace),
    )


def show_action(workspace: Workspace, key: str) -> ReviewShown:
    """An action exactly as it would go out, and what was said about it.

    Raises:
        UsageError: no action, or more than one, has a key that begins so.
    """
    (effect,) = find_effects(workspace, [key])
    (action,) = shown(workspace, [effect])
    with workspace.ledger.reading() as connection:
        reviewed = read_reviewed_one(connection, effect.id)
    zone = workspace.zone
    history = [
        (move.at, f"{move.after} by {move.actor}: {move.reason}")
        for move in workspace.ledger.history_of(effect.id)
    ]
    for word in reviewed.said:
        why = f": {word.reason}" if word.reason else ""
        history.append((word.said_at, f"{word.verdict} by {word.said_by}{why}"))
    sender, text, html, due = "", "", None, None
    changes: dict[str, object] = {}
    match effect.action:
        case SendEmail() as mail:
            sender, text, html = mail.sender, mail.text, mail.html
        case CreateTask() as task:
            text, due = task.body, task.due
        case AddNote() as note:
            text = note.text
        case CustomAction() as custom:
            text = text_of(custom)
        case UpdateFields() as update:
            changes = dict(update.changes)
    edited_by, in_vain = _editors(reviewed)
    return ReviewShown(
        action=action,
        sender=sender,
        text=text,
        html=html,
        due=due,
        changes=changes,
        edited_by=edited_by,
        edited_in_vain_by=in_vain,
        history=tuple(
            f"{readable(at, zone)}  {told}" for at, told in sorted(history, key=lambda one: one[0])
        ),
    )


def approve(workspace: Workspace, keys: Sequence[str], *, by: str, reason: str) -> ReviewedResult:
    """Say yes to actions, as they stand now; the next run asks the other gates and delivers.

    Raises:
        UsageError: one of them does not await approval.
        StoreBusyError: one of them has moved on meanwhile.
    """
    return _judge(workspace, keys, Verdict.APPROVED, State.PLANNED, by=by, reason=reason)


def reject(workspace: Workspace, keys: Sequence[str], *, by: str, reason: str) -> ReviewedResult:
    """Say no to actions: they are dropped.

    Raises:
        UsageError: one of them does not await approval.
        StoreBusyError: one of them has moved on meanwhile.
    """
    return _judge(workspace, keys, Verdict.REJECTED, State.DROPPED, by=by, reason=reason)


def words_of(workspace: Workspace, key: str) -> tuple[str, str]:
    """The subject and the text of an action that awaits approval, to be worded anew.

    Raises:
        UsageError: it does not await approval, or has no words.
    """
    (effect,) = _awaiting(workspace, [key])
    match effect.action:
        case SendEmail() as mail:
            return mail.subject, mail.text
        case CreateTask() as task:
            return task.subject, task.body
        case AddNote() as note:
            return "", note.text
    raise UsageError(f"{effect.key} has no words to edit; reject it instead")


def edit(
    workspace: Workspace,
    key: str,
    *,
    by: str,
    reason: str,
    subject: str | None = None,
    text: str | None = None,
) -> ReviewedResult:
    """Give an action other words; it still awaits approval.

    A mail goes out as text alone then: its HTML part has the old words.

    Raises:
        UsageError: it does not await approval, or has no such words.
    """
    (effect,) = _awaiting(workspace, [key])
    worded = replace(effect, action=_worded(effect, subject, text))
    at = workspace.clock.now()

    def record(connection: sa.Connection) -> None:
        word_effect(connection, worded.id, worded.action)
        say_of_effects(connection, [worded], Verdict.EDITED, by=by, at=at, reason=reason)

    workspace.ledger.write(record)
    actions = shown(workspace, [worded])
    return ReviewedResult(verdict=Verdict.EDITED, by=by, reason=reason, actions=actions)


def decide_existing(
    workspace: Workspace,
    rule: str,
    subjects: Sequence[str],
    *,
    every: bool,
    enrol: bool,
    by: str,
    reason: str,
) -> ReviewedResult:
    """Let the next run contact existing matches of a rule, if they still match; or never.

    Args:
        subjects: global ids, ids in the CRM, or names.

    Raises:
        UsageError: the rule has no existing matches, or none of that name.
        StoreBusyError: a run has moved one of them meanwhile.
    """
    if bool(subjects) == every:
        raise UsageError("name either records, or --all; “crmsync review” lists them")
    known = {one.rule: one for one in _existing(workspace)}
    if rule not in known:
        there = ", ".join(known) or "no rule"
        why = f"nobody waits in the rule “{rule}”; existing matches wait in: {there}"
        if rule in {one.name for one in workspace.rules.rules}:
            why += ". A rule's first “crmsync run” notes who matches already, and contacts nobody"
        raise UsageError(why)
    names = known[rule].subjects
    chosen = set(names) if every else {_meant(one, names, rule) for one in subjects}
    verdict = Verdict.ENROLLED if enrol else Verdict.IGNORED
    status = EnrolmentStatus.WAITING if enrol else EnrolmentStatus.IGNORED
    enrolments = [one for one in _previewed(workspace) if one.ref.rule == rule]
    numbers = [one.id for one in enrolments if one.ref.subject in chosen]
    at = workspace.clock.now()

    def record(connection: sa.Connection) -> None:
        decide_previewed(connection, numbers, status, at=at)
        say_of_enrolments(connection, numbers, verdict, by=by, at=at, reason=reason)

    workspace.ledger.write(record)
    return ReviewedResult(
        verdict=verdict,
        by=by,
        reason=reason,
        rule=rule,
        subjects={one: names[one] for one in sorted(chosen)},
    )


def _judge(
    workspace: Workspace,
    keys: Sequence[str],
    verdict: Verdict,
    after: State,
    *,
    by: str,
    reason: str,
) -> ReviewedResult:
    effects = _awaiting(workspace, keys)
    at, wall_clock = workspace.clock.now(), SystemClock().now()
    kept = f"{by} {verdict} it" + (f": {reason}" if reason else "")

    def record(connection: sa.Connection) -> None:
        say_of_effects(connection, effects, verdict, by=by, at=at, reason=reason)
        decide_effects(
            connection,
            effects,
            after,
            by=by,
            at=at,
            reason=kept,
            is_free=lambda holder, until: may_take_over(holder, until, wall_clock),
        )

    workspace.ledger.write(record)
    actions = shown(workspace, effects)
    return ReviewedResult(verdict=verdict, by=by, reason=reason, actions=actions)


def _awaiting(workspace: Workspace, keys: Sequence[str]) -> tuple[Effect, ...]:
    if not keys:
        raise UsageError("name at least one key; “crmsync review” lists them")
    effects = find_effects(workspace, keys)
    for effect in effects:
        if effect.state is not State.AWAITING:
            raise UsageError(f"{effect.key} is {effect.state}; nobody is asked to approve it")
    return effects


def _worded(effect: Effect, subject: str | None, text: str | None) -> Action:
    action = effect.action
    if isinstance(action, UpdateFields | WithdrawTask | LogEmail | CustomAction):
        raise UsageError(f"{effect.key} has no words to edit")
    if isinstance(action, AddNote):
        if subject is not None:
            raise UsageError(f"{effect.key} is a note, and has no subject")
        return action if text is None else replace(action, text=text)
    if subject is not None:
        subject = " ".join(subject.split())
        if not subject:
            raise UsageError("the subject would be empty")
        action = replace(action, subject=subject)
    if text is None:
        return action
    if isinstance(action, CreateTask):
        return replace(action, body=text)
    if not text.strip():
        raise UsageError("the mail would be empty")
    return replace(action, text=text, html=None)


def _editors(reviewed: Reviewed) -> tuple[str | None, str | None]:
    """Whose words an action has, and whose it has lost since they edited it."""
    edit = reviewed.edit
    if edit is None or edit.action is None:
        return None, None
    action = reviewed.effect.action
    stands = with_words_of(edit.action, action) == action
    return (edit.said_by, None) if stands else (None, edit.said_by)


def _previewed(workspace: Workspace) -> tuple[Enrolment, ...]:
    return workspace.ledger.enrolments(statuses=[EnrolmentStatus.PREVIEWED])


def _existing(workspace: Workspace) -> tuple[ExistingMatches, ...]:
    rules = {rule.name: rule for rule in workspace.rules.rules}
    found: dict[str, list[str]] = {}
    for enrolment in _previewed(workspace):
        if enrolment.ref.rule in rules:
            found.setdefault(enrolment.ref.rule, []).append(enrolment.ref.subject)
    if not found:
        return ()
    with workspace.warehouse.reading() as records:
        names = {
            name: records.rows(rules[name].subject, subjects) for name, subjects in found.items()
        }
    return tuple(
        ExistingMatches(
            rule=name,
            description=rules[name].description,
            subjects={
                one: record_name(names[name].get(one, {"id": one})) for one in sorted(subjects)
            },
        )
        for name, subjects in sorted(found.items())
    )


def _meant(wanted: str, names: dict[str, str], rule: str) -> str:
    def hits(said: Collection[str]) -> bool:
        return wanted.casefold() in {one.casefold() for one in said}

    found = [
        one for one, name in names.items() if hits((one, one.partition(ID_SEPARATOR)[2], name))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"“{wanted}” can be several: {', '.join(found)}; name one by its id")
    raise UsageError(f"“{wanted}” does not wait in the rule “{rule}”; “crmsync review” lists who")
