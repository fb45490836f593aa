"""The documents name tests and files; this keeps them true."""

import argparse
import re
from pathlib import Path

import pytest

from coterie.peer.cli import main, parser
from coterie.topology.adversaries import STRATEGIES

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
NAMES = {name for path in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}


def named(text: str) -> bool:
    """Whether a test or test file that a document names exists; … stands for a part that was left out."""
    path, _, name = text.rpartition("::")
    if not name and not path:
        return False
    if path and not (TESTS / path).is_file() and not path.startswith("…"):
        return False
    if name.endswith(".py"):
        return (TESTS / name).is_file()
    pattern = re.compile(re.escape(name).replace("…", r"\w*"))
    return any(pattern.fullmatch(one) for one in NAMES)


def test_every_test_that_the_threats_name_exists() -> None:
    text = (ROOT / "docs" / "threats.md").read_text()
    mentioned = [one for one in re.findall(r"`([^`]+)`", text) if "test_" in one]
    assert len(mentioned) > 40
    assert [one for one in mentioned if not named(one)] == []


def options_of(command: argparse.ArgumentParser) -> set[str]:
    """The options of a command and of its subcommands."""
    found: set[str] = set()
    for action in command._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for one in action.choices.values() for option in options_of(one)}
    return found


@pytest.mark.parametrize("document", ["README.md", "docs/guide.md"])
def test_every_option_that_people_are_told_of_exists(document: str) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / document).read_text()))
    assert named - options_of(parser()) == set()


def test_the_guide_tells_of_every_option_that_one_needs_to_be_reached_and_to_join() -> None:
    text = (ROOT / "docs" / "guide.md").read_text()
    needed = (
        "--listen",
        "--announce",
        "--bootstrap",
        "--invite",
        "--join",
        "--mdns",
        "--dht",
        "--passphrase-file",
        "--home",
    )
    assert [option for option in needed if f"`{option}" not in text and f" {option}" not in text] == []


def test_all_strategies_of_liars_are_named_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    shown = "".join(capsys.readouterr().out.split())  # wherever the lines are broken
    assert f"thestrategies:{','.join(STRATEGIES)}--beyond-f" in shown
    counted = re.findall(r"(\d+) ways, `--help` names them", (ROOT / "docs" / "guide.md").read_text())
    assert counted == [str(len(STRATEGIES))]


@pytest.mark.parametrize("document", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_relative_link_of_a_document_leads_somewhere(document: str) -> None:
    page = ROOT / document
    links = [one for one in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()) if "://" not in one]
    assert [one for one in links if not (page.parent / one).exists()] == []
