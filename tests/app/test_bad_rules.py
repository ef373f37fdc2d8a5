"""Each mistake is found by `check`: where it is, what is wrong, and what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import call, call_json
from support.company import CONFIG, FILES, RULE, TEMPLATE, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT = "rules/renewal-at-risk.yaml"
_WHEN = "  - renewal_date: {in_next: 30 days}"

# What is written instead of a line of the rule, and what check says.
MISTAKES = {
    "a misspelt field": (
        (_WHEN, "  - renewal_dat: {in_next: 30 days}"),
        f"{_AT}:5:5: an account has no field or fact “renewal_dat”; did you mean “renewal_date”?",
    ),
    "a misspelt operator": (
        (_WHEN, "  - renewal_date: {in_nxt: 30 days}"),
        f"{_AT}:5:20: unknown operator “in_nxt”; did you mean “in_next”?",
    ),
    "a misspelt unit": (
        (_WHEN, "  - renewal_date: {in_next: 30 dyas}"),
        (
            f"{_AT}:5:29: “30 dyas” is not a duration; write for example 30 days, 12h, 2 weeks "
            "or 3 business days"
        ),
    ),
    "a duration without a unit": (
        (_WHEN, "  - renewal_date: {in_next: 30}"),
        (
            f"{_AT}:5:29: “30” is not a duration; write for example 30 days, 12h, 2 weeks or "
            "3 business days"
        ),
    ),
    "hours for a date": (
        (_WHEN, "  - renewal_date: {in_next: 24h}"),
        f"{_AT}:5:29: a date has no hours, so 1 day does not fit it; write whole days",
    ),
    "a thousands separator": (
        (_WHEN, "  - recurring_revenue: {over: 1,000}"),
        (
            f"{_AT}:5:33: unknown operator “000”; a number has no separator of thousands, and a "
            "point before its decimals: 1000.50"
        ),
    ),
    "a list behind is": (
        (_WHEN, "  - tier: {is: [gold, silver]}"),
        f"{_AT}:5:16: “is” has one value; for one of several, write “in: [gold, silver]”",
    ),
    "a list behind is_not": (
        (_WHEN, "  - tier: {is_not: [gold, silver]}"),
        f"{_AT}:5:20: “is_not” has one value; for none of several, write “not_in: [gold, silver]”",
    ),
    "a list in a list": (
        (_WHEN, "  - tier: [gold, [silver]]"),
        f"{_AT}:5:11: a list is not a text; write one text here",
    ),
    "a small number": (
        (_WHEN, "  - recurring_revenue: {over: 0.00001}"),
        f"{_AT}:5:31: “0.00001” has more than four decimal places",
    ),
    "a duration of too many digits": (
        (_WHEN, "  - renewal_date: {in_next: 99999999 days}"),
        (
            f"{_AT}:5:29: “99999999 days” has more than six digits; write a shorter time, or in "
            "a longer unit"
        ),
    ),
    "a month": (
        (_WHEN, "  - renewal_date: {in_next: 1 month}"),
        (
            f"{_AT}:5:29: “1 month” is not a duration, for months differ in length; write days "
            "or weeks, for example 30 days"
        ),
    ),
    "a condition beside its contrary": (
        (_WHEN, "  - tier: gold\n  - not: [{tier: gold}]"),
        (
            f"{_AT}:6:12: “tier: gold” under “not” cannot be true together with “tier: gold” of "
            "line 5"
        ),
    ),
    "a colon in a text within braces": (
        ("description: A renewal is near", "description: {text: Renewal: soon, x: y}\nd: A"),
        f'{_AT}:2:21: a text with “: ” in it needs quotes: "Renewal: soon"',
    ),
    "a text compared with a date": (
        (_WHEN, "  - renewal_date: {before: soon}"),
        f"{_AT}:5:28: “soon” is not a date; write for example 2026-03-01",
    ),
    "a misspelt field to compare with": (
        (_WHEN, "  - usage_30d: {under: usage_previous_30}"),
        (f"{_AT}:5:24: “usage_previous_30” is not a number; did you mean “usage_previous_30d”?"),
    ),
    "a date asked of a text": (
        (_WHEN, "  - tier: {in_next: 30 days}"),
        (
            f"{_AT}:5:12: “in_next” does not fit “tier”, which is a text; for that there are is, "
            "is_not, in, not_in, contains, starts_with, ends_with, matches, present"
        ),
    ),
    "a relation without of": (
        (_WHEN, "  - some: {where: [{status: open}]}"),
        (
            f"{_AT}:5:5: “some” needs “of:”, the related records that are meant, for example "
            "“of: tickets”"
        ),
    ),
    "a requirement that no text knows": (
        ("      due: 1 business day", "      requires: [account.tier, account.renewal_dat]"),
        (f"{_AT}:11:17: account has no field “renewal_dat”; did you mean “renewal_date”?"),
    ),
    "a tab": (
        (_WHEN, "\t- renewal_date: {in_next: 30 days}"),
        f"{_AT}:5:1: a tab stands here; YAML is indented with spaces only, so replace it by spaces",
    ),
    "an unclosed quote": (
        ("description: A renewal is near", 'description: "A renewal is near'),
        (
            f"{_AT}:2:14: the quote that opens here is closed only in line 10; "
            'end the text with " before that'
        ),
    ),
    "a quote that nothing closes": (
        ("      due: 1 business day", "      due: '1 business day"),
        f"{_AT}:11:12: the quote that opens here is never closed; end the text with '",
    ),
    "anchors that explode": (
        (
            "description: A renewal is near and nobody has spoken with the customer.",
            "x0: &x0 [a]\n"
            + "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 20)),
        ),
        (
            f"{_AT}:6:35: the aliases of this file unfold to more than 10,000 values, or deeper "
            "than 100 levels; write out what is meant, or make a segment"
        ),
    ),
    "no conditions": (
        (f"when:\n{_WHEN}\n  - last_contact: {{older_than: 14 days}}", "when: []"),
        f"{_AT}:4:7: a list of conditions is missing here",
    ),
    "conditions that cannot be false": (
        (
            f"{_WHEN}\n  - last_contact: {{older_than: 14 days}}",
            "  - any: [{tier: gold}, {tier: {is_not: gold}}]",
        ),
        (
            f"{_AT}:5:26: every value passes “tier: {{is_not: gold}}” or “tier: gold” of line 5",
            f"{_AT}:5:3: nothing here can be false, so the rule selects every account",
        ),
    ),
    "conditions that cannot be true": (
        (_WHEN, "  - last_contact: {in_last: 7 days}"),
        (
            f"{_AT}:6:5: “last_contact: {{older_than: 14 days}}” cannot be true together with "
            "“last_contact: {in_last: 7 days}” of line 5; for one or the other, write “any:”"
        ),
    ),
    "a field that a task's subject cannot name": (
        ("{{ account.name }}: renews", "{{ account.nmae }}: renews"),
        f"{_AT}:10:16: account has no field “nmae”; did you mean “name”?",
    ),
    "a template that does not exist": (
        ("renewal/check-in", "renewal/chek-in"),
        f"{_AT}:14:17: there is no template “renewal/chek-in”; did you mean “renewal/check-in”?",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_at_its_place_with_what_would_be_right(tmp_path: Path, name: str) -> None:
    (good, bad), sentences = MISTAKES[name]
    assert good in RULE
    config = make_company(tmp_path, renewal_at_risk=RULE.replace(good, bad))
    report = call_json("check", "--config", config)
    expected = (sentences,) if isinstance(sentences, str) else sentences
    told = report["problems"]
    assert len(told) == len(expected), told
    for sentence, start in zip(told, expected, strict=True):
        assert sentence.startswith(start), told
    assert call("check", "--config", config).exit_code == 1


def test_all_mistakes_of_all_files_in_one_run(tmp_path: Path) -> None:
    config = make_company(tmp_path, config=CONFIG.replace("tier: tier", "tier: teir"))
    for number, (_, ((good, bad), _sentences)) in enumerate(sorted(MISTAKES.items())):
        text = RULE.replace(good, bad).replace("rule: renewal-at-risk", f"rule: r{number}")
        (tmp_path / "rules" / f"r{number}.yaml").write_text(text, encoding="utf-8")
    problems = call_json("check", "--config", config)["problems"]
    files = {problem.partition(":")[0] for problem in problems}
    expected = {
        f"rules/r{number}.yaml"
        for number, name in enumerate(sorted(MISTAKES))
        if name != "no fault"
    }
    assert files == {*expected, str(config)}


def test_circular_segments_and_names_that_stand_twice(tmp_path: Path) -> None:
    config = make_company(tmp_path, renewal_at_risk=RULE.replace(_WHEN, "  - segment: one"))
    (tmp_path / "rules" / "copy.yaml").write_text(RULE, encoding="utf-8")
    for name, other in (("one", "two"), ("two", "one")):
        (tmp_path / "segments" / f"{name}.yaml").write_text(
            f"segment: {name}\nsubject: account\nwhen:\n  - segment: {other}\n", encoding="utf-8"
        )
    assert call_json("check", "--config", config)["problems"] == [
        f"{_AT}:1:7: a rule “renewal-at-risk” stands in rules/copy.yaml already",
        "segments/two.yaml:4:14: the segment “one” contains itself: one → two → one",
    ]


def test_a_rule_file_of_10_mb(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    (tmp_path / "rules" / "export.yaml").write_text("- id: 1\n" * 1_250_000, encoding="utf-8")
    assert call_json("check", "--config", config)["problems"] == [
        (
            "rules/export.yaml:1:1: is 10.0 MB large, and a file of rules or settings is a few "
            "kB; does something else lie here, an export perhaps?"
        )
    ]


def doubts(config: Path) -> list[str]:
    """What check doubts, but for the link out of commercial mail, which this company has not."""
    told = call_json("check", "--config", config)["doubts"]
    (link,) = (
        one for one in told if "send commercial mail" in one or "sends commercial mail" in one
    )
    return [one for one in told if one != link]


def test_a_rule_that_matches_nearly_everybody_is_doubted(tmp_path: Path) -> None:
    accounts = "".join(f"A{i},Name {i},U1,gold,2026-03-20\n" for i in range(30))
    config = make_company(
        tmp_path,
        accounts="id,name,owner,tier,renewal\n" + accounts,
        renewal_at_risk=RULE.replace(_WHEN, "  - tier: gold").replace(
            "  - last_contact: {older_than: 14 days}\n", ""
        ),
    )
    assert doubts(config) == []  # nothing was read yet
    assert call("sync", "--config", config).exit_code == 0
    checked = call("check", "--config", config)
    assert checked.exit_code == 0, checked.output
    assert (
        f"{_AT}:5:3: renewal-at-risk matches 30 of 30 accounts as they were last read; "
        "is a condition missing, or turned round?"
    ) in " ".join(checked.output.split())


def test_what_no_stream_fills_is_doubted(tmp_path: Path) -> None:
    """Such a rule does nothing, for ever, and says so nowhere else."""
    asked = (
        "  - industry: retail\n  - open_tickets: {over: 2}\n"
        "  - none: {of: tickets, where: [{priority: high}]}\n"
        "  - none: {of: activities, where: [{direction: inbound}]}\n"
        "  - country: {is: CH, if_unknown: no}"
    )
    config = make_company(tmp_path, renewal_at_risk=RULE.replace(_WHEN, asked))
    checked = call_json("check", "--config", config)
    assert checked["problems"] == []
    assert doubts(config) == [
        (
            f"{_AT}:5:5: no stream of the config fills “industry” of the table account, "
            "so it is always empty; map it under “fields”"
        ),
        (
            f"{_AT}:8:37: no stream of the config fills “direction” of the table activity, "
            "so it is always empty; map it under “fields”"
        ),
        (
            f"{_AT}:6:5: “open_tickets: {{over: 2}}” asks for tickets, and no stream of the config "
            "has the table ticket, so this is never known"
        ),
    ]


def test_a_table_that_no_stream_has_is_doubted_once(tmp_path: Path) -> None:
    asked = "  - open_tickets: {over: 2}\n  - none: {of: tickets}"
    config = make_company(tmp_path, renewal_at_risk=RULE.replace(_WHEN, asked))
    rules = tmp_path / "rules"
    (rules / "b.yaml").write_text(
        "rule: b\nsubject: ticket\nwhen: [{status: open}]\n"
        "then: [{task: {assign_to: owner, subject: 'See {{ ticket.subject }}'}}]\n"
    )
    (told,) = doubts(config)
    assert told.endswith("so this is never known; likewise in rules/renewal-at-risk.yaml")


def test_a_text_that_needs_what_no_stream_fills_is_doubted(tmp_path: Path) -> None:
    """Such a mail is never sent, and plan tells it only for those who match one day."""
    template = (
        "---\nsubject: Hello\nrequires: [contact.first_name, contact.role]\n---\n"
        "{{ contact.locale }} {{ account.industry | default('your field') }}\n"
        "{% if account.country %}{{ account.country }}{% endif %}\n"
        "{{ account.owner.manager.name }} {{ account.open_tickets }} {{ sender.name }}\n"
    )
    words = "Call {{ account.name }} in {{ account.country }}: renews"
    rule = RULE.replace("Call {{ account.name }}: renews", words)
    config = make_company(tmp_path, renewal_at_risk=rule, check_in=template)
    checked = call_json("check", "--config", config)
    assert checked["problems"] == []
    never = "this is never sent or written, and no stream of the config fills"
    text = "templates/renewal/check-in.txt"
    map_it = "map it under “fields”"
    assert sorted(doubts(config)) == [
        f"{_AT}:10:16: without account.country {never} “country” of the table account; {map_it}",
        f"{text}:3:32: without contact.role {never} “role” of the table contact; {map_it}",
        f"{text}:5:12: without contact.locale {never} “locale” of the table contact; {map_it}",
        (
            f"{text}:7:18: without account.owner.manager {never} “manager” of the table user; "
            f"{map_it}"
        ),
    ]


def test_a_recipient_by_a_role_that_no_stream_fills_is_doubted(tmp_path: Path) -> None:
    """Nobody would ever get such a mail, or always the one who is named otherwise."""
    to = "to: {role: champion, otherwise: {role: buyer, otherwise: primary_contact}}"
    config = make_company(tmp_path, renewal_at_risk=RULE.replace("to: primary_contact", to))
    line = RULE[: RULE.index("to: primary_contact")].count("\n") + 1
    (told,) = doubts(config)
    assert told.startswith(f"{_AT}:{line}:")
    assert told.endswith(
        "nobody is known to have the role “champion”, and no stream of the config fills “role” of "
        "the table contact; map it under “fields”"
    )
    field = "          unsubscribed: unsubscribed\n"
    mapped = CONFIG.replace(field, f"{field}          role: last\n")
    config.write_text(mapped, encoding="utf-8")
    assert doubts(config) == []


def test_a_word_that_no_record_has_is_doubted(tmp_path: Path) -> None:
    asked = "  - tier: Gold\n  - not: [{tier: [silver, sliver, platinum]}]\n  - name: Akme"
    config = make_company(tmp_path, renewal_at_risk=RULE.replace(_WHEN, asked))
    assert doubts(config) == []  # nothing was read yet
    assert call("sync", "--config", config).exit_code == 0
    assert doubts(config) == [
        f"{_AT}:5:5: none of the accounts has the tier “Gold”; did you mean “gold”?",
        f"{_AT}:7:5: none of the accounts has the name “Akme”; did you mean “Acme”?",
    ]


def test_an_id_without_its_connection_is_doubted(tmp_path: Path) -> None:
    """Records are known as CONNECTION:ID, so the id that the CRM shows matches nobody."""
    asked = (
        "  - owner: U1\n  - not: [{id: [A1, crm:A2, A99]}]\n  - parent: {not_in: [A2]}\n"
        "  - owner: {changed: {to: U1}}"
    )
    config = make_company(tmp_path, renewal_at_risk=RULE.replace(_WHEN, asked))
    assert call("sync", "--config", config).exit_code == 0
    told = [one for one in doubts(config) if "CRM" in one]
    knows = "knows a record by its connection and its id in the CRM; write"
    assert told == [
        f"{_AT}:5:5: no user has the id “U1”: crmsync {knows} “crm:U1”",
        f"{_AT}:6:12: no account has the id “A1”: crmsync {knows} “crm:A1”",
        f"{_AT}:7:5: no account has the id “A2”: crmsync {knows} “crm:A2”",
        f"{_AT}:8:5: no user has the id “U1”: crmsync {knows} “crm:U1”",
    ]


def test_a_word_that_no_record_has_is_doubted_wherever_it_stands(tmp_path: Path) -> None:
    asked = (
        "  - tier: [gold, silvr]\n  - tier: {not_in: [gold, silvr]}\n"
        "  - tier: {changed: {from: glod, to: silver}}\n"
        "  - tier: {was: {value: silvr, at: 90 days}}"
    )
    config = make_company(tmp_path, renewal_at_risk=RULE.replace(_WHEN, asked))
    assert call("sync", "--config", config).exit_code == 0
    silver = "none of the accounts has the tier “silvr”; did you mean “silver”?"
    assert doubts(config) == [
        f"{_AT}:5:5: {silver}",
        f"{_AT}:6:5: {silver}",
        f"{_AT}:7:5: none of the accounts has the tier “glod”; did you mean “gold”?",
        f"{_AT}:8:5: {silver}",
    ]


def test_a_word_that_a_record_had_once_is_no_mistake_where_the_past_is_asked_for(
    tmp_path: Path,
) -> None:
    asked = "  - tier: {changed: {from: silver-a}}\n  - tier: {was: {value: silver-a, at: 9 days}}"
    config = make_company(tmp_path, renewal_at_risk=RULE.replace(_WHEN, asked))
    accounts = tmp_path / "crm" / "accounts.csv"
    now = accounts.read_text(encoding="utf-8")
    accounts.write_text(now.replace("silver", "silver-a"), encoding="utf-8")
    assert call("sync", "--config", config).exit_code == 0
    accounts.write_text(now, encoding="utf-8")
    assert call("sync", "--config", config).exit_code == 0
    assert doubts(config) == []


def test_a_role_that_no_contact_has_is_doubted_of_a_recipient_too(tmp_path: Path) -> None:
    to = "to: {role: champoin, otherwise: primary_contact}"
    config = make_company(tmp_path, renewal_at_risk=RULE.replace("to: primary_contact", to))
    field = "          unsubscribed: unsubscribed\n"
    mapped = CONFIG.replace(field, f"{field}          role: role\n")
    config.write_text(mapped, encoding="utf-8")
    (tmp_path / "crm" / "contacts.csv").write_text(
        "id,account,first,last,email,unsubscribed,role\n"
        "C1,A1,Ada,Ash,ada@acme.example,false,champion\n",
        encoding="utf-8",
    )
    assert call("sync", "--config", config).exit_code == 0
    (told,) = [one for one in doubts(config) if "role" in one]
    line = RULE[: RULE.index("to: primary_contact")].count("\n") + 1
    assert told.startswith(f"{_AT}:{line}:")
    assert told.endswith(": none of the contacts has the role “champoin”; did you mean “champion”?")


def test_rows_that_could_not_be_read_are_doubted_by_check_too(tmp_path: Path) -> None:
    accounts = FILES["crm/accounts.csv"].replace("2026-03-20", "20.03.2026")
    config = make_company(tmp_path, accounts=accounts)
    call("sync", "--config", config)
    line = CONFIG.splitlines().index("      accounts:") + 1
    assert doubts(config) == [
        f"{config}:{line}:7: 1 row could not be read; “crmsync status” tells why"
    ]


def test_a_finding_about_a_stream_has_the_place_of_the_stream(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    (tmp_path / "crm" / "users.csv").unlink()
    (problem,) = call_json("check", "--config", config)["problems"]
    line = CONFIG.splitlines().index("      users:") + 1
    assert problem.startswith(f"{config}:{line}:7: ")


def test_no_color_means_plain_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    config = make_company(tmp_path, check_in=TEMPLATE.replace("first_name", "frist_name"))
    printed = call("check", "--config", config).output
    assert "frist_name" in printed
    assert "\x1b" not in printed


def test_a_mistake_in_one_file_does_not_hide_what_is_doubtful_in_others(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    call("sync", "--config", config, "--at", "2026-02-20T09:00+01:00")
    rules = tmp_path / "rules"
    head = "subject: account\nwhen:\n"
    then = "then: [{note: {text: hello}}]\n"
    (rules / "a.yaml").write_text(f"rule: a\n{head}  - teir: gold\n{then}", encoding="utf-8")
    (rules / "b.yaml").write_text(
        f"rule: b\n{head}  - tier: gold\n  - tier: silver\n{then}", encoding="utf-8"
    )
    (rules / "c.yaml").write_text(
        f"rule: c\n{head}  - name: Acme\nthen: [{{note: {{text: '{{{{ nme }}}}'}}}}]\n",
        encoding="utf-8",
    )
    (rules / "d.yaml").write_text(f"rule: d\n{head}  - segment: lost\n{then}", encoding="utf-8")
    segments = tmp_path / "segments"
    segments.mkdir(exist_ok=True)
    (segments / "lost.yaml").write_text(
        "segment: lost\nsubject: account\nwhen: [{teir: gold}]\n", encoding="utf-8"
    )
    report = call_json("check", "--config", config)
    told = [problem.partition(": ")[0].rpartition("/")[2] for problem in report["problems"]]
    assert told == ["a.yaml:4:5", "lost.yaml:3:9", "c.yaml:5:22", "b.yaml:5:5"]
