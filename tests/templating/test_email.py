from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import InvalidInputError
from crmsync.templating.records import Record
from crmsync.templating.templates import RenderedEmail, Skip, Templates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[[dict[str, str]], Templates]

FRONT = "---\nsubject: Hello\n---\n"


def rendered(
    templates: Templates, context: dict[str, Any], locale: str | None = "en_GB"
) -> RenderedEmail:
    mail = templates.email("t", context, locale, "Europe/Zurich")
    assert isinstance(mail, RenderedEmail)
    return mail


def failure(templates: Templates, context: dict[str, Any], locale: str | None = None) -> str:
    with pytest.raises(InvalidInputError) as caught:
        templates.email("t", context, locale, None)
    return str(caught.value)


def test_text_is_plain_and_html_is_escaped(make_templates: Make, context: dict[str, Any]) -> None:
    templates = make_templates(
        {"t.txt": FRONT + "{{ account.name }}", "t.html": "<p>{{ account.name }}</p>"}
    )
    mail = rendered(templates, context)
    assert mail.text == "Müller & Söhne\n"
    assert mail.html == "<p>Müller &amp; Söhne</p>\n"
    assert mail.email_class == "commercial"
    assert mail.locale == "en_GB"


def test_a_value_is_never_read_as_a_template(make_templates: Make, context: dict[str, Any]) -> None:
    context["contact"] = Record("contact", {"first_name": "{{ 7 * 7 }}<script>"})
    templates = make_templates(
        {"t.txt": FRONT + "{{ contact.first_name }}", "t.html": "{{ contact.first_name }}"}
    )
    mail = rendered(templates, context)
    assert mail.text == "{{ 7 * 7 }}<script>\n"
    assert mail.html == "{{ 7 * 7 }}&lt;script&gt;\n"


def test_a_subject_is_one_line(make_templates: Make, context: dict[str, Any]) -> None:
    hostile = "Zoë\r\nBcc: everyone@example.com\u2028\x00\x85x"
    context["contact"] = Record("contact", {"first_name": hostile})
    templates = make_templates({"t.txt": '---\nsubject: "Hello {{ contact.first_name }}"\n---\nx'})
    assert rendered(templates, context).subject == "Hello Zoë Bcc: everyone@example.com x"


def test_what_is_required_and_missing_skips(make_templates: Make, context: dict[str, Any]) -> None:
    files = {"t.txt": "---\nsubject: x\nrequires: [contact.first_name, owner.name]\n---\nx"}
    templates = make_templates(files)
    assert isinstance(templates.email("t", context, None, None), RenderedEmail)
    for nothing in (None, "", "  "):
        context["contact"] = Record("contact", {"first_name": nothing})
        assert templates.email("t", context, None, None) == Skip(
            reason="contact.first_name is empty"
        )
    context["contact"] = None
    assert templates.email("t", context, None, None) == Skip(reason="contact is empty")


def test_a_misspelt_requirement_is_an_error_not_a_skip(
    make_templates: Make, context: dict[str, Any]
) -> None:
    templates = make_templates({"t.txt": "---\nsubject: x\nrequires: [contact.frist_name]\n---\nx"})
    assert failure(templates, context) == (
        "templates/t.txt:3:11: contact has no field “frist_name”; did you mean “first_name”?"
    )


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("a\nb {{ acount.name }}", "5:6: “acount” is not known here; did you mean “account”?"),
        (
            "{{ account.nmae }}",
            "4:12: account has no field “nmae”; did you mean “name”?",
        ),
        (
            "Hi {{ account.industry }}",
            (
                "4:7: account.industry is empty; list it under “requires”, "
                "or give account.industry a “| default(…)”"
            ),
        ),
        (
            "{{ account.parent.name }}",
            (
                "4:4: account.parent is empty; list it under “requires”, "
                "or give account.parent.name a “| default(…)”"
            ),
        ),
        ("{{ account }}", "4:1: account is a whole record; name one of its fields"),
        (
            '{{ account.nmae | default("x") }}',
            "4:12: account has no field “nmae”; did you mean “name”?",
        ),
        ("{% if account.nmae %}x{% endif %}", "4:15: account has no field “nmae”"),
        ("{{ account.industry | date }}", "4:4: account.industry is empty"),
        ("{{ account.name | date }}", "4:1: “| date” needs a date, and was given"),
        ("{{ account.do_not_contact }}", "4:12: account has no field “do_not_contact”"),
        ("{{ 1 == 1 }}", "4:1: this is true or false, not a text"),
        ("{{ 1 / 0 }}", "4:1: this cannot be worked out: division by zero"),
    ],
)
def test_mistakes_are_sentences_with_their_place(
    make_templates: Make, context: dict[str, Any], body: str, sentence: str
) -> None:
    templates = make_templates({"t.txt": FRONT + body})
    assert failure(templates, context).startswith(f"templates/t.txt:{sentence}")


def test_empty_values_can_be_asked_for(make_templates: Make, context: dict[str, Any]) -> None:
    body = (
        '{{ account.industry | default("your field") }}'
        "{% if account.industry %}wrong{% endif %}"
        "{% if account.industry is none %} none{% endif %}"
        '{% if account.industry == "x" %}wrong{% endif %}'
        "{% if not account.parent.owner.name %} no parent{% endif %}"
        '{{ account.parent.name | default(" alone") }}'
        '{{ 0 | default(" none", true) }}{{ 0 | default("wrong") }}'
    )
    templates = make_templates({"t.txt": FRONT + body})
    assert rendered(templates, context).text == "your field none no parent alone none0\n"


def test_lines_stay_whole(make_templates: Make, context: dict[str, Any]) -> None:
    body = (
        "A\n{% if account.name %}\nB {% if 1 %}C{% endif %}\nD\n{% endif %}\n"
        '{% include "_signature.txt" %}\nE\n'
    )
    templates = make_templates({"t.txt": FRONT + body, "_signature.txt": "-- {{ sender.name }}\n"})
    assert rendered(templates, context).text == "A\nB C\nD\n-- Ann Meier\nE\n"


@pytest.mark.parametrize(
    ("locale", "first_word"),
    [
        ("de_CH", "Grüezi"),
        ("de-CH", "Grüezi"),
        ("de_AT", "Servus"),
        ("de", "Servus"),
        ("fr_FR", "Hello"),
        ("", "Hello"),
        (None, "Hello"),
        ("nonsense!", "Hello"),
    ],
)
def test_the_closest_variant_is_taken(
    make_templates: Make, context: dict[str, Any], locale: str | None, first_word: str
) -> None:
    base = "---\nsubject: x\nclass: service\nrequires: [contact.first_name]\n---\n"
    templates = make_templates(
        {
            "t.txt": base + "Hello",
            "t.html": "<p>Hello</p>",
            "t.de.txt": FRONT + "Servus",
            "t.de_CH.txt": FRONT + "Grüezi",
            "t.de_CH.html": "<p>Grüezi</p>",
        }
    )
    mail = rendered(templates, context, locale)
    assert mail.text == f"{first_word}\n"
    # Never an English HTML part beside a German text.
    assert mail.html == {"Servus": None}.get(first_word, f"<p>{first_word}</p>\n")
    assert mail.email_class == "service"
    context["contact"] = None
    assert isinstance(templates.email("t", context, locale, None), Skip)


@pytest.mark.parametrize(
    ("locale", "written"),
    [
        ("en_GB", "13 Mar 2026"),
        ("en_US", "Mar 13, 2026"),
        ("fr_FR", "Mar 13, 2026"),  # an English text, so no French date in it
        ("de_CH", "13.03.2026"),
    ],
)
def test_values_are_written_in_the_language_of_the_text(
    make_templates: Make, context: dict[str, Any], locale: str, written: str
) -> None:
    body = "{{ account.renewal_date | date }}"
    templates = make_templates({"t.txt": FRONT + body, "t.de.txt": FRONT + body})
    assert rendered(templates, context, locale).text == f"{written}\n"


def test_right_to_left_names_do_not_turn_the_line(
    make_templates: Make, context: dict[str, Any]
) -> None:
    context["account"] = Record("account", {"name": "שלום בע״מ"})
    templates = make_templates({"t.txt": FRONT + "{{ account.name }} (renews)"})
    assert rendered(templates, context).text == "\u2068שלום בע״מ\u2069 (renews)\n"
    assert templates.inline("{{ account.name }}", context, "en", None) == "שלום בע״מ"
    context["account"] = Record("account", {"name": "Evil\u202ereversed"})
    assert rendered(templates, context).text == "Evilreversed (renews)\n"


def test_files_outside_the_folder_cannot_be_taken_in(
    make_templates: Make, context: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "link.txt").symlink_to(tmp_path / "secret.txt")
    for name in ("../secret.txt", str(tmp_path / "secret.txt"), "link.txt", "a/../../secret.txt"):
        templates = make_templates({"t.txt": FRONT + f'{{% include "{name}" %}}'})
        assert f"there is no file “{name}” in templates" in failure(templates, context)
    templates = make_templates({"t.txt": FRONT})
    for name in ("../secret", "link"):
        with pytest.raises(InvalidInputError):
            templates.email(name, context, None, None)


def test_html_takes_in_only_html(make_templates: Make, context: dict[str, Any]) -> None:
    templates = make_templates(
        {"t.txt": FRONT, "t.html": '{% include "_x.txt" %}', "_x.txt": "{{ account.name }}"}
    )
    assert "can only take in HTML files" in failure(templates, context)


@pytest.mark.parametrize(
    "body",
    [
        "{% for x in range(10 ** 9) %}{% endfor %}",
        "{{ 'a' * 10000000 }}",
        "{{ 9 ** 99999999 }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ account.path }}",
        "{{ account.called('x') }}",
        "{{ company.model_dump() }}",
        "{{ lipsum(n=1000000) }}",
        '{% include "t.txt" %}',
        "{{ '{0.__class__}'.format(account) }}",
    ],
)
def test_the_sandbox_holds(make_templates: Make, context: dict[str, Any], body: str) -> None:
    templates = make_templates({"t.txt": FRONT + body})
    assert failure(templates, context).startswith("templates/t.txt:4:")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Hello", "templates/t.txt:1:1: this needs a front matter"),
        ("---\nsubject: x\nHello", "templates/t.txt:1:1: the front matter has no end"),
        ("---\nclass: service\n---\n", "“subject” is missing here"),
        ("---\nsubject: x\nclas: service\n---\n", "t.txt:3:1: unknown key “clas”"),
        ("---\nsubject: x\nclass: advertising\n---\n", "templates/t.txt:3:8: “class”"),
        ("---\nsubject: x\nlocale: german\n---\n", "3:9: “german” is not a locale"),
        ("---\nsubject: '{{ x'\n---\n", "templates/t.txt:2:10: "),
        ("---\nsubject: x\n---\n\n{% if %}", "templates/t.txt:5:1: "),
        ("---\nsubject: ' '\n---\n", "templates/t.txt:2:10: the subject is empty"),
    ],
)
def test_front_matter_mistakes(
    make_templates: Make, context: dict[str, Any], text: str, sentence: str
) -> None:
    assert sentence in failure(make_templates({"t.txt": text}), context)


def test_an_unknown_template_has_a_hint(make_templates: Make, context: dict[str, Any]) -> None:
    templates = make_templates({"renewal/check-in.txt": FRONT, "_part.txt": "x"})
    assert templates.names() == ["renewal/check-in"]
    with pytest.raises(InvalidInputError, match="did you mean “renewal/check-in”"):
        templates.email("renewal/checkin", context, None, None)


def test_files_that_are_no_text(make_templates: Make, context: dict[str, Any]) -> None:
    templates = make_templates({"x.txt": FRONT})
    folder = templates._files._folder  # noqa: SLF001  a byte that no template file may hold
    (folder / "t.txt").write_bytes(b"---\nsubject: x\n---\n\xff")
    assert failure(templates, context) == (
        "templates/t.txt:1:1: is not UTF-8 text; save it as UTF-8"
    )
    (folder / "t.txt").write_bytes(b"\xef\xbb\xbf---\r\nsubject: x\r\n---\r\nHi\r\nyou\r\n")
    fresh = make_templates({})
    assert rendered(fresh, context).text == "Hi\nyou\n"


def test_a_related_record_is_fetched_once_and_only_when_asked(
    make_templates: Make, context: dict[str, Any]
) -> None:
    asked: list[str] = []

    def owner() -> Record:
        asked.append("owner")
        return Record("user", {"name": "Bo"})

    context["account"] = Record("account", {"name": "A"}, {"owner": owner})
    templates = make_templates(
        {"t.txt": FRONT + "{{ account.owner.name }} {{ account.owner.name }}"}
    )
    assert templates.inline("{{ account.name }}", context, None, None) == "A"
    assert asked == []
    assert rendered(templates, context).text == "Bo Bo\n"
    assert asked == ["owner"]
