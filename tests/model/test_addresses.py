from __future__ import annotations

import pytest

from crmsync.model.addresses import bare_address, readable, without_name


@pytest.mark.parametrize(
    "spelling",
    [
        "ann@bücher.example",
        "Ann@Bücher.example",
        "ann@xn--bcher-kva.example",
        "ANN@XN--BCHER-KVA.EXAMPLE",
        "ann@bu\u0308cher.example",
        " Ann Lee <ann@xn--bcher-kva.example> ",
        '"Lee, Ann" <ann@bücher.example>',
    ],
)
def test_one_address_has_one_spelling(spelling: str) -> None:
    assert bare_address(spelling) == "ann@bücher.example"


def test_what_is_no_international_domain_stays() -> None:
    assert readable("a@xn--.example b@xn--zzzzzzzz99999.example") == (
        "a@xn--.example b@xn--zzzzzzzz99999.example"
    )


@pytest.mark.parametrize(
    "text",
    ["a@x.example; b@x.example", "Ann <", "a@x.example, b@x.example", "ann(at)x.example", ""],
)
def test_what_is_not_one_address_stays(text: str) -> None:
    assert without_name(text) == text
