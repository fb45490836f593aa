"""The site of documentation: it is built without a warning and without a network, and holds what it is to hold.

Skipped where MkDocs is not installed: `.ci/setup docs` installs it.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from listings import ROOT
from markdown_it import MarkdownIt

from coterie.peer.cli.main import parser

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("mkdocs", "material", "mkdocstrings_handlers")),
        reason="the site's packages are not installed: .ci/setup docs",
    ),
    pytest.mark.skipif(not (ROOT / ".venv" / "tree").exists(), reason="the package has no link below .venv/tree"),
]

OFFLINE = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("the build asked the network")
socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
from mkdocs.__main__ import cli
cli(sys.argv[1:])
"""
"""MkDocs in a process that can reach nobody."""

OUTSIDE = {
    "README.md": "repository/readme.html",
    "CHANGELOG.md": "repository/changelog.html",
    "CONTRIBUTING.md": "repository/contributing.html",
    "SECURITY.md": "repository/security.html",
    "deploy/README.md": "repository/deploy.html",
    "examples/README.md": "repository/examples.html",
    "examples/grafana/README.md": "repository/grafana.html",
}
PAGES = {
    str(path.relative_to(ROOT)): re.sub(r"(^|/)README\.md$", r"\1index.md", str(path.relative_to(ROOT / "docs")))[:-3]
    + ".html"
    for path in sorted((ROOT / "docs").rglob("*.md"))
} | OUTSIDE
"""Each document, and its page in the site."""

COUNTED = {
    "li": ("list_item_open",),
    "table": ("table_open",),
    "pre": ("fence", "code_block"),
    "em": ("em_open",),
    "strong": ("strong_open",),
}
"""Elements of a page, and what they are for a reader of CommonMark."""


class Read(HTMLParser):
    """What tests ask of a page: its elements below `<article>`, its ids and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.counts = dict.fromkeys(COUNTED, 0)
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.text = ""
        self._depth = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._depth += tag == "article"
        if self._depth and tag in self.counts:
            self.counts[tag] += 1
        self.ids |= {given["id"]} if "id" in given else set()
        if tag in ("script", "img", "iframe", "source", "link") and given.get("rel") != "canonical":
            self.loads += [given[name] for name in ("src", "href", "srcset") if name in given]

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "article"

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it, but without a network."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("INFO")] == []
    return folder


def test_every_document_has_its_page(site: Path) -> None:
    assert [page for page in PAGES.values() if not (site / page).exists()] == []


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        read = Read(page.read_text())
        assert len(read.loads) > 3
        assert [one for one in read.loads if re.match(r"(\w+:)?//", one)] == [], page
    for sheet in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*", sheet.read_text()) == []


def test_the_search_has_all_pages_and_works_from_files(site: Path) -> None:
    text = (site / "search" / "search_index.js").read_text()
    found = {one["location"].partition("#")[0] for one in json.loads(text.removeprefix("var __index = "))["docs"]}
    assert set(PAGES.values()) - found == set()
    assert "iframe-worker.js" in "".join(Read((site / "index.html").read_text()).loads)


def test_each_page_shows_the_lists_tables_and_listings_of_its_document(site: Path) -> None:
    reader = MarkdownIt("commonmark").enable("table")
    wrong = []
    for document, page in PAGES.items():
        if document in ("docs/index.md", "docs/reference/index.md"):
            continue  # their lists are more in the site than in the repository
        blocks = reader.parse((ROOT / document).read_text())
        tokens = [token for one in blocks for token in (one, *(one.children or []))]
        told = {tag: sum(token.type in kinds for token in tokens) for tag, kinds in COUNTED.items()}
        shown = Read((site / page).read_text()).counts
        if told != shown:
            wrong.append((document, told, shown))
    assert wrong == []


def test_the_reference_has_every_command_and_option(site: Path) -> None:
    page = Read((site / "reference" / "commands.html").read_text())
    names, options = zip(*all_commands(parser(), "peer"), strict=True)
    assert len(names) > 15
    assert [name for name in names if name.replace(" ", "-") not in page.ids | {"peer"}] == []
    wanted = {option for some in options for option in some} - {"-h", "--help", "--version"}
    assert [one for one in sorted(wanted) if one not in page.text] == []
    help_of_data = "this peer's own table; it never leaves the machine"
    assert help_of_data in page.text


def all_commands(command: argparse.ArgumentParser, name: str) -> list[tuple[str, set[str]]]:
    """The name and the options of a command and of all below it."""
    found = [(name, {option for action in command._actions for option in action.option_strings})]
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner, one in action.choices.items():
                found += all_commands(one, f"{name} {inner}")
    return found


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("apps", "coterie.apps.sklearn.SklearnApp"),
        ("apps", "coterie.apps.torch.TorchApp"),
        ("apps", "coterie.apps.jax.JaxApp"),
        ("apps", "coterie.apps.flower.FlowerApp"),
        ("simulator", "coterie.topology.simulate"),
        ("schemes", "coterie.protocol.schemes.base.Scheme.deal"),
        ("schemes", "coterie.protocol.scheme_registry.SCHEMES"),
        ("crypto", "coterie.crypto.sharing.shamir.Scheme"),
        ("crypto", "coterie.crypto.identity.sealing.DealingKey.judge"),
        ("crypto-proof", "coterie.crypto.proof.prover"),
        ("crypto-paillier", "coterie.crypto.paillier.generation.joint.joint_key"),
        ("crypto-masks", "coterie.crypto.masks.mask"),
    ],
)
def test_the_reference_has_the_modules_that_programs_import(site: Path, page: str, name: str) -> None:
    assert name in Read((site / "reference" / f"{page}.html").read_text()).ids


def test_docstrings_show_no_markup_of_another_language(site: Path) -> None:
    for page in (site / "reference").glob("*.html"):
        text = Read(page.read_text()).text
        assert re.findall(r":(?:mod|class|func|meth|data|attr):`?|``|::$", text, re.MULTILINE) == [], page
