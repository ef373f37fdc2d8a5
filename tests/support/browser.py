"""Pages in a real browser, where there is one: how wide they are, and whether they can be read."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# What is measured of each page, when all are there. Contrast: WCAG 2, 1.4.3.
_MEASURE = """
function luminance(colour) {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(node, view) {
  for (; node; node = node.parentElement) {
    const colour = view.getComputedStyle(node).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return luminance(colour);
  }
  const canvas = view.document.createElement('i');  // what stands behind a page without a colour
  canvas.style.backgroundColor = 'Canvas';
  view.document.documentElement.append(canvas);
  const colour = view.getComputedStyle(canvas).backgroundColor;
  canvas.remove();
  return luminance(colour);
}
window.onload = () => {
  const told = {};
  for (const frame of document.querySelectorAll('iframe')) {
    const page = frame.contentDocument, view = frame.contentWindow;
    let contrast = 21, size = 99, words = 0;
    const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode, over = node.parentElement;
      const box = over.getBoundingClientRect(), style = view.getComputedStyle(over);
      if (!node.data.trim() || !box.width || style.visibility === 'hidden') continue;
      const [a, b] = [luminance(style.color), behind(over, view)].sort((x, y) => y - x);
      contrast = Math.min(contrast, (a + 0.05) / (b + 0.05));
      size = Math.min(size, parseFloat(style.fontSize));
      words += node.data.trim().split(/\\s+/).length;
    }
    told[frame.id] = {
      beyond: page.documentElement.scrollWidth - page.documentElement.clientWidth,
      contrast, size, words, background: behind(page.body, view),
    };
  }
  document.body.textContent = JSON.stringify(told);
};
"""


def browser() -> str | None:
    """A Chromium of this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def measured(
    program: str, pages: Mapping[str, str], folder: Path, *, widths: Sequence[int], dark: bool
) -> dict[str, Any]:
    """What `_MEASURE` tells of each page, by “name at width”.

    Args:
        pages: HTML by a name of letters, digits, “/”, “-” and “.”.
        widths: of the windows in which each is shown, in pixels.
        dark: whether the reader wants dark pages.
    """
    frames = "".join(
        f'<iframe id="{name} at {width}" srcdoc="{html.escape(page)}" '
        f'style="width: {width}px; border: 0; color-scheme: light dark"></iframe>'
        for name, page in pages.items()
        for width in widths
    )
    path = folder / "pages.html"
    text = f"<!DOCTYPE html><meta charset=utf-8><script>{_MEASURE}</script><body>{frames}</body>"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={folder / 'profile'}", "--no-first-run"),
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            *("--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = re.search(r"<body>(\{.*\})</body>", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-500:]
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told
