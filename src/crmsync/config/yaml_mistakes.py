"""What a YAML parser complains of, told to somebody who never heard of tokens.

libyaml and PyYAML's own parser word their complaints differently; what is sought here stands in
the words of both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLOSING = {"[": "]", "{": "}"}
_KEY = re.compile(r"^\s*(?:- +)*[^\s#'\"\[{&*!|>%@`][^#]*?:(?:\s|$)")
_SHOWN = 40
_MOST_SCANNED = 20_000


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """Line and column from 1, and what is wrong there."""

    line: int
    column: int
    sentence: str


@dataclass(frozen=True, kw_only=True)
class _Trouble:
    """A parser's complaint: what it says, where it noticed, and where what it was reading began."""

    says: str
    lines: Sequence[str]
    line: int
    column: int
    from_line: int
    from_column: int

    @property
    def text(self) -> str:
        """The line on which it noticed."""
        return self.lines[self.line] if self.line < len(self.lines) else ""

    @property
    def before(self) -> str:
        return self.text[: self.column]

    @property
    def rest(self) -> str:
        return self.text[self.column :].strip()

    @property
    def began_with(self) -> str:
        line = self.lines[self.from_line] if self.from_line < len(self.lines) else ""
        return line[self.from_column : self.from_column + 1]

    def here(self, sentence: str) -> Mistake:
        return Mistake(line=self.line + 1, column=self.column + 1, sentence=sentence)

    def where_it_began(self, sentence: str) -> Mistake:
        return Mistake(line=self.from_line + 1, column=self.from_column + 1, sentence=sentence)


def told(error: yaml.YAMLError, text: str) -> Mistake:
    """What is wrong, at the place where a person would look for it."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Mistake(line=1, column=1, sentence="this is not valid YAML")
    noticed = error.problem_mark or error.context_mark
    began = error.context_mark or noticed
    if noticed is None or began is None:
        return Mistake(line=1, column=1, sentence=f"this is not valid YAML: {error.problem}")
    trouble = _Trouble(
        says=f"{error.context or ''}: {error.problem or ''}",
        lines=text.splitlines(),
        line=noticed.line,
        column=noticed.column,
        from_line=began.line,
        from_column=began.column,
    )
    return _of_characters(trouble) or _of_structure(trouble)


def hidden(text: str, position: int) -> Mistake:
    """A character that no text file should have."""
    before = text[:position]
    return Mistake(
        line=before.count("\n") + 1,
        column=position - (before.rfind("\n") + 1) + 1,
        sentence=(
            f"an invisible character (U+{ord(text[position]):04X}) stands here; delete it, "
            "or write the line again"
        ),
    )


def _of_characters(trouble: _Trouble) -> Mistake | None:
    """What is wrong with single characters."""
    says = trouble.says
    character = trouble.text[trouble.column : trouble.column + 1]
    if character == "\t" and ("start any token" in says or "tab" in says):
        return _tab(trouble)
    if "start any token" in says:
        return trouble.here(f"a text that begins with “{character}” {_quotes(trouble.rest)}")
    if "alphabetic or numeric" in says:
        start = trouble.lines[trouble.from_line][trouble.from_column :].strip()
        return trouble.where_it_began(
            f"a text that begins with “{trouble.began_with}” {_quotes(start)}"
        )
    if "mapping keys are not allowed" in says:
        return trouble.here(f"a text that begins with “?” {_quotes(trouble.rest)}")
    if "escape" in says:
        found = re.search(r"\\.", trouble.text[max(0, trouble.column - 1) :])
        written = found[0] if found else "\\"
        return trouble.here(
            f"“{written}” means nothing within double quotes; use single quotes, or write "
            f"“\\{written}”"
        )
    if "quoted scalar" in says:
        return trouble.where_it_began(
            f"the quote that opens here is never closed; end the text with {trouble.began_with}"
        )
    if "block scalar" in says:
        return trouble.where_it_began(
            f"behind “{trouble.began_with}” the text begins on the next line, indented"
        )
    if "tag" in says or "URI" in says:
        return trouble.where_it_began(f"a text that begins with “!” {_quotes('!…')}")
    return None


def _of_structure(trouble: _Trouble) -> Mistake:
    """What is wrong with how lines stand to each other."""
    says = trouble.says
    if "flow sequence" in says or "flow mapping" in says:
        within = _colon_in_braces(trouble)
        if within is not None:
            return within
        closing = _CLOSING.get(trouble.began_with, "]")
        return trouble.where_it_began(
            f"the “{trouble.began_with}” that opens here is not closed by “{closing}”, or a comma "
            f"is missing before line {trouble.line + 1}, column {trouble.column + 1}"
        )
    if "node content" in says:
        found = trouble.text[trouble.column : trouble.column + 1]
        before = f" before “{found}”" if found else "; the file ends here"
        return trouble.here(f"a value is missing here{before}")
    if "mapping values are not allowed" in says:
        return _colon(trouble)
    if "could not find expected ':'" in says:
        line = trouble.lines[trouble.from_line].strip() if trouble.lines else ""
        return trouble.where_it_began(_no_colon(line))
    if "sequence entries" in says:
        return trouble.here("a list begins on a line of its own; write “-” below its key")
    if "document" in says or "directive" in says:
        return trouble.here("a file holds one document; “---” or “%” cannot stand here")
    return _neighbours(trouble)


def _tab(trouble: _Trouble) -> Mistake:
    others = [
        number
        for number, line in enumerate(trouble.lines)
        if number != trouble.line and "\t" in line[: len(line) - len(line.lstrip())]
    ]
    plural = "s" if len(others) != 1 else ""
    more = f" (and in {len(others)} other line{plural})" if others else ""
    return trouble.here(
        f"a tab stands here{more}; YAML is indented with spaces only, so replace it by spaces"
    )


def _colon(trouble: _Trouble) -> Mistake:
    """A colon where no key can be."""
    within = re.match(r"^\s*(?:- +)*([^\s'\"{\[][^:]*): +(\S.*)$", trouble.text)
    if within is not None and trouble.column > within.start(2):
        return Mistake(
            line=trouble.line + 1,
            column=within.start(2) + 1,
            sentence=f"a text with “: ” in it {_quotes(within[2])}",
        )
    number = trouble.line - 1
    while number >= 0 and not trouble.lines[number].strip():
        number -= 1
    above = trouble.lines[number] if number >= 0 else ""
    indent = len(above) - len(above.lstrip())
    if above.strip() and not _KEY.match(above):
        return Mistake(line=number + 1, column=indent + 1, sentence=_no_colon(above.strip()))
    return Mistake(
        line=trouble.line + 1,
        column=len(trouble.text) - len(trouble.text.lstrip()) + 1,
        sentence=(
            f"this line is indented deeper than line {number + 1}, which has a value already; "
            "begin both at the same column"
        ),
    )


def _colon_in_braces(trouble: _Trouble) -> Mistake | None:
    """A colon in a text that stands in braces, and has no quotes."""
    if trouble.text[trouble.column : trouble.column + 2] != ": ":
        return None
    begun = re.search(
        r"[{,] *[\w.-]+: +([^\s'\"{}\[\],][^{}\[\],]*)$", trouble.text[: trouble.column]
    )
    if begun is None:
        return None
    rest = re.match(r"[^{}\[\],]*", trouble.text[trouble.column :])
    written = begun[1] + (rest[0] if rest is not None else "")
    return Mistake(
        line=trouble.line + 1,
        column=begun.start(1) + 1,
        sentence=f"a text with “: ” in it {_quotes(written)}",
    )


def _neighbours(trouble: _Trouble) -> Mistake:
    """A line that fits neither the list nor the mapping that it stands in."""
    before = trouble.before.rstrip()
    value = re.match(r"^\s*(?:- +)*(?:[^\s:'\"][^:]*: +)?(.*)$", trouble.text)
    written = value[1] if value else trouble.text.strip()
    if before and written.startswith(("{{", "{%")):
        return Mistake(
            line=trouble.line + 1,
            column=trouble.text.index(written) + 1,
            sentence=f"a text that begins with “{written[:2]}” {_quotes(written)}",
        )
    if before.endswith(("'", '"')):
        opened = _opened_above(trouble)
        if opened is not None:
            return opened
        return trouble.here(
            f"“{_short(trouble.rest)}” stands behind a text that has ended; a quote was closed too "
            f"early or opened too late, perhaps in an earlier line"
        )
    if before.endswith(("]", "}")):
        return trouble.here(
            f"“{_short(trouble.rest)}” stands behind “{before[-1]}”, where the value has ended; "
            f"put it inside, or the whole in quotes"
        )
    if trouble.rest.startswith(":"):
        return trouble.here("a key is missing before “:”")
    if not before:
        indent = f"{trouble.column} space{'s' if trouble.column != 1 else ''}"
        return trouble.here(
            f"this line is indented by {indent}, which fits none of the lines above; give it the "
            "indentation of those it belongs to"
        )
    return trouble.here(
        f"“{_short(trouble.rest)}” cannot stand here; is a “:”, “-” or quote missing?"
    )


def _opened_above(trouble: _Trouble) -> Mistake | None:
    """The quote that was left open in a line above, and that the one here has closed."""
    read = "\n".join(trouble.lines[: trouble.line + 1])
    if len(read) > _MOST_SCANNED:
        return None
    opened = None
    try:
        for token in yaml.scan(read):
            if isinstance(token, yaml.ScalarToken) and token.style in {"'", '"'}:
                start, end = token.start_mark, token.end_mark
                if start.line < end.line == trouble.line:
                    opened = (start, token.style)
    except yaml.YAMLError:
        pass  # it was read up to the trouble, and that is known
    if opened is None:
        return None
    mark, quote = opened
    return Mistake(
        line=mark.line + 1,
        column=mark.column + 1,
        sentence=(
            f"the quote that opens here is closed only in line {trouble.line + 1}; "
            f"end the text with {quote} before that"
        ),
    )


def _no_colon(line: str) -> str:
    glued = re.match(r"^([\w.-]+):(\S.*)$", line)
    if glued is not None:
        return f"a space is missing behind the colon; write “{glued[1]}: {_short(glued[2])}”"
    return f"“{_short(line)}” is no “key: value”; a colon is missing, or a quote around a text"


def _quotes(text: str) -> str:
    quote = "'" if '"' in text else '"'
    text = text.strip().strip("'\"")
    return f"needs quotes: {quote}{_short(text)}{quote}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
