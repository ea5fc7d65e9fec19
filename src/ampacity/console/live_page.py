"""The live page as one HTML text with its style and script inside, and the policy that lets a browser run only those.

It asks the admin API of its own address and nobody else, and holds nothing that the token protects.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

STYLE, SCRIPT, KNOWN = "/* page.css */", "/* page.js */", 'data-known="no"'


@cache
def live_page(known: bool) -> tuple[str, dict[str, str]]:
    """The page and its headers. known: whether who asks has shown the token; who has not is asked for it."""
    folder = files("ampacity.console") / "page"
    html, css, js = ((folder / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    page = html.replace(STYLE, css).replace(SCRIPT, js)
    return page.replace(KNOWN, 'data-known="yes"') if known else page, _headers(css, js)


def _headers(css: str, js: str) -> dict[str, str]:
    policy = {
        "default-src": "'none'",
        "style-src": _only(css),
        "script-src": _only(js),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{what} {whose}" for what, whose in policy.items()),
        "referrer-policy": "no-referrer",
    }


def _only(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
