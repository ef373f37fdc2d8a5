"""docs/policy.md says what the code does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from crmsync.config.base import validate
from crmsync.config.policy import Policy
from crmsync.config.yaml import Problems, load_yaml
from crmsync.policy.gates import GATES
from support.commands import call
from support.company import CONFIG, make_company
from support.console import BLOCK, commands, run_command

_PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
_SNIPPETS = re.findall(r"```yaml\n(policy:.*?)```", _PAGE, re.DOTALL)
_COMMANDS = re.findall(r"```sh\n(.*?)```", _PAGE, re.DOTALL)


@pytest.mark.parametrize("commands", _COMMANDS)
def test_every_command_runs(commands: str, tmp_path: Path) -> None:
    where = ("--config", make_company(tmp_path), "--at", "2026-03-02T09:00")
    call("sync", *where)
    for line in commands.splitlines():
        program, *words = shlex.split(line)
        result = call(*words, *where)
        assert (program, result.exit_code) == ("crmsync", 0), result.output


def test_what_people_say_runs_as_it_is_shown(tmp_path: Path) -> None:
    text = CONFIG.replace("existing: enrol", "existing: preview")
    make_company(tmp_path, config=text + "policy: {approval: {by: owner}}\n")
    call("sync", "--config", tmp_path / "config.yaml", "--at", "2026-03-02T07:00")
    ran = 0
    for language, block in BLOCK.findall(_PAGE):
        for command in commands(block) if language == "console" else ():
            run_command(command, tmp_path)
            ran += 1
    assert ran == 12


@pytest.mark.parametrize("snippet", _SNIPPETS)
def test_every_snippet_is_a_policy(snippet: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(snippet, encoding="utf-8")
    document, problems = load_yaml(file), Problems()
    data = document.data["policy"]
    policy = validate(Policy, data, document=document, path=("policy",), problems=problems)
    assert problems.sentences == []
    assert policy is not None
    assert policy.model_fields_set == set(data)


def test_the_gates_stand_there_in_their_order() -> None:
    table = _PAGE[_PAGE.index("| Gate |") :].partition("\n\n")[0]
    named = re.findall(r"^\| (\w+) \|", table, re.MULTILINE)[1:]
    assert named == [gate.__name__ for gate in GATES]


def test_every_option_is_explained() -> None:
    for name in Policy.model_fields:
        assert name in _PAGE, name
