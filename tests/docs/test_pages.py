"""What the pages promise of the repository itself."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGES = sorted(
    page for pattern in ("*.md", "docs/**/*.md", "plugins/*/*.md") for page in _ROOT.glob(pattern)
)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_PATH = re.compile(r"`((?:src|tests|bench|plugins|docs)/[^`*…\s]+)`")
_BRACES = re.compile(r"\{([^}]*)\}")
_NAME = re.compile(r"^[A-Za-z0-9_.-]+")


@pytest.mark.parametrize("page", _PAGES, ids=[str(p.relative_to(_ROOT)) for p in _PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def _spelt_out(path: str) -> list[str]:
    """``a/{b,c}.py`` as ``a/b.py`` and ``a/c.py``."""
    found = _BRACES.search(path)
    if found is None:
        return [path]
    return [path[: found.start()] + part + path[found.end() :] for part in found[1].split(",")]


@pytest.mark.parametrize("page", [_ROOT / "docs" / "architecture.md", *_ROOT.glob("docs/adr/*.md")])
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = _PATH.findall(page.read_text(encoding="utf-8"))
    paths = [path for name in named for path in _spelt_out(name)]
    assert [path for path in paths if not (_ROOT / path).exists()] == []


def test_every_dependency_has_its_line() -> None:
    declared: set[str] = set()
    for project in (_ROOT / "pyproject.toml", *_ROOT.glob("plugins/*/pyproject.toml")):
        table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        extras = itertools.chain(*table.get("optional-dependencies", {}).values())
        for dependency in [*table["dependencies"], *extras]:
            name = _NAME.match(dependency)
            assert name is not None
            declared.add(name[0])
    page = (_ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| ([a-z0-9-]+) \|", page, flags=re.MULTILINE))
    assert told == declared - {"crmsync"}


@pytest.mark.parametrize(
    ("name", "least"), [("requirements.lock", 40), ("requirements-bench.lock", 5)]
)
def test_the_lock_file_names_no_index_and_hashes_everything(name: str, least: int) -> None:
    text = (_ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    pinned = re.findall(r"^[a-z0-9][^\s]*==", text, flags=re.MULTILINE)
    assert len(pinned) > least
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
