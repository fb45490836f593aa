"""What MkDocs does not do alone: pages from outside of docs/, links that leave it, and the reference."""

import posixpath
import re
from pathlib import Path
from typing import Any, Final

import commands
import lists
import modules
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[2]

OUTSIDE: Final = {
    "README.md": "repository/readme.md",
    "CHANGELOG.md": "repository/changelog.md",
    "CONTRIBUTING.md": "repository/contributing.md",
    "SECURITY.md": "repository/security.md",
    "deploy/README.md": "repository/deploy.md",
    "examples/README.md": "repository/examples.md",
    "examples/grafana/README.md": "repository/grafana.md",
}
"""Documents of the repository that lie outside of docs/, and their places in the site."""

_INSIDE: Final = {place: path for path, place in OUTSIDE.items()}
_FENCE: Final = re.compile(r"^( *)(```+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside, and the generated ones."""
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, "reference/commands.md", content=commands.page()))
    for name, text in modules.pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links and lists that are right in the repository into such as are right in the site."""
    here = _in_repository(page.file.src_uri)

    def turned(match: re.Match[str]) -> str:
        target = match[2]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        place = _in_site(path, config, files)
        return match[1] + posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".") + match[3]

    return _outside_fences(markdown, lambda text: lists.by_fours(_LINK.sub(turned, text)))


def _in_repository(place: str) -> str:
    return _INSIDE.get(place, f"docs/{place}")


def _in_site(path: str, config: MkDocsConfig, files: Files) -> str:
    """Return the place in the site of a file of the repository; one that is no page is copied into the site."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    place = f"repository/files/{path}"
    if files.get_file_from_path(place) is None and (ROOT / path).is_file():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return place  # where there is no such file, MkDocs says so


def _outside_fences(text: str, change: Any) -> str:
    """Change all of a text but its listings."""
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])
