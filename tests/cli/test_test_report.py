"""What `crmsync test` prints on a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from crmsync.app.rule_tests.results import Mismatch, RulesTested, RuleTested
from crmsync.cli.reports import testing

RED, GREEN, ODD = "\x1b[31m", "\x1b[32m", "\x1b[1;4;"
FAILED = RuleTested(
    rule="r",
    test="a [b] c",
    place="rules/tests/t.yaml:1:1",
    failures=(
        Mismatch(
            subject="acme",
            stage="after 3 days, 2026-03-05 09:00 UTC",
            place="rules/tests/t.yaml:9:5",
            expected="x",
            actual="y",
            diff=(
                "  acme:",
                "-   subject: Call Acme: renews 20 March",
                "+   subject: Call Acme: renews 21 March",
                "-   nothing alike",
                "+   12345",
            ),
            because=("yes: tier: [gold, tin] [rules/r.yaml:3:5]",),
        ),
    ),
)


def printed(*, terminal: bool) -> str:
    out = StringIO()
    console = Console(
        file=out, force_terminal=terminal, color_system="standard" if terminal else None, width=200
    )
    result = RulesTested(folder="rules/tests", tests=(FAILED,), untested=("other",))
    testing.print_tests(console, result)
    return out.getvalue()


def test_it_is_plain_where_it_is_no_terminal() -> None:
    assert printed(terminal=False) == (
        "r: a [b] c [rules/tests/t.yaml:1:1]\n"
        "after 3 days, 2026-03-05 09:00 UTC [rules/tests/t.yaml:9:5]\n"
        "  acme:\n"
        "-   subject: Call Acme: renews 20 March\n"
        "+   subject: Call Acme: renews 21 March\n"
        "-   nothing alike\n"
        "+   12345\n"
        "    yes: tier: [gold, tin] [rules/r.yaml:3:5]\n"
        "\n"
        "r\n"
        "  ✗ a [b] c\n"
        "\n"
        "1 failed of 1 test of 1 rule.\n"
        "Without a test: other.\n"
    )


def test_on_a_terminal_the_odd_words_stand_out() -> None:
    lines = printed(terminal=True).splitlines()
    (expected,) = (line for line in lines if "Call Acme" in line and line.startswith(RED))
    (actual,) = (line for line in lines if "Call Acme" in line and line.startswith(GREEN))
    assert f"{ODD}31m20\x1b" in expected
    assert f"{ODD}32m21\x1b" in actual
    assert not any(ODD in line for line in lines if "12345" in line or "alike" in line)
