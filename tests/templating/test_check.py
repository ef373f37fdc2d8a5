from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.config.yaml import Place
from crmsync.model.catalog import Catalog, FactSpec
from crmsync.model.tables import CANONICAL_TABLES, FieldType

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.templating.templates import Templates

    Make = Callable[[dict[str, str]], Templates]

FRONT = "---\nsubject: Hello\n---\n"
CATALOG = Catalog(
    tables=CANONICAL_TABLES,
    facts=(
        FactSpec(
            name="last_contact", table="account", type=FieldType.INSTANT, description="The latest."
        ),
    ),
)
VARIABLES = {"account": "account", "contact": "contact", "owner": "user", "today": None}


def check(templates: Templates) -> list[str]:
    return templates.check(["t"], VARIABLES, CATALOG)


def test_nothing_to_say_of_what_is_right(make_templates: Make) -> None:
    body = (
        "{{ account.name }} {{ account.owner.manager.name }} {{ account.last_contact | date }}\n"
        "{% set greeting = contact.first_name %}{{ greeting.anything }}\n"
        "{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}\n"
        "{% macro line(x) %}{{ x.y }}{% endmacro %}{{ line(account) }}\n"
        "{% if deal is defined %}{{ 1 }}{% endif %}\n"
        "{{ company.postal_address }} {{ locale }} {{ 'x' | shout }}\n"
        '{% include "_part.txt" %}'
    )
    templates = make_templates({"t.txt": FRONT + body, "_part.txt": "{{ owner.name }}"})
    assert check(templates) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("x {{ acount.name }}", "4:6: “acount” is not known here; did you mean “account”?"),
        ("{{ contact.frist_name }}", "4:12: contact has no field “frist_name”; did you mean"),
        ("{{ account.owner.emial }}", "4:18: user has no field “emial”; did you mean “email”?"),
        ("{{ account.tickets }}", "4:12: account has no field “tickets”"),
        ("{{ company.adress }}", "4:12: company has no field “adress”"),
        ("{{ account.name | uper }}", "4:19: there is no filter “uper”; did you mean “upper”?"),
        ("{% if 1 is evn %}{% endif %}", "4:12: there is no test “evn”; did you mean “even”?"),
        ('{% include "_gone.txt" %}', "4:13: there is no file “_gone.txt” in the templates"),
        ('{% include "../x.txt" %}', "4:13: there is no file “../x.txt” in the templates"),
        ("a\n{% if x %}", "5:1: "),
        ("{{ account.name | default(contact.frist_name) }}", "4:35: contact has no field"),
    ],
)
def test_mistakes_have_a_place(make_templates: Make, body: str, problem: str) -> None:
    found = check(make_templates({"t.txt": FRONT + body}))
    assert found
    assert found[0].startswith(f"templates/t.txt:{problem}")


def test_every_part_variant_and_include_is_checked(make_templates: Make) -> None:
    files = {
        "t.txt": "---\nsubject: '{{ a }}'\nrequires: [contact.nme, 'x y']\n---\n{{ b }}",
        "t.html": "{{ c }}",
        "t.de.txt": FRONT + '{{ d }}{% include "_part.txt" %}',
        "_part.txt": "\n{{ e }}",
    }
    found = check(make_templates(files))
    assert sorted(sentence.partition("; ")[0] for sentence in found) == [
        "templates/_part.txt:2:4: “e” is not known here",
        "templates/t.de.txt:4:4: “d” is not known here",
        "templates/t.html:1:4: “c” is not known here",
        "templates/t.txt:2:10: “a” is not known here",
        "templates/t.txt:3:12: contact has no field “nme”",
        "templates/t.txt:3:25: “x y” is not a path",
        "templates/t.txt:5:4: “b” is not known here",
    ]


def test_what_is_no_template(make_templates: Make) -> None:
    templates = make_templates({"t.txt": "no front matter", "renewal/check-in.txt": FRONT})
    assert check(templates)[0].startswith("templates/t.txt:1:1: this needs a front matter")
    assert templates.check(["renewal/checkin"], VARIABLES, CATALOG) == [
        "there is no template “renewal/checkin”; did you mean “renewal/check-in”?"
    ]


def test_a_text_in_a_rule_has_the_rules_place(make_templates: Make) -> None:
    templates = make_templates({"_x.txt": ""})
    place = Place(file="rules/r.yaml", line=7, column=9)

    def found(text: str) -> list[str]:
        return templates.check_inline(text, place, VARIABLES, CATALOG)

    assert found("Call {{ account.name }}") == []
    assert found("Call {{ account.nam }}") == [
        "rules/r.yaml:7:9: account has no field “nam”; did you mean “name”?"
    ]
    assert found("{{ account.name")[0].startswith("rules/r.yaml:7:9: ")
    assert found('{% include "_x.txt" %}') == [
        "rules/r.yaml:7:9: a text in a rule cannot take in files"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{% if 1 %}" * 3000,
        "{{ account" + ".a" * 20_000 + " }}",
        "{{ 1" + " | upper" * 20_000 + " }}",
    ],
    ids=["brackets", "blocks", "fields", "filters"],
)
def test_what_nests_without_measure_is_told(make_templates: Make, text: str) -> None:
    templates = make_templates({"a.txt": "---\nsubject: x\n---\n" + text})
    place = Place(file="rules/r.yaml", line=7, column=9)
    told = "nest too deep in this template"
    (inline,) = templates.check_inline(text, place, {"account": "account"}, CATALOG)
    assert inline.startswith("rules/r.yaml:7:9: ")
    assert told in inline
    (in_file,) = templates.check(["a"], {"account": "account"}, CATALOG)
    assert told in in_file
