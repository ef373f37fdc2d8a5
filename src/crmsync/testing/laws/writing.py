"""Laws of writing: one answer for each action, and each effect once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from crmsync.errors import ConnectorError, RejectedError, TransientError, UncertainError
from crmsync.model.actions import (
    ActionKind,
    AddNote,
    CreateTask,
    KeyHandling,
    LogEmail,
    Receipt,
    SendEmail,
    UpdateFields,
)
from crmsync.testing.laws.steps import (
    MAKING,
    applied,
    apply_one,
    assert_once,
    connected,
    landed,
    need,
    outcomes,
    sample_actions,
    writer,
)
from crmsync.testing.remote import Failure, Feature, SampleRecord
from crmsync.testing.samples import INJECTED, START, hostile_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.model.actions import Action
    from crmsync.testing.remote import RemoteUnderTest

_MOST_ACTIONS = 100  # more would test patience


class WritingLaws:
    """What holds for every action, however its remote honours keys."""

    def test_each_action_lands_and_is_answered_in_order(self, remote: RemoteUnderTest) -> None:
        """A batch of all kinds: as many receipts, in the order of the actions."""
        need(remote, Feature.WRITES)
        actions = [*sample_actions(remote, "one"), *reversed(sample_actions(remote, "two"))]
        with connected(remote) as connector:
            assert outcomes(remote, connector, []) == [], "no actions, no answers"
            answers = outcomes(remote, connector, actions)
        _assert_receipts(actions, answers)
        made = [
            answer.remote_id
            for action, answer in zip(actions, answers, strict=True)
            if isinstance(answer, Receipt) and action.kind is not ActionKind.UPDATE
        ]
        assert len(set(made)) == len(made), f"what was made is named, each with its own id: {made}"
        assert_once(remote, actions, "after a batch")

    def test_what_is_made_stays_with_its_record(self, remote: RemoteUnderTest) -> None:
        """What is attached to nothing is found by nobody."""
        need(remote, Feature.WRITES, Feature.LINKS)
        for action in sample_actions(remote, "linked"):
            if isinstance(action, CreateTask | AddNote | LogEmail):
                applied(remote, action)
                assert_once(remote, [action], "attached to a record")
                found, meant = landed(remote, action)[0].record, action.about[0].id
                assert found == meant, (
                    f"a {action.kind} about {meant} landed on {found or 'no record'}; "
                    "where the remote keeps it, `effects` tells it in Effect.record"
                )

    def test_a_due_day_is_never_shifted(self, remote: RemoteUnderTest) -> None:
        """A day is a day: no time zone moves it to the one before, not even around the year."""
        need(remote, Feature.WRITES, Feature.DUE_DAYS)
        days = (date(2026, 1, 1), date(2026, 3, 29), date(2028, 2, 29), date(2026, 12, 31), None)
        for number, day in enumerate(days):
            for action in sample_actions(remote, f"due{number}"):
                if isinstance(action, CreateTask):
                    task = replace(action, due=day)
                    applied(remote, task)
                    assert_once(remote, [task], "with a due day")
                    found = landed(remote, task)[0].due
                    assert found == day, (
                        f"a task due on {day} landed as due on {found}; "
                        "where the remote keeps it, `effects` tells it in Effect.due"
                    )

    def test_a_refused_action_leaves_the_others_alone(self, remote: RemoteUnderTest) -> None:
        """A remote answers with its successes and failures sorted as it likes; we do not."""
        need(remote, Feature.WRITES, Failure.REJECTED)
        before, after = sample_actions(remote, "before"), sample_actions(remote, "after")
        refused = remote.refused_action("key-refused")
        with connected(remote) as connector:
            answers = outcomes(remote, connector, [*before, refused, *after])
        place = len(before)
        assert isinstance(answers[place], RejectedError), (
            f"RejectedError was due in place {place + 1}, not {answers[place]!r}"
        )
        assert str(answers[place]).strip(), "the error does not say why"
        assert not landed(remote, refused), "an action was refused and landed all the same"
        _assert_receipts([*before, *after], [*answers[:place], *answers[place + 1 :]])
        assert_once(remote, [*before, *after], "beside a refused action")

    def test_applying_twice_is_one_effect(self, remote: RemoteUnderTest) -> None:
        """NATIVE: the remote dedupes by key. LOOKUP: ``find`` tells, so it is not applied again."""
        need(remote, Feature.WRITES)
        for action in sample_actions(remote, "twice"):
            handling = remote.spec.actions[action.kind]
            first = applied(remote, action)
            if handling is KeyHandling.NATIVE:
                second = applied(remote, action)
                assert second.remote_id == first.remote_id, (
                    f"{action.kind} is declared NATIVE, but the second receipt names "
                    f"{second.remote_id}, the first {first.remote_id}"
                )
            elif handling is KeyHandling.LOOKUP:
                found = _found(remote, action.key)
                assert found is not None, (
                    f"{action.kind} is declared LOOKUP, but `find` does not know {action.key}"
                )
                assert found.remote_id == first.remote_id, (
                    f"`find` names {found.remote_id}, the receipt {first.remote_id}"
                )
            assert_once(remote, [action], "after the second time")

    def test_the_same_key_twice_in_a_batch_is_one_effect(self, remote: RemoteUnderTest) -> None:
        """Where the remote dedupes, it does so within a batch as well."""
        need(remote, Feature.WRITES)
        actions = [
            action
            for action in sample_actions(remote, "pair")
            if remote.spec.actions[action.kind] is KeyHandling.NATIVE
        ]
        with connected(remote) as connector:
            answers = outcomes(remote, connector, [*actions, *actions])
        _assert_receipts([*actions, *actions], answers)
        assert_once(remote, actions, "with its key twice in a batch")

    def test_find_tells_only_what_landed(self, remote: RemoteUnderTest) -> None:
        """A key that never landed is missing from the answer; nothing is invented."""
        need(remote, Feature.WRITES)
        actions = [
            action
            for action in sample_actions(remote, "find")
            if remote.spec.actions[action.kind] is not KeyHandling.UNSAFE
        ]
        for action in actions:
            applied(remote, action)
        keys = [action.key for action in actions]
        with connected(remote) as connector:
            found = writer(connector).find([*keys, "key-never-used", "key-"])
            try:
                assert not writer(connector).find([]), "no keys, nothing found"
            except ConnectorError as error:
                raise AssertionError(f"no keys are no reason to fail: {error}") from error
        assert not {"key-never-used", "key-"} & found.keys(), "`find` knows a key that never was"
        for key in keys:
            assert key in found, f"`find` does not know {key}, which landed"
            assert found[key].key == key, f"`find` has the receipt of {found[key].key} for {key}"

    def test_a_crash_after_the_send_is_reconciled(self, remote: RemoteUnderTest) -> None:
        """The effect landed, the answer was lost: never lost, never doubled, never guessed."""
        need(remote, Feature.WRITES, Failure.UNCERTAIN)
        for label in ("lone", "batch"):
            actions = sample_actions(remote, label)
            batches = [actions] if label == "batch" else [[action] for action in actions]
            for batch in batches:
                remote.fail_next(Failure.UNCERTAIN)
                with connected(remote) as connector:
                    answers = outcomes(remote, connector, batch)
                assert any(landed(remote, action) for action in batch), (
                    "fail_next(UNCERTAIN) let nothing land, so it shows nothing"
                )
                for action, answer in zip(batch, answers, strict=True):
                    _reconcile(remote, action, answer)

    def test_hostile_text_lands_as_it_is(self, remote: RemoteUnderTest) -> None:
        """What people and customers wrote arrives as they wrote it, in every field."""
        need(remote, Feature.WRITES)
        for number, (name, text) in enumerate(hostile_texts(remote.longest_text).items()):
            actions = sample_actions(remote, f"hostile{number}", text)
            with connected(remote) as connector:
                _assert_receipts(actions, outcomes(remote, connector, actions))
            assert_once(remote, actions, f"as the text “{name}”")

    def test_control_characters_land_or_are_refused(self, remote: RemoteUnderTest) -> None:
        """What a remote cannot hold is refused by name; it is no reason to break down."""
        need(remote, Feature.WRITES)
        for number, text in enumerate(("a\x00b", "a\x1b[31mb\x07", "half a character: \ud800")):
            for action in sample_actions(remote, f"control{number}"):
                hostile = remote.action(action.kind, action.key, text, f"control{number}-x")
                if isinstance(hostile, UpdateFields) and isinstance(action, UpdateFields):
                    hostile = replace(hostile, record=action.record)
                answer = apply_one(remote, hostile)
                assert isinstance(answer, Receipt | RejectedError), (
                    f"{text!r} in a {action.kind} was answered by {answer!r}"
                )
                if isinstance(answer, Receipt):
                    assert_once(remote, [hostile], f"with {text!r}")

    def test_a_full_batch_lands(self, remote: RemoteUnderTest) -> None:
        """The declared batch size is one that the remote takes."""
        need(remote, Feature.WRITES)
        for kind in (kind for kind in MAKING if kind in remote.spec.actions):
            abouts = [f"full-{kind.value}-{i}" for i in range(_full_batch(remote))]
            if kind is ActionKind.UPDATE:
                remote.put([SampleRecord(id=a, changed_at=START, text="as it was") for a in abouts])
            actions = [remote.action(kind, f"key-{about}", "plain", about) for about in abouts]
            with connected(remote) as connector:
                _assert_receipts(actions, outcomes(remote, connector, actions))
            assert_once(remote, actions, f"in a batch of {len(actions)}")

    def test_line_breaks_never_become_headers(self, remote: RemoteUnderTest) -> None:
        """A header with a line break is refused, or lands as one line; it injects nothing."""
        need(remote, Feature.WRITES)
        mails = [a for a in sample_actions(remote, "inject") if isinstance(a, SendEmail)]
        for mail in mails:
            for number, (name, hostile) in enumerate(_with_line_breaks(mail)):
                action = replace(hostile, key=f"{mail.key}-{number}")
                answer = apply_one(remote, action)
                effects = landed(remote, action)
                assert isinstance(answer, Receipt | RejectedError), (
                    f"a line break in {name} was answered by {answer!r}"
                )
                assert len(effects) == isinstance(answer, Receipt), (
                    f"a line break in {name} was answered by {answer!r}, "
                    f"but landed {len(effects)} times"
                )
                for effect in effects:
                    headers = {header.lower() for header in effect.headers}
                    assert INJECTED.lower() not in headers, f"{name} injected a header"
                    subject = effect.texts["subject"]
                    assert not {"\r", "\n"} & set(subject), "a subject landed with a line break"

    def test_undeclared_kinds_are_refused(self, remote: RemoteUnderTest) -> None:
        """A kind of action that the spec does not name is refused, not half understood."""
        need(remote, Feature.WRITES)
        for kind in ActionKind:
            if kind not in remote.spec.actions:
                action = remote.action(kind, f"key-undeclared-{kind.value}", "plain", "r1")
                answer = apply_one(remote, action)
                assert isinstance(answer, RejectedError), (
                    f"{kind} is not declared, but was answered by {answer!r}"
                )
                assert not landed(remote, action), f"{kind} is not declared, but landed"

    def test_an_update_yields_to_what_people_changed(self, remote: RemoteUnderTest) -> None:
        """Where the record no longer holds what the decision was based on, it stays as it is."""
        need(remote, Feature.WRITES, Feature.COMPARES)
        if ActionKind.UPDATE not in remote.spec.actions:
            pytest.skip("the spec names no updates")
        answer, effects = stale_update(remote)
        assert isinstance(answer, RejectedError), f"RejectedError was due, not {answer!r}"
        assert not effects, "an update overwrote what somebody else had changed"
        update = _update(remote, "fresh", expected="as it was")
        applied(remote, update)
        assert_once(remote, [update], "with the expected value in place")


def _full_batch(remote: RemoteUnderTest) -> int:
    return min(remote.spec.batch_size, _MOST_ACTIONS)


def _update(remote: RemoteUnderTest, about: str, *, expected: str) -> UpdateFields:
    remote.put([SampleRecord(id=about, changed_at=START, text="as it was")])
    update = remote.action(ActionKind.UPDATE, f"key-{about}", "by the rule", about)
    assert isinstance(update, UpdateFields), "action(UPDATE) makes an UpdateFields"
    return replace(update, expected={remote.text: expected})


def stale_update(remote: RemoteUnderTest) -> tuple[Receipt | ConnectorError, Sequence[object]]:
    """The answer to an update that was decided on an old value, and what it left."""
    update = _update(remote, "stale", expected="as it once was")
    answer = apply_one(remote, update)
    return answer, [
        effect
        for effect in landed(remote, update)
        if effect.texts.get(remote.text) == "by the rule"
    ]


def _found(remote: RemoteUnderTest, key: str) -> Receipt | None:
    with connected(remote) as connector:
        return writer(connector).find([key]).get(key)


def _assert_receipts(
    actions: Sequence[Action], answers: Sequence[Receipt | ConnectorError]
) -> None:
    for place, (action, answer) in enumerate(zip(actions, answers, strict=True), start=1):
        assert isinstance(answer, Receipt), f"a sound {action.kind} was refused: {answer!r}"
        assert answer.key == action.key, (
            f"the answer in place {place} is for {answer.key}, not for {action.key}"
        )
        assert answer.remote_id, f"the receipt for {action.key} does not name what was made"


def _reconcile(remote: RemoteUnderTest, action: Action, answer: Receipt | ConnectorError) -> None:
    """Do as delivery does with what is uncertain, and see that the action has landed once."""
    after = "after a crash and its reconciliation"
    handling = remote.spec.actions[action.kind]
    if isinstance(answer, Receipt):
        assert_once(remote, [action], "with a receipt although the connection broke")
        return
    if isinstance(answer, TransientError) and not landed(remote, action):
        # It was not on its way yet when the connection broke, and the connector knows.
        applied(remote, action)
        assert_once(remote, [action], after)
        return
    assert isinstance(answer, UncertainError), (
        f"the effect may have landed: UncertainError was due, not {answer!r}"
    )
    if handling is KeyHandling.NATIVE:
        applied(remote, action)
        assert_once(remote, [action], after)
    elif handling is KeyHandling.LOOKUP:
        if _found(remote, action.key) is None:
            applied(remote, action)
        assert_once(remote, [action], after)
    else:
        # Nobody can know, so nobody tries again; the connector must not have either.
        assert len(landed(remote, action)) <= 1, f"{action.kind} landed twice after a crash"


def _with_line_breaks(mail: SendEmail) -> list[tuple[str, SendEmail]]:
    tail = f"\r\n{INJECTED}: yes"
    return [
        ("the subject", replace(mail, subject=mail.subject + tail)),
        ("the subject", replace(mail, subject=f"{mail.subject}\n{INJECTED}: yes")),
        ("the subject", replace(mail, subject=f"{mail.subject}\r{INJECTED}: yes")),
        ("the sender", replace(mail, sender=f"Ada{tail} <ada@example.com>")),
        ("the recipient", replace(mail, recipient=f"Bo{tail} <bo@example.com>")),
        ("a header", replace(mail, headers={"X-Topic": f"renewal{tail}"})),
        ("a header's name", replace(mail, headers={f"X-Topic: a{tail}\r\nX-Rest": "b"})),
    ]
