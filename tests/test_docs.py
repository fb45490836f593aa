"""The documents name tests and files; this keeps them true."""

import argparse
import contextlib
import importlib.util
import io
import re
import runpy
import shlex
from pathlib import Path

import pytest
from listings import DOCUMENTS

from coterie.apps.flower_plan import INSTALL
from coterie.peer.cli.main import main, parser
from coterie.peer.home.settings import Settings
from coterie.peer.network.limits.meter import MEMBER_SHARE, SECONDS_PER_BLOCK, STRANGERS_SHARE
from coterie.peer.network.transfers import FORGIVEN_SECONDS, MAX_PULL_BYTES, MAX_SERVED_BYTES, MAX_TIMES_SERVED
from coterie.peer.page.server import SHARE
from coterie.peer.training.trainer import founder_learner
from coterie.protocol.events import NoticeKind
from coterie.topology.adversaries import STRATEGIES

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
RECORDS = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
BY_ROOT = ["CONTRIBUTING.md", "SECURITY.md", *(f"docs/decisions/{name}" for name in ("README.md", *RECORDS))]
"""Documents that name files by their paths from the root."""
TELLING_OPTIONS = [
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "tutorial",
            "guide",
            "export",
            "tables",
            "learning",
            "apps",
            "page",
            "metrics",
            "operations",
            "dataprotection",
        )
    ),
]
"""Documents that tell users of the options of `peer`."""
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


@pytest.mark.parametrize("name", ["threats.md", "dataprotection.md"])
def test_every_test_that_statements_rest_on_exists(name: str) -> None:
    mentioned = mentioned_tests((ROOT / "docs" / name).read_text())
    assert len(mentioned) > 40
    assert [one for one in mentioned if not named(one)] == []


def mentioned_tests(text: str) -> list[str]:
    """The tests that a text names."""
    return [one for one in re.findall(r"`([^`]+)`", text) if "test_" in one]


def test_every_statement_on_data_protection_names_what_carries_it() -> None:
    text = (ROOT / "docs" / "dataprotection.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    stated = [row for row in rows if row[-1] not in ("carried by", "---")]
    assert len(stated) > 40
    assert [row[0] for row in stated if not mentioned_tests(row[-1]) and "](" not in row[-1]] == []


def test_what_is_not_defended_is_named_as_the_threats_do() -> None:
    _, _, undefended = (ROOT / "docs" / "threats.md").read_text().partition("\n## What is not defended\n")
    heads = {" ".join(head.split()).rstrip(".") for head in re.findall(r"^- \*\*([^*]+)\*\*", undefended, re.MULTILINE)}
    text = " ".join((ROOT / "docs" / "dataprotection.md").read_text().split())
    linked = set(re.findall(r"\[([^\]]+)\]\(threats\.md#what-is-not-defended\)", text)) - {"threats.md"}
    assert len(linked) > 10
    assert linked - heads == set()


def options_of(command: argparse.ArgumentParser) -> set[str]:
    """The options of a command and of its subcommands."""
    found: set[str] = set()
    for action in command._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for one in action.choices.values() for option in options_of(one)}
    return found


@pytest.mark.parametrize("document", TELLING_OPTIONS)
def test_every_option_that_people_are_told_of_exists(document: str) -> None:
    text = (ROOT / document).read_text().replace(INSTALL, "")  # this one line has an option of pip
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert named - options_of(parser()) == set()


def test_the_first_line_of_the_readme_founds_on_the_table_that_it_names(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    line, label, other = re.findall(
        r"^(peer start [^#]*)#.*?`outcome` is a class, such as `(\w+)` or `(\w+)`", text, re.S | re.M
    )[0]
    given = vars(parser().parse_args(shlex.split(line)[1:]))
    rows = [f"{age},{(label, other)[age % 2]}" for age in range(20, 60)]
    (tmp_path / given["data"]).write_text("\n".join([f"age,{given['target']}", *rows]))
    options = {name: given[name] for name in ("target", "model")} | {"data": str(tmp_path / given["data"])}
    learner = founder_learner(Settings().with_given(options))
    assert learner.app.task.classes == tuple(sorted((label, other)))


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


WORDS = {"twice": 2, "five": 5, "a": 1}
BOUNDS = [
    ("page.md", r"requests together take (\d+) % of the event loop's time", [100 * SHARE]),
    ("page.md", r"at the pace of the same (\d+) %", [100 * SHARE]),
    ("threats.md", r"(\d+) % of the event loop's time for all requests together", [100 * SHARE]),
    (
        "threats.md",
        r"beyond its share \((\d+) ms a second, and (\d+) ms a block\)",
        [1000 * MEMBER_SHARE, 1000 * SECONDS_PER_BLOCK],
    ),
    (
        "protocol.md",
        r"may use (\d+) ms a second and (\d+) ms for each block that is decided, all strangers together (\d+) ms",
        [1000 * MEMBER_SHARE, 1000 * SECONDS_PER_BLOCK, 1000 * STRANGERS_SHARE],
    ),
    (
        "threats.md",
        r"is given each blob (\w+) at most within (\w+) minutes, and (\w+) gigabyte at a time",
        [MAX_TIMES_SERVED, FORGIVEN_SECONDS / 60, MAX_SERVED_BYTES / 2**30],
    ),
    (
        "protocol.md",
        r"served to a member (\w+) at most within (\w+) minutes",
        [MAX_TIMES_SERVED, FORGIVEN_SECONDS / 60],
    ),
    ("threats.md", r"Pulls of all peers together hold (\d+) GiB at a time", [MAX_PULL_BYTES / 2**30]),
]


@pytest.mark.parametrize(("document", "pattern", "bounds"), BOUNDS, ids=lambda one: one if "md" in one else "")
def test_the_bounds_that_a_document_states_are_those_of_the_code(
    document: str, pattern: str, bounds: list[float]
) -> None:
    text = " ".join((ROOT / "docs" / document).read_text().split())
    (found,) = re.finditer(pattern, text)
    assert [float(WORDS.get(one, one)) for one in found.groups()] == pytest.approx(bounds)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_of_a_document_leads_somewhere(document: str) -> None:
    page = ROOT / document
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text())
    wrong = []
    for path, anchor in links:
        if "://" in path:
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            wrong.append(f"{path}#{anchor}")
    assert wrong == []


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as the sites that host repositories make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", BY_ROOT)
def test_every_file_that_a_document_names_exists(document: str) -> None:
    spans = re.findall(r"`([\w./-]+/(?:[\w.-]+\.\w+)?)`", (ROOT / document).read_text())
    assert [one for one in spans if "NAME" not in one and not (ROOT / one).exists()] == []


def test_every_module_of_the_reference_exists() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "hooks" / "modules.py"))["PAGES"].values()
    modules = [module for page in pages for module in page.modules]
    assert modules
    assert [one for one in modules if not _exists(one)] == []


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def test_the_index_of_decisions_lists_all_of_them_in_order() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert re.findall(r"\]\((\d\d-[\w-]+\.md)\)", index) == RECORDS


@pytest.mark.parametrize("name", RECORDS)
def test_every_decision_has_the_same_headings(name: str) -> None:
    text = (ROOT / "docs" / "decisions" / name).read_text()
    headings = ["Context", "Decision", "Why", "What it costs", "What would change it"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == headings


def test_every_target_of_make_that_contributors_are_told_of_exists() -> None:
    told = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert told
    assert told <= targets


def test_the_adversary_in_contributing_runs_and_does_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    monkeypatch.setitem(STRATEGIES, "sulk", STRATEGIES["silent"])  # taken out again with what the example puts there
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "CONTRIBUTING.md", "exec"), {"__name__": "contributing"})
    assert printed.getvalue().strip() == code.strip().rpartition("  # ")[2]


@pytest.mark.parametrize("document", BY_ROOT)
def test_what_contributors_read_wraps_at_100_columns(document: str) -> None:
    lines = (ROOT / document).read_text().splitlines()
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda path: path.name)
def test_every_page_wraps_at_100_columns_but_for_tables_and_listings(document: Path) -> None:
    long, is_listing = [], False
    for line in document.read_text().splitlines():
        is_listing ^= line.lstrip().startswith("```")
        if len(line) > 100 and " " in line.strip() and not is_listing and not line.startswith(("|", "    ")):
            long.append(line)
    assert long == []


def test_the_events_of_the_protocol_are_those_that_the_guide_lists() -> None:
    text = (ROOT / "docs" / "guide.md").read_text()
    _, _, listed = text.partition("\n### Events for scripts\n")
    listed, _, _ = listed.partition("\n## ")
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", listed, re.MULTILINE)
    assert rows == [(str(kind), kind.told) for kind in NoticeKind]
