"""Links out of commercial mail: nobody can read them, make them up or change them."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.app.links import UnsubscribeLinks
from crmsync.errors import AuthError

OLD, NEW = "the secret of the year before this one", "the secret of this year, which is another"
LINKS = UnsubscribeLinks("https://crm.example.com/mail", [NEW])


def token(address: str, links: UnsubscribeLinks = LINKS) -> str:
    start = "https://crm.example.com/mail/unsubscribe/"
    url = links.url(address)
    assert url.startswith(start)
    return url.removeprefix(start)


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=254))
def test_a_link_leads_back_to_its_address_and_is_always_the_same(address: str) -> None:
    assert LINKS.address(token(address)) == address
    assert token(address) == token(address)


def test_it_reveals_nothing_not_even_how_long_the_address_is() -> None:
    one, other = token("a@b.example"), token("someone.with.a.longer.name@company.example")
    assert len(one) == len(other)
    for word in (b"a@b", b"example", b"longer"):
        assert word not in raw(one) + raw(other)
        assert urlsafe_b64encode(word).rstrip(b"=").decode() not in one + other


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_was_changed_is_none_of_ours(data: st.DataObject) -> None:
    good = token("ann@acme.example")
    at = data.draw(st.integers(0, len(good)))
    kept = at + data.draw(st.integers(0, 3))
    changed = good[:at] + data.draw(st.text("Ab-_9=%é\0", max_size=4)) + good[kept:]
    assert LINKS.address(changed) == ("ann@acme.example" if changed == good else None)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=2000) | st.binary(max_size=300).map(lambda b: urlsafe_b64encode(b).decode())
)
def test_what_was_made_up_is_none_of_ours(made_up: str) -> None:
    assert LINKS.address(made_up) is None


def test_every_bit_of_it_counts() -> None:
    sealed = raw(token("ann@acme.example"))
    for position in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[position // 8] ^= 1 << position % 8
        assert LINKS.address(urlsafe_b64encode(flipped).rstrip(b"=").decode()) is None


def test_links_of_an_earlier_secret_go_on_working() -> None:
    base = "https://crm.example.com/mail"
    before = token("ann@acme.example", UnsubscribeLinks(base, [OLD]))
    assert LINKS.address(before) is None
    both = UnsubscribeLinks(base, [NEW, OLD])
    assert both.address(before) == "ann@acme.example"
    assert token("ann@acme.example", both) == token("ann@acme.example")


def test_a_short_secret_keeps_nobody_out() -> None:
    with pytest.raises(AuthError, match="at least 32 characters"):
        UnsubscribeLinks("https://crm.example.com", ["short"])
