"""What came of tests as JUnit XML, in the form that Jenkins, GitHub and GitLab all read.

One suite for each file, one case for each test; no schema of it binds everybody, so this keeps to
what they share: https://github.com/testmoapp/junitxml.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from crmsync.errors import StoreError
from crmsync.observe import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from crmsync.app.rule_tests.results import Mismatch, RulesTested, RuleTested

# XML 1.0 has no way to write these, not even escaped.
_UNWRITABLE = re.compile("[^\\t\\n\\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLACE = re.compile(r"^(.*):(\d+):(\d+)$", re.DOTALL)


def junit_report(result: RulesTested) -> ET.Element:
    """What came of each test."""
    by_file: dict[str, list[RuleTested]] = {}
    for test in result.tests:
        by_file.setdefault(_split(test.place)[0], []).append(test)
    return _suites(_suite(file, tests) for file, tests in by_file.items())


def junit_errors(problems: Sequence[str]) -> ET.Element:
    """No test could run: each mistake in their files, or in those of the rules, is an error."""
    suite = ET.Element("testsuite")
    for problem in problems:
        file, line = _split(problem.split(": ", 1)[0])
        case = _case(suite, name=problem, classname="crmsync", file=file, line=line)
        _child(case, "error", message=problem, type="mistake", text=problem)
    _count(suite, name="crmsync", seconds=0.0)
    return _suites([suite])


def write_junit(file: Path, report: ET.Element) -> None:
    """Write a report.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        ET.ElementTree(report).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error


def diff_text(failure: Mismatch) -> str:
    """A mismatch as plain text."""
    lines = [f"{failure.stage}:"] if failure.stage else []
    lines += failure.diff
    lines += [f"    {sentence}" for sentence in failure.because]
    return "\n".join(lines)


def _suites(suites: Iterable[ET.Element]) -> ET.Element:
    root = ET.Element("testsuites", name="crmsync test")
    root.extend(suites)
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in root):.3f}")
    return root


def _suite(file: str, tests: Sequence[RuleTested]) -> ET.Element:
    suite = ET.Element("testsuite")
    for test in tests:
        _, line = _split(test.place)
        case = _case(suite, name=test.test, classname=test.rule, file=file, line=line)
        case.set("time", f"{test.seconds:.3f}")
        if test.failures:
            subjects = ", ".join(dict.fromkeys(failure.subject for failure in test.failures))
            text = "\n\n".join(
                f"{diff_text(failure)}\n    [{failure.place}]" for failure in test.failures
            )
            message = f"not as expected: {subjects}"
            _child(case, "failure", message=message, type="mismatch", text=text)
    _count(suite, name=file, seconds=sum(test.seconds for test in tests))
    return suite


def _count(suite: ET.Element, *, name: str, seconds: float) -> None:
    suite.set("name", _writable(name))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", "0")
    suite.set("time", f"{seconds:.3f}")


def _case(suite: ET.Element, *, name: str, classname: str, file: str, line: str) -> ET.Element:
    values = {"name": name, "classname": classname, "file": file, "line": line}
    return ET.SubElement(suite, "testcase", {k: _writable(v) for k, v in values.items() if v})


def _child(case: ET.Element, tag: str, *, message: str, type: str, text: str) -> None:  # noqa: A002  the attribute's name
    child = ET.SubElement(case, tag, {"message": _writable(message), "type": type})
    child.text = _writable(text)


def _split(place: str) -> tuple[str, str]:
    """File and line of a place; a sentence without a place has none."""
    match = _PLACE.match(place)
    return (match[1], match[2]) if match else ("", "")


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", redact(text))
