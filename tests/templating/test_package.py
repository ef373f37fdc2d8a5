from __future__ import annotations

import subprocess
import sys

import pytest

import crmsync.templating
from crmsync.templating.templates import Templates


def test_the_package_is_light_until_it_is_used() -> None:
    code = "import sys, crmsync.templating as t; print('jinja2' in sys.modules); t.Templates; "
    code += "print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_it_offers() -> None:
    assert crmsync.templating.Templates is Templates
    with pytest.raises(AttributeError, match="no attribute Template"):
        _ = crmsync.templating.Template
