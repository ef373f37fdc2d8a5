"""The unsubscribe page: one question, one button; no script, nothing loaded from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from string import Template

_STYLE = """\
:root { color-scheme: light dark; }
body { margin: 0; font: 1.125rem/1.5 system-ui, sans-serif; }
main { max-width: 34rem; margin: 0 auto; padding: 15vh 1.25rem 2rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 1rem; }
p { margin: 0 0 1.5rem; overflow-wrap: anywhere; }
button { font: inherit; padding: .75rem 1.5rem; border: 2px solid; border-radius: .375rem;
  background: CanvasText; color: Canvas; border-color: CanvasText; cursor: pointer; }
button:focus-visible { outline: 3px solid Highlight; outline-offset: 3px; }
"""
_PAGE = Template("""\
<!DOCTYPE html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$title</h1>
$body</main>
</body>
</html>
""")
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    # The address of the page is all that it takes to unsubscribe, so nobody else is told.
    ("Referrer-Policy", "no-referrer"),
    ("X-Robots-Tag", "noindex"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", _POLICY),
)


def page(language: str, title: str, text: str = "", button: str = "") -> bytes:
    """A page with a title, a paragraph where there is a text, and a button that posts."""
    body = f"<p>{escape(text)}</p>\n" if text else ""
    if button:
        # The form leads to the page's own address.
        body += f'<form method="post"><button type="submit">{escape(button)}</button></form>\n'
    return _PAGE.substitute(
        language=language, title=escape(title), style=_STYLE, body=body
    ).encode()
