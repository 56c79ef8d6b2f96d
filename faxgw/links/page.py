"""What a browser shows of a link: a page with a button. No script, nothing from elsewhere, nothing of the fax."""

import base64
import hashlib
from datetime import UTC

from faxgw.links.opening import Link

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem}"
    "body{color:#1b1f24;background:#fff}"
    "button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.3rem;color:#fff;background:#0b5cad}"
    "@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181b}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow, noarchive",
}
"""Of every answer at the address of a link."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
_BUTTON = """<p>{pages}, as a PDF. This link opens it {times}, until {until}.</p>
<form method="post"><button type="submit">Open the fax</button></form>"""
_NONE = "<p>It may have expired, or been used or taken back. Ask whoever sent it for another.</p>"


def page_of(link: Link) -> str:
    """Return the page of a link that is good."""
    row = link.row
    left, pages = row["most"] - row["opened"], row["pages"] or 0
    body = _BUTTON.format(
        pages="1 page" if pages == 1 else f"{pages} pages",
        times="once more" if left == 1 else f"{left} times more",
        until=f"{row['expires_at'].astimezone(UTC):%d %B %Y, %H:%M} UTC",
    )
    return _PAGE.format(title="A fax for you", style=_STYLE, body=body)


def page_of_none() -> str:
    """Return the page of a link that is none, or not any more: of all of them the same."""
    return _PAGE.format(title="There is no such link", style=_STYLE, body=_NONE)
