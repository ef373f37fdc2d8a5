"""Texts of about 100 kB that each strain another part of the loader."""

from __future__ import annotations

_SIZE = 100_000
_HEAD = "rule: r\nsubject: account\n"
_THEN = "then: [{note: {text: hello}}]\n"


def _repeated(line: str, *, head: str = _HEAD + "when:\n", tail: str = _THEN) -> str:
    """Lines, each with its number, between a head and a tail."""
    lines, size, number = [], len(head) + len(tail), 0
    while size < _SIZE:
        lines.append(line.format(n=number))
        size += len(lines[-1])
        number += 1
    return head + "".join(lines) + tail


def _nested(opening: str, closing: str, depth: int) -> str:
    return f"{_HEAD}when: {opening * depth}x{closing * depth}\n{_THEN}"


HOSTILE = {
    "unknown keys": _repeated("key{n}: 1\n", head=_HEAD + "when: [{tier: x}]\n"),
    "nearly the same keys": _repeated("descriptio{n}: 1\n", head=_HEAD + "when: [{tier: x}]\n"),
    "one key many times": _repeated("rule: a\n", head=_HEAD + "when: [{tier: x}]\n"),
    "unknown fields": _repeated("  - renewal_dat{n}: x\n"),
    "unknown fields at the end of paths": _repeated("  - owner.manager.manager.activ{n}: x\n"),
    "unknown operators": _repeated("  - tier: {{contain{n}: x}}\n"),
    "one field with many operators": _repeated(
        "      contain{n}: x\n", head=_HEAD + "when:\n  - tier:\n"
    ),
    "good conditions": _repeated("  - tier: {{is: gold{n}, if_unknown: no}}\n"),
    "many conditions in one": _repeated("    tie{n}: x\n", head=_HEAD + "when:\n  -\n"),
    "a long list of values": _repeated(
        "v{n}, ", head=_HEAD + "when: [{tier: [", tail="z]}]\n" + _THEN
    ),
    "a long list of numbers": _repeated(
        "{n}, ", head=_HEAD + "when: [{open_tickets: [", tail="1]}]\n" + _THEN
    ),
    "a long list of wrong values": _repeated(
        "1, ", head=_HEAD + "when: [{tier: [", tail="z]}]\n" + _THEN
    ),
    "unknown relations": _repeated("  - some: {{of: ticket{n}}}\n"),
    "unknown segments": _repeated("  - segment: golden{n}\n"),
    "steps": _repeated(
        "  - note: {{text: hello}}\n", head=_HEAD + "when: [{tier: x}]\nthen:\n", tail=""
    ),
    "unknown steps": _repeated(
        "  - not{n}: {{text: hello}}\n", head=_HEAD + "when: [{tier: x}]\nthen:\n", tail=""
    ),
    "assignees": _repeated(
        "ownr{n}, ",
        head=_HEAD + "when: [{tier: x}]\nthen: [{task: {subject: x, assign_to: [",
        tail="owner]}}]\n",
    ),
    "labels": _repeated("l{n}, ", head=_HEAD + "when: [{tier: x}]\nlabels: [", tail="z]\n" + _THEN),
    "once per": _repeated(
        "tie{n}, ", head=_HEAD + "when: [{tier: x}]\nonce_per: [", tail="tier]\n" + _THEN
    ),
    "a long text": _HEAD + f"description: {'x' * _SIZE}\nwhen: [{{tier: x}}]\n" + _THEN,
    "a long name": f"rule: {'x' * _SIZE}\nsubject: account\nwhen: [{{tier: x}}]\n" + _THEN,
    "a long key": _HEAD + f"'{'x' * _SIZE}': 1\nwhen: [{{tier: x}}]\n" + _THEN,
    "a long field": _HEAD + f"when: [{{'{'x' * _SIZE}': 1}}]\n" + _THEN,
    "a long path": _HEAD + f"when: [{{'{'owner.' * (_SIZE // 6)}x': 1}}]\n" + _THEN,
    "a long subject": f"rule: r\nsubject: {'x' * _SIZE}\nwhen: [{{tier: x}}]\n" + _THEN,
    "a long duration": _HEAD + f"when: [{{renewal_date: {{in_next: '1{' ' * _SIZE}'}}}}]\n" + _THEN,
    "a long business duration": _HEAD
    + f"when: [{{renewal_date: {{in_next: '1 business{' ' * _SIZE}'}}}}]\n"
    + _THEN,
    "a long number": _HEAD + f"when: [{{open_tickets: {'9' * _SIZE}}}]\n" + _THEN,
    "a long quoted number": _HEAD + f"when: [{{open_tickets: '{'9' * _SIZE}'}}]\n" + _THEN,
    "a long date": _HEAD + f"when: [{{renewal_date: '{'2026-01-01' * (_SIZE // 10)}'}}]\n" + _THEN,
    "a long pattern": _HEAD
    + f"when: [{{name: {{matches: '{'(a|b)*' * (_SIZE // 6)}'}}}}]\n"
    + _THEN,
    "a nested pattern": _HEAD
    + f"when: [{{name: {{matches: '{'(' * 40_000}{')' * 40_000}'}}}}]\n"
    + _THEN,
    "lists in lists": _nested("[", "]", 45_000),
    "mappings in mappings": _nested("{a: ", "}", 20_000),
    "open lists": _HEAD + "when: " + "[" * _SIZE,
    "open mappings": _HEAD + "when: " + "{" * _SIZE,
    "block lists in lists": _HEAD + "when:\n  " + "- " * 45_000 + "x\n" + _THEN,
    "indented mappings": _HEAD
    + "when:\n"
    + "".join(f"{' ' * i}a:\n" for i in range(1, 430))
    + _THEN,
    "groups in groups": _nested("[{not: ", "}]", 48),
    "complex keys": _HEAD + "when:\n" + "? " * 45_000 + "\n",
    "question marks": _HEAD + "when: " + "{? " * 30_000,
    "aliases": _repeated(
        "*a, ", head=f"x: &a [{'y, ' * 90}z]\n" + _HEAD + "when: [", tail="1]\n" + _THEN
    ),
    "billion laughs": "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" if i else "a0: &a0 [x]\n"
        for i in range(60)
    ),
    "many anchors": _repeated("  - &a{n} tier: x\n"),
    "an alias of itself": _repeated("*a, ", head="x: &a [", tail="1]\n"),
    "an open quote": _HEAD + 'when: "' + "x\n" * (_SIZE // 2),
    "many quotes": _HEAD + "when: " + '"' * _SIZE,
    "tabs": _HEAD + "when:\n" + "\t- tier: x\n" * 9_000,
    "colons": _HEAD + "when: " + "a: " * 30_000,
    "dashes": "-" * _SIZE,
    "only spaces": " " * _SIZE,
    "only lines": "\n" * _SIZE,
    "comments": "#\n" * (_SIZE // 2),
    "documents": "---\n" * (_SIZE // 4),
    "directives": "%YAML 1.2\n" * (_SIZE // 10),
    "tags": _repeated("  - !x{n} tier: x\n"),
    "exclamations": _HEAD + "when: " + "!" * _SIZE,
    "keys without values": _HEAD + "when: {" + "a, " * 30_000,
    "a block text": _HEAD + "description: |\n" + "  x\n" * (_SIZE // 4),
    "escapes": _HEAD + 'description: "' + r"\x41" * (_SIZE // 4) + '"\n',
    "wide characters": _HEAD + f"description: {'ö' * (_SIZE // 2)}\n",
    "a character that nobody sees": _HEAD + "description: " + "x" * _SIZE + "\x07\n",
    "related in related": _HEAD
    + "when: ["
    + "{some: {of: owner.accounts, where: [" * 15
    + "{tier: x}"
    + "]}}" * 15
    + "]\n"
    + _THEN,
    "wide related": _repeated("  - some: {{of: tickets, where: [{{statu{n}: x}}]}}\n"),
    "recipients": _HEAD
    + "when: [{tier: x}]\nthen: [{email: {template: t, to: "
    + "{path: x, otherwise: " * 4_000
    + "owner"
    + "}" * 4_000
    + "}}]\n",
    "updates": _repeated(
        "f{n}: x, ",
        head=_HEAD + "when: [{tier: x}]\nthen: [{update: {fields: {",
        tail="tier: x}}}]\n",
    ),
}
