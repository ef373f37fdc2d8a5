"""Rules that keep others silent are resolved by name and label, and never in a circle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crmsync.errors import InvalidInputError
from crmsync.rules.inhibition import inhibitors
from rules.rules_world import rules_from

_RULE = """\
rule: {name}
subject: account
{more}
when: [{{tier: gold}}]
then:
  - note: {{text: Look}}
"""
_PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


def _read(folder: Path, **rules: str) -> dict[str, set[str]]:
    folder.mkdir(exist_ok=True)
    texts = {name: _RULE.format(name=name, more=more) for name, more in rules.items()}
    return {
        name: set(others)
        for name, others in inhibitors(rules_from(folder, texts).rules).items()
        if others
    }


@pytest.mark.parametrize("listed", ["[b, c]", "[c, b]", "others"])
def test_both_keys_name_rules_and_labels(tmp_path: Path, listed: str) -> None:
    others = {"b": "labels: others", "c": "labels: [others, more]"}
    expected = {"b": {"a"}, "c": {"a"}}
    assert _read(tmp_path / "1", a=f"inhibits: {listed}", **others) == expected
    assert _read(tmp_path / "2", a=f"inhibited_by: {listed}", **others) == {"a": {"b", "c"}}
    nobody = {"b": "labels: others\ninhibited_by: a", "c": "labels: more\ninhibited_by: [a]"}
    assert _read(tmp_path / "3", a="", **nobody) == expected


def test_a_rule_does_not_inhibit_itself_by_a_label_of_its_own(tmp_path: Path) -> None:
    own = "labels: onboarding\ninhibits: onboarding"
    assert _read(tmp_path, a=own, b="labels: onboarding") == {"b": {"a"}}


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ("inhibits: bee", "", r"there is no rule and no label “bee”"),
        ("inhibited_by: [markteing]", "labels: marketing", r"did you mean “marketing”\?"),
        ("inhibits: 7", "", r"“inhibits” names rules or labels, and not “7”"),
        ("inhibits: b", "inhibits: a", r"none of them would act: (a → b → a|b → a → b)"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(
    tmp_path: Path, a: str, b: str, sentence: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        _read(tmp_path, a=a, b=b)
    (problem,) = caught.value.problems
    assert re.search(r":3:\d+: ", problem)
    assert re.search(sentence, problem)


@pytest.mark.parametrize("snippet", re.findall(r"```yaml\n#.*\n(inhib.*)\n```", _PAGE))
def test_the_snippets_of_the_page_are_read(tmp_path: Path, snippet: str) -> None:
    names = {"renewal-at-risk": "", "quiet-champion": "labels: marketing"}
    assert _read(tmp_path, **names, a=snippet)
