"""Every listing of commands in the documents is run by a test, or its options and files are checked."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from listings import DOCUMENTS, ROOT, Listing, command_listings, form, listings, missing, peer_commands

from coterie.peer.cli.main import parser

TUTORIAL = "federation/test_documents.py::test_the_tutorial_prints_what_it_shows"
NUMBERS = "federation/test_documents.py::test_what_the_guide_says_of_a_number_is_carried_out_as_it_stands"
CLASSES = "federation/test_documents.py::test_the_first_lines_of_the_readme_train_a_model_of_classes"
WEIGHTS = "federation/test_documents.py::test_the_lines_on_rare_classes_and_rounds_by_time_found_federations"
ALONE = "federation/test_documents.py::test_what_needs_no_federation_is_carried_out_as_it_stands"
PARSED = "parsed: "
"""What follows says why it is not run: the options of `peer` exist, and so do the files and the targets of make."""

CHECKED = {
    ("CONTRIBUTING.md", "make setup"): PARSED + "CI is made of these",
    ("CONTRIBUTING.md", "UPDATE_TRANSCRIPTS=1"): PARSED + "it changes the tree",
    ("CONTRIBUTING.md", ".venv/bin/python -m coterie.topology.sweep"): PARSED + "minutes; topology/test_findings.py",
    ("README.md", "peer start --data ours.csv"): CLASSES,
    ("README.md", "make demo"): PARSED + "CI runs the second, federation/test_crashes.py what the first shows",
    ("README.md", "python3 -m venv"): PARSED + "it builds and downloads; test_packaging.py compares what is packed",
    ("deploy/README.md", "sudo apt-get"): PARSED + "it needs root; test_deploy.py",
    ("deploy/README.md", "sudo -u coterie"): PARSED + "it needs root; test_deploy.py",
    ("deploy/README.md", "sudo systemctl"): PARSED + "it needs systemd; test_deploy.py",
    ("deploy/README.md", "docker build"): PARSED + "it needs Docker; test_deploy.py",
    ("deploy/README.md", "docker compose"): PARSED + "it needs Docker; test_deploy.py runs what compose.yaml says",
    ("docs/apps.md", "peer new-app sklearn"): ALONE,
    ("docs/apps.md", "peer model export"): PARSED + "the reader's own module; federation/test_examples.py",
    ("docs/apps.md", "peer start --flower"): "federation/test_flower.py::"
    "test_a_project_of_flower_is_trained_without_its_server",
    ("docs/apps.md", "pip install --no-deps flwr"): PARSED + "it downloads; test_docs.py compares it with the code's",
    ("docs/assurance.md", "python -m coterie.topology.sweep"): PARSED + "an hour; CI runs 480 of its seeds",
    ("docs/guide.md", "peer start --data ours.csv"): NUMBERS,
    ("docs/guide.md", "peer start --invite"): NUMBERS,
    ("docs/guide.md", "peer data check"): NUMBERS,
    ("docs/guide.md", "peer predict"): NUMBERS,
    ("docs/guide.md", "peer model export"): NUMBERS,
    ("docs/guide.md", "peer refound"): NUMBERS,
    ("docs/guide.md", "peer simulate"): ALONE,
    ("docs/learning.md", "peer start"): WEIGHTS,
    ("docs/learning.md", "python benchmarks/learning.py"): PARSED + "minutes",
    ("docs/metrics.md", "peer metrics"): NUMBERS,
    ("docs/metrics.md", "pip install 'coterie[tensorboard]'"): PARSED + "the packages are optional",
    ("docs/page.md", "peer start --page 127.0.0.1"): NUMBERS,
    ("docs/page.md", "(umask 077"): NUMBERS,
    ("docs/paper.md", "mkdir /tmp/paper"): PARSED + "minutes; topology/test_stories.py runs it in a small size",
    ("docs/tables.md", "peer data check"): NUMBERS,
    ("docs/tables.md", "peer model show"): NUMBERS,
    ("docs/tables.md", "peer start --data ours.csv"): PARSED + "peer/cli/commands/test_data.py checks tables so",
    ("docs/tables.md", "peer data levels"): PARSED + "peer/learning/tables/test_level_files.py shares and founds",
    ("docs/tutorial.md", "make setup"): PARSED + "CI has done it; the lines are compared with .ci/setup",
    ("docs/tutorial.md", ". .venv/bin/activate"): TUTORIAL,
    ("docs/tutorial.md", "peer data check"): TUTORIAL,
    ("docs/tutorial.md", "peer start --home tutorial/aarhus"): TUTORIAL,
    ("docs/tutorial.md", "peer start --home tutorial/bologna"): TUTORIAL,
    ("docs/tutorial.md", "peer start --home tutorial/coimbra"): TUTORIAL,
    ("docs/tutorial.md", "peer status"): TUTORIAL,
    ("docs/tutorial.md", "peer model show"): TUTORIAL,
    ("docs/tutorial.md", "peer ledger verify"): TUTORIAL,
    ("docs/tutorial.md", "head -n 4"): TUTORIAL,
    ("docs/tutorial.md", "peer model export"): TUTORIAL,
}
"""Each listing of commands, by its document and the beginning of its first command: the test that runs it, or why it is
only parsed.
"""

LISTINGS = list(command_listings())
SWEEP = (ROOT / "topology" / "sweep" / "runner.py").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def entries(one: Listing) -> list[tuple[str, str]]:
    """The entries of the table that mean this listing."""
    return [entry for entry in CHECKED if entry[0] == one.document and one.key[1].startswith(entry[1])]


def test_every_listing_of_commands_stands_in_the_table_once() -> None:
    assert [one.key for one in LISTINGS if len(entries(one)) != 1] == []


def test_every_entry_of_the_table_means_a_listing() -> None:
    assert [entry for entry in CHECKED if not any(entry in entries(one) for one in LISTINGS)] == []


@pytest.mark.parametrize("test", sorted({one for one in CHECKED.values() if not one.startswith(PARSED)}))
def test_the_tests_that_run_listings_exist_and_read_their_documents(test: str) -> None:
    module, _, name = test.partition("::")
    source = (ROOT / "tests" / module).read_text()
    assert f"def {name}" in source
    if module == "federation/test_documents.py":
        (body,) = re.findall(rf"def {name}\(.*?(?=\n(?:def|@|class) |\Z)", source, re.DOTALL)
        named = [entry for entry, runs in CHECKED.items() if runs == test]
        assert [entry for entry in named if f'"{entry[0]}"' not in body and entry[0] != "docs/tutorial.md"] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_listing_says_what_it_is(document: str) -> None:
    text = (ROOT / document).read_text()
    known = {"sh", "console", "text", "python", "yaml"}
    assert {one.language for one in listings(document)} <= known
    assert 2 * len(listings(document)) == len(re.findall(r"^ *```", text, re.MULTILINE)), "a fence that is indented"


@pytest.mark.parametrize("one", LISTINGS, ids=lambda one: f"{one.document}: {one.key[1][:40]}")
def test_every_command_that_is_told_has_options_and_files_that_exist(one: Listing) -> None:
    for line in one.commands:
        for words in peer_commands(line):
            if words not in (["--version"], ["--help"]):
                parser().parse_args(words)
        code, _, _ = line.partition(" # ")
        assert set(re.findall(r"\bmake ([a-z]+)", code)) <= TARGETS
        files = re.findall(r"(?<![\w/-])(?:tests|deploy|examples|benchmarks|\.ci)/[\w./-]*", code)
        assert [file for file in files if not (ROOT / file).exists()] == []
        if "coterie.topology.sweep" in code:
            options = re.findall(r"--[a-z-]+", code)
            assert [option for option in options if f'"{option}"' not in SWEEP] == []


def test_the_tutorial_shows_what_the_setup_says() -> None:
    said = (ROOT / ".ci" / "setup").read_text()
    (shown,) = [one for one in listings("docs/tutorial.md") if one.commands[:1] == ["make setup"]]
    lines = [line.removeprefix("setup: ") for line in shown.typed[0][1]]
    assert len(lines) > 2
    assert [line for line in lines if line.partition(" with ")[0].replace("'dev'", "'$extra'") not in said] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_program_in_a_document_imports_from_coterie_exists(document: str) -> None:
    for one in listings(document):
        if one.language != "python":
            continue
        for node in ast.walk(ast.parse(one.text if one.text.lstrip().startswith(("import", "from")) else "")):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("coterie."):
                found = _names(Path(ROOT, *node.module.split(".")[1:]), node.module)
                assert [name.name for name in node.names if name.name not in found] == []


def _names(place: Path, module: str) -> set[str]:
    """What a module defines; read and not imported, since its adapter may need a package that is not installed."""
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = file.read_text()
    listed = re.findall(r"^__all__ = \[(.*?)\]", text, re.DOTALL | re.MULTILINE)
    if listed:
        return set(re.findall(r'"(\w+)"', listed[0]))
    return set(vars(importlib.import_module(module)))


def test_a_line_is_found_whatever_its_numbers_and_ids_are() -> None:
    told = ["…", "21:46:03 founded the federation 'coterie' afb178e50bf9dfb4…", "Bologna joined"]
    printed = ["09:01:00 looking", "09:01:02 founded the federation 'coterie' 0123456789abcdef…", "Coimbra joined"]
    assert missing(told, printed) == []
    assert missing(told, printed[:2]) == ["SITE joined"]
    assert missing(told, printed[::-1]) == ["SITE joined"]


def test_a_listing_without_gaps_holds_all_that_was_printed() -> None:
    assert missing(["a 1", "b 2"], ["b 3", "a 4", ""]) == []
    assert missing(["a 1"], ["a 1", "c 2"]) == ["not told: c #"]
    assert missing(["a 1", "b"], ["a 1"]) == ["b"]


def test_numbers_are_taken_out_of_a_line_and_words_are_not() -> None:
    assert form("round 2 (train): agreed; R2 -0.0152, in …wyLtuuRQCP8") == "round # (train): agreed; R# #, in ID"
