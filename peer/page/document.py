"""The page as one HTML document, and the policy under which a browser runs it.

The policy names the page's one script and its one style sheet by their hashes, so that no other code runs, wherever it
came from. It also allows the page to fetch from the peer itself only. A page with a film inside fetches nothing at all.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from ..learning.metrics import LABELS

FILE_NAME: Final = "page.html"
_LABELS_PLACE: Final = "/* labels */ []"
"""Stands in the page's script in place of the labels of the figures."""
_FILM_PLACE: Final = "/* film */ null"
"""Stands there in place of a run that is over."""
_POLICY_PLACE: Final = '<meta charset="utf-8">'
"""The policy of a page that no server sends comes after this."""


@dataclass(frozen=True, slots=True)
class Document:
    """The bytes of the page, and its Content-Security-Policy."""

    body: bytes
    policy: str


def load_document() -> Document:
    """Read the page that ships with the package."""
    text = _text()
    return Document(text.encode(), "; ".join([*_policy(text, "'self'"), "frame-ancestors 'none'"]))


def film_document(film: dict[str, Any]) -> bytes:
    """Return a page of its own that shows a run; ``film`` is what :mod:`.film` makes."""
    # Inside a script element, nothing but a tag ends it; all other letters are escaped by JSON.
    data = json.dumps(film, separators=(",", ":")).replace("<", "\\u003c")
    text = _text().replace(_FILM_PLACE, data)
    policy = "; ".join(_policy(text, "'none'"))
    policy = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return text.replace(_POLICY_PLACE, f"{_POLICY_PLACE}\n{policy}", 1).encode()


def _text() -> str:
    text = files(__package__).joinpath(FILE_NAME).read_text("utf-8")
    return text.replace(_LABELS_PLACE, json.dumps(list(LABELS.items())))


def _policy(text: str, connect: str) -> list[str]:
    """The directives that hold wherever the page comes from."""
    return [
        "default-src 'none'",
        f"script-src {_hashes(text, 'script')}",
        f"style-src {_hashes(text, 'style')}",
        f"connect-src {connect}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]


def _hashes(text: str, element: str) -> str:
    found = re.findall(rf"<{element}[^>]*>(.*?)</{element}>", text, re.DOTALL)
    digests = (hashlib.sha256(one.encode()).digest() for one in found)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
