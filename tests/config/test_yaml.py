from __future__ import annotations

import pytest
import yaml

from crmsync.config import yaml as reading
from crmsync.config.yaml import nearest, parse_yaml
from crmsync.errors import InvalidInputError


@pytest.fixture(params=[yaml.CSafeLoader, yaml.SafeLoader], ids=["libyaml", "python"], autouse=True)
def _both_parsers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_Parser", request.param)


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


# Each slip of the keyboard, where it is looked for, and what it is told.
SLIPS = [
    (
        "rule: a\nwhen:\n\t- tier: x\n",
        "3:1: a tab stands here; YAML is indented with spaces only, so replace it by spaces",
    ),
    (
        "when:\n  - a: x\n\t- b: x\n\t- c: x\n",
        (
            "3:1: a tab stands here (and in 1 other line); "
            "YAML is indented with spaces only, so replace it by spaces"
        ),
    ),
    (
        'rule: a\ndescription: "abc\nsubject: account\n',
        '2:14: the quote that opens here is never closed; end the text with "',
    ),
    (
        "rule: a\ndescription: 'it is\nsubject: account\n",
        "2:14: the quote that opens here is never closed; end the text with '",
    ),
    (
        "when: [{tier: x}\nthen: []\n",
        (
            "1:7: the “[” that opens here is not closed by “]”, "
            "or a comma is missing before line 2, column 1"
        ),
    ),
    (
        "when:\n  - tier: {is: x\n  - b: c\n",
        (
            "2:11: the “{” that opens here is not closed by “}”, "
            "or a comma is missing before line 3, column 6"
        ),
    ),
    ("description: a: b\n", '1:14: a text with “: ” in it needs quotes: "a: b"'),
    (
        "subject: {{ account.name }} is near\n",
        '1:10: a text that begins with “{{” needs quotes: "{{ account.name }} is near"',
    ),
    (
        "subject: {{ name }}\n",
        "1:11: a key must be a plain word; a text that begins with “{{” needs quotes",
    ),
    ("to: @owner\n", '1:5: a text that begins with “@” needs quotes: "@owner"'),
    ("a: %x\n", '1:4: a text that begins with “%” needs quotes: "%x"'),
    ("a: * x\n", '1:4: a text that begins with “*” needs quotes: "* x"'),
    (
        "a: *x\n",
        (
            "1:4: “*x” repeats what “&x” marks, and nothing does; "
            "a text that begins with “*” needs quotes"
        ),
    ),
    ("a: &x [*x]\n", "1:8: “*x” stands within “&x”, which it repeats: no end"),
    (
        "when:\n  - a: b\n c: d\n",
        (
            "3:2: this line is indented by 1 space, which fits none of the lines above; "
            "give it the indentation of those it belongs to"
        ),
    ),
    (
        "rule: a\n  subject: b\n",
        (
            "2:3: this line is indented deeper than line 1, which has a value already; "
            "begin both at the same column"
        ),
    ),
    (
        "rule a\nsubject: b\n",
        "1:1: “rule a” is no “key: value”; a colon is missing, or a quote around a text",
    ),
    ("rule:a\nsubject: b\n", "1:1: a space is missing behind the colon; write “rule: a”"),
    (
        "- !!python/x 1\n",
        (
            "1:3: what begins with “!” is a tag, and none are used here; "
            "leave it out, or put the text in quotes"
        ),
    ),
    ("a: 1\n---\nb: 2\n", "2:1: a second document begins here, and a file holds one"),
    (
        "a: x\x07y\n",
        "1:5: an invisible character (U+0007) stands here; delete it, or write the line again",
    ),
    (
        'a: "x" y\n',
        (
            "1:8: “y” stands behind a text that has ended; "
            "a quote was closed too early or opened too late, perhaps in an earlier line"
        ),
    ),
    ("a: [x,,y]\n", "1:7: a value is missing here before “,”"),
    ("a: ? b\n", '1:4: a text that begins with “?” needs quotes: "? b"'),
    ("a: |x\n  b\n", "1:4: behind “|” the text begins on the next line, indented"),
    (": a\n", "1:1: a key is missing before “:”"),
    (
        "a: &x {b: 1}\nc: {<<: *x}\n",
        "2:5: “<<” is not known in YAML 1.2; write the keys out",
    ),
    ("a: - b\n", "1:4: a list begins on a line of its own; write “-” below its key"),
]


@pytest.mark.parametrize(("text", "sentence"), SLIPS)
def test_a_slip_is_told_where_it_is_with_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_yaml(text, "x.yaml")
    assert caught.value.problems == (f"x.yaml:{sentence}",)


def test_a_backslash_within_double_quotes() -> None:
    with pytest.raises(InvalidInputError, match=r"use single quotes, or write “.*d”"):
        parse_yaml('a: "\\d+"\n', "x.yaml")


def test_no_sentence_has_the_words_of_a_parser() -> None:
    for text, _ in SLIPS:
        with pytest.raises(InvalidInputError) as caught:
            parse_yaml(text, "x.yaml")
        said = str(caught.value)
        words = ("token", "scalar", "block", "flow", "mapping values", "node", "expected", "anchor")
        assert [word for word in words if word in said] == []


def test_repeated_parts_have_the_place_where_they_were_written() -> None:
    document = parse_yaml("a: &x\n  - tier: gold\nb: *x\n", "x.yaml")
    assert document.data == {"a": [{"tier": "gold"}], "b": [{"tier": "gold"}]}
    assert str(document.place(("b", 0, "tier"))) == "x.yaml:2:11"
    assert str(document.key_place(("b", 0, "tier"))) == "x.yaml:2:5"
    assert str(document.key_place(("b",))) == "x.yaml:3:1"


def test_an_alias_that_unfolds_to_too_much_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    with pytest.raises(InvalidInputError, match="unfold to more than 10,000 values"):
        parse_yaml("\n".join(lines), "x.yaml")


def test_the_nearest_name_is_offered_else_the_few_that_there_are() -> None:
    assert nearest("renewl_date", ["renewal_date", "tier"]) == "; did you mean “renewal_date”?"
    assert nearest("zzz", ["b", "a"]) == "; known here: a, b"
    assert nearest("zzz", [f"field_{i}" for i in range(20)]) == ""
