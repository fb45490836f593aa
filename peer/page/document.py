"""The page as one HTML document, and the policy under which a browser runs it.

The policy names the page's one script and its one style sheet by their hashes, so that no other code runs, wherever it
came from. It also allows the page to fetch from the peer itself only.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from ..measures import LABELS

FILE_NAME: Final = "page.html"
_LABELS_PLACE: Final = "/* labels */ []"
"""Stands in the page's script in place of the labels of the figures."""


@dataclass(frozen=True, slots=True)
class Document:
    """The bytes of the page, and its Content-Security-Policy."""

    body: bytes
    policy: str


def load_document() -> Document:
    """Read the page that ships with the package."""
    text = files(__package__).joinpath(FILE_NAME).read_text("utf-8")
    text = text.replace(_LABELS_PLACE, json.dumps(list(LABELS.items())))
    policy = [
        "default-src 'none'",
        f"script-src {_hashes(text, 'script')}",
        f"style-src {_hashes(text, 'style')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    return Document(text.encode(), "; ".join(policy))


def _hashes(text: str, element: str) -> str:
    found = re.findall(rf"<{element}[^>]*>(.*?)</{element}>", text, re.DOTALL)
    digests = (hashlib.sha256(one.encode()).digest() for one in found)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
