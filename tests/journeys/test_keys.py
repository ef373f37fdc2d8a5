from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crmsync.journeys.keys import effect_key, message_id, once_key, once_paths, running_key
from crmsync.ledger.values.enrolments import EnrolmentRef
from crmsync.model import own_mail

text = st.text(max_size=40)


def ref(rule: str = "renewal-at-risk", subject: str = "crm:1", key: str = "k") -> EnrolmentRef:
    return EnrolmentRef(rule=rule, subject=subject, key=key)


def test_a_key_never_changes_between_versions_of_crmsync() -> None:
    # Keys of effects that were sent lie in CRMs: another derivation would send them again.
    key = effect_key(ref(key=running_key("crm:1", 1)), "mail")
    assert key == "renewal-at-risk-5a379b895b787c6a23072d185e79a2294b4c01ee"


@given(rule=text, subject=text, key=text, step=text)
@example(rule="../../etc/passwd", subject="a/b", key="\x00", step="CON")
@example(rule="Ünïcode — 顧客", subject="\ud800", key="", step="")
def test_a_key_is_short_and_safe_whatever_it_is_made_from(
    rule: str, subject: str, key: str, step: str
) -> None:
    made = effect_key(ref(rule, subject, key), step)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,79}", made)
    assert made == effect_key(ref(rule, subject, key), step)


@given(st.lists(st.tuples(text, text, text, text), min_size=2, max_size=6, unique=True))
@example([("a", "b", "c", "d"), ("a", "b", "cd", "")])
@example([("a", 'b", "c', "", "d"), ("a", "b", "c", "d")])
def test_different_things_have_different_keys(parts: list[tuple[str, str, str, str]]) -> None:
    keys = {effect_key(ref(rule, subject, key), step) for rule, subject, key, step in parts}
    assert len(keys) == len(parts)


def test_a_once_key_names_its_paths_in_a_fixed_order() -> None:
    one = once_key(("renewal_date", "account"), ("2026-05-01", "crm:1"))
    assert one == once_key(("account", "renewal_date"), ("crm:1", "2026-05-01"))
    assert once_paths(one) == {"account", "renewal_date"}
    assert once_paths(running_key("crm:1", 3)) == frozenset()


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("hello@acme.example", "acme.example"),
        ('"Ann, of Acme" <ann@Sales.ACME.example>', "sales.acme.example"),
        ("Ann <ann@bücher.example>", "xn--bcher-kva.example"),
    ],
)
def test_a_message_id_is_derived_from_key_and_sender(sender: str, domain: str) -> None:
    key = effect_key(ref(), "mail")
    made = message_id(key, sender)
    left, _, right = made.partition("@")
    assert right == domain
    assert left == f"crmsync.{key.rpartition('-')[2]}"
    assert re.match(own_mail.PATTERN, made)
    assert made == message_id(key, sender)


def test_a_sender_without_a_domain_is_refused() -> None:
    with pytest.raises(ValueError, match="“Ann” is no e-mail address"):
        message_id("key-1", "Ann")


@pytest.mark.parametrize("sender", ["jo@", "jo@ü..x", "jo@x..y", "jo@.example", "", "jo@\udcff.x"])
def test_an_odd_sender_is_refused_in_a_sentence(sender: str) -> None:
    with pytest.raises(ValueError, match="is no e-mail address"):
        message_id("key-1", sender)


@given(text)
def test_whatever_the_sender_a_message_id_can_stand_in_a_mail_or_is_refused(domain: str) -> None:
    try:
        made = message_id("key-1", f"jo@{domain}")
    except ValueError:
        return
    assert made.isascii()
    assert made.count("@") == 1
    assert not any(character.isspace() or character in "<>" for character in made)
