"""The listings of the documents, the commands in them, and how a text compares with what a command printed."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    str(path.relative_to(ROOT))
    for folder, pattern in ((".", "*.md"), ("docs", "**/*.md"), ("deploy", "*.md"), ("examples", "**/*.md"))
    for path in sorted((ROOT / folder).glob(pattern))
]
_FENCE = re.compile(r'^```(\w*)(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing between fences; one in ``sh`` is commands, one in ``console`` commands after ``$`` and their output."""

    document: str
    language: str
    title: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands, each as it is typed, with its comment."""
        if self.language == "console":
            return [command for command, _ in self.typed]
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]

    @property
    def typed(self) -> list[tuple[str, list[str]]]:
        """The commands of a console, each with the lines that it printed; "" is what was typed before."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found = found or [("", [])]
                found[-1][1].append(line)
        return found

    @property
    def key(self) -> tuple[str, str]:
        """Document and first command, without its comment."""
        first = self.commands[0]
        return self.document, re.sub(r"\s+# .*", "", first).strip()


def listings(document: str) -> list[Listing]:
    """All listings of a document."""
    return [Listing(document, *found.groups("")) for found in _FENCE.finditer((ROOT / document).read_text())]


def command_listings() -> Iterator[Listing]:
    """The listings of all documents in which something is typed."""
    for document in DOCUMENTS:
        for one in listings(document):
            if one.language == "sh" or (one.language == "console" and one.typed[0][0]):
                yield one


def listing(document: str, first: str) -> Listing:
    """The listing whose first command begins so."""
    (found,) = [one for one in command_listings() if one.document == document and one.key[1].startswith(first)]
    return found


def peer_commands(line: str) -> list[list[str]]:
    """The arguments of each `peer` in a line that a shell would run, also through sudo, Docker or another command."""
    inner = re.findall(r"\$\((peer [^)]*)\)", line)
    lexer = shlex.shlex(re.sub(r"\$\(peer [^)]*\)", "TOKEN", line), posix=True, punctuation_chars="();&|<>")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("();&|<>"):
            parts.append([])
        else:
            parts[-1].append(word)
    found = []
    for words in parts:
        image = "coterie" if words[:2] == ["docker", "run"] else "peer"
        places = [place for place, word in enumerate(words) if Path(word).name == image]
        if places and words[places[-1] + 1 :]:
            found.append(words[places[-1] + 1 :])
    return found + [one for part in inner for one in peer_commands(part)]


NAMES = ("Aarhus", "Bologna", "Coimbra")
_VARIES = (
    (re.compile(r"coterie1-[\w-]*…?"), "TOKEN"),
    (re.compile(r"/ip4/\S+"), "ADDRESS"),
    (re.compile(r"\b[0-9a-f]{16}…"), "HASH"),
    (re.compile(r"…\w{11}\b"), "ID"),
    (re.compile("|".join(NAMES)), "SITE"),
    (re.compile(r"-?\d+(\.\d+)?(e-?\d+)?"), "#"),
    (re.compile(r" +"), " "),
)
"""What differs from run to run, in the order in which it is taken out: ids, places, numbers, and who was first."""


def form(line: str) -> str:
    """What a printed line has in common with that of another run."""
    for pattern, stands in _VARIES:
        line = pattern.sub(stands, line)
    return line.strip()


def missing(told: Sequence[str], printed: Sequence[str]) -> list[str]:
    """The lines of a document that a command did not print, in this order.

    A line ``…`` stands for lines that are left out, and … in a line for what is left out of it. Without such lines
    the command has to have printed these and no others; members may stand in another order.
    """
    told = [form(line) for line in told]
    lines = [form(line) for line in printed]
    if "…" not in told:
        while lines and not lines[-1]:
            lines.pop()
        extra = [f"not told: {line}" for line in lines if not any(_fits(one, line) for one in told)]
        return extra + [one for one in told if not any(_fits(one, line) for line in lines)]
    wrong, place = [], 0
    for one in told:
        if one in ("…", ""):
            continue
        found = next((at for at in range(place, len(lines)) if _fits(one, lines[at])), None)
        if found is None:
            wrong.append(one)
        else:
            place = found + 1
    return wrong


def _fits(told: str, printed: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, told.split("…"))), printed) is not None
