from __future__ import annotations

import pytest

from crmsync.config.yaml import nearest, parse_yaml
from crmsync.errors import InvalidInputError


def test_only_true_and_false_are_booleans() -> None:
    data = parse_yaml("a: [on, off, yes, no, y, true, False]", "x.yaml").data
    assert data == {"a": ["on", "off", "yes", "no", "y", True, False]}


def test_numbers_are_those_of_yaml_1_2_and_dates_stay_text() -> None:
    data = parse_yaml("a: [010, 1_000, 12:30, 1e3, -1.5, 2026-01-01, 0x1f]", "x.yaml").data
    assert data == {"a": [10, "1_000", "12:30", 1000.0, -1.5, "2026-01-01", "0x1f"]}


def test_every_value_and_key_has_its_place() -> None:
    document = parse_yaml("rule: x\nwhen:\n  - tier:  gold\n", "rules/x.yaml")
    assert str(document.place(("when", 0, "tier"))) == "rules/x.yaml:3:12"
    assert str(document.key_place(("when", 0, "tier"))) == "rules/x.yaml:3:5"
    assert str(document.place(("when", 0, "missing"))) == "rules/x.yaml:3:5"


def test_all_duplicate_keys_are_named_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\n", "x.yaml")
    assert caught.value.problems == (
        "x.yaml:2:1: “a” stands twice here",
        "x.yaml:3:11: “c” stands twice here",
    )


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\tx: 1", "a: &x [*x]", "- !!python/x 1"])
def test_what_is_no_yaml_is_told_with_its_place(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_yaml(text, "x.yaml")
    assert all(problem.startswith("x.yaml:1:") for problem in caught.value.problems)


def test_an_alias_that_unfolds_to_too_much_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    with pytest.raises(InvalidInputError, match="unfold to more than 10,000 values"):
        parse_yaml("\n".join(lines), "x.yaml")


def test_the_nearest_name_is_offered_else_the_few_that_there_are() -> None:
    assert nearest("renewl_date", ["renewal_date", "tier"]) == "; did you mean “renewal_date”?"
    assert nearest("zzz", ["b", "a"]) == "; known here: a, b"
    assert nearest("zzz", [f"field_{i}" for i in range(20)]) == ""
