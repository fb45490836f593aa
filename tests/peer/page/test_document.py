"""The page brings all that it needs, and its policy allows nothing else."""

import base64
import hashlib
import json
import re

from coterie.peer.learning.metrics import LABELS
from coterie.peer.page.document import load_document

DOCUMENT = load_document()
TEXT = DOCUMENT.body.decode()
POLICY = dict(one.partition(" ")[::2] for one in DOCUMENT.policy.split("; "))


def test_the_policy_allows_the_one_script_and_the_one_style_sheet_by_their_hashes() -> None:
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(rf"<{element}>(.*?)</{element}>", TEXT, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert POLICY[directive] == f"'sha256-{digest}'"


def test_the_policy_allows_nothing_that_is_not_named() -> None:
    assert POLICY["default-src"] == POLICY["base-uri"] == POLICY["form-action"] == POLICY["frame-ancestors"] == "'none'"
    assert POLICY["connect-src"] == "'self'"
    assert not any(word in DOCUMENT.policy for word in ("unsafe", "*", "http:", "https:"))


def test_there_are_no_inline_handlers_and_no_inline_styles() -> None:
    markup = re.sub(r"<(script|style)>.*?</\1>", "", TEXT, flags=re.DOTALL)
    assert re.findall(r"\son\w+\s*=", markup) == []
    assert re.findall(r"\sstyle\s*=", markup) == []
    assert "javascript:" not in TEXT


def test_nothing_is_fetched_from_elsewhere() -> None:
    places = set(re.findall(r"https?://[^\s\"'<>)]+", TEXT))
    assert places == {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert re.findall(r"<(?:script|img|iframe|object|embed)[^>]*\ssrc", TEXT) == []


def test_the_script_makes_no_markup_out_of_texts() -> None:
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"):
        assert way not in TEXT


def test_the_script_calls_the_figures_what_the_commands_call_them() -> None:
    (pairs,) = re.findall(r"const LABELS = new Map\((\[.*\])\);", TEXT)
    assert dict(json.loads(pairs)) == LABELS
