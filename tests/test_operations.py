"""The runbook quotes what `peer` really prints, and its figures are those of the code."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from coterie.peer.cli.commands.diagnosis import disk_needed_bytes, memory_needed_bytes
from coterie.peer.errors import Exit
from coterie.peer.home.sqlite import VERSION
from coterie.protocol.limits import MAX_MEMBERS, MAX_PARAMETERS, PROTOCOL_VERSION

ROOT = Path(__file__).parent.parent
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()
README = (ROOT / "README.md").read_text()
HOLE = "…"
"""Stands for what differs, in a quotation and in what is quoted."""
MIN_LETTERS = 10
"""Fewer letters would be found anywhere."""


def sections() -> dict[str, str]:
    """The text under each heading, up to the next one of any level."""
    parts = re.split(r"^#+ (.+)$", RUNBOOK, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    lines = [line for line in sections()[heading].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| ---")][1:]


def quotations() -> list[str]:
    """What the runbook's tables quote: the first cell of each row that is a code span."""
    by_symptom = RUNBOOK.partition("\n## By symptom\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`|]+)` \|", by_symptom, re.MULTILINE)


@cache
def printed() -> tuple[str, ...]:
    """All texts in the source, each with holes where something is filled in; docstrings are none."""
    files = [path for layer in ("peer", "protocol", "crypto") for path in (ROOT / layer).rglob("*.py")]
    return tuple(text for path in files for text in texts(ast.parse(path.read_text())))


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts below a node of a syntax tree."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.JoinedStr):
            yield "".join(one.value if isinstance(one, ast.Constant) else HOLE for one in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        yield from texts(node)


def stands_in(quotation: str, text: str) -> bool:
    """Whether all parts of a quotation stand in a text, in their order."""
    parts = [re.escape(part.strip()) for part in quotation.split(HOLE)]
    return re.search(".*".join(parts), text, re.DOTALL) is not None


def test_the_runbook_quotes_many_messages() -> None:
    assert len(quotations()) > 60
    assert len(set(quotations())) == len(quotations())


@pytest.mark.parametrize("quotation", quotations())
def test_what_the_runbook_quotes_stands_in_the_source(quotation: str) -> None:
    assert len(re.findall(r"[a-z]", quotation)) >= MIN_LETTERS
    assert any(stands_in(quotation, text) for text in printed())


def test_what_is_not_printed_is_not_found() -> None:
    assert not any(stands_in("the disk is … empty", text) for text in printed())
    assert not any(stands_in("Something that a person has to put right", text) for text in printed())


def test_every_exit_code_has_its_row() -> None:
    told = [(int(code), again) for code, again, _ in rows("Exit codes, and what systemd does")]
    assert [code for code, _ in told] == [int(one) for one in Exit]
    assert {again for _, again in told} == {"yes", "no"}


def test_the_codes_in_the_tables_of_symptoms_are_exit_codes() -> None:
    by_symptom = RUNBOOK.partition("\n## By symptom\n")[2].partition("\n## ")[0]
    codes = {int(code) for code in re.findall(r"^\| `[^`|]+` \| (\d+) \|", by_symptom, re.MULTILINE)}
    assert codes >= set(Exit) - {Exit.OK, Exit.CHECK_FAILED, Exit.DATA, Exit.NOT_RUNNING}
    assert codes <= set(Exit)


def test_the_capacity_is_what_doctor_asks_for() -> None:
    table = rows("Capacity")
    assert len(table) > 5
    for parameters, members, memory, disk, sent in table:
        size, n = int(parameters.replace(",", "")), int(members)
        assert memory == f"{memory_needed_bytes(size, n) / 1e6:,.0f} MB"
        assert disk == f"{disk_needed_bytes(size, n) / 1e6:,.0f} MB"
        assert float(sent.removesuffix(" MB")) == pytest.approx(3 * size * n / 1e6)
    assert f"At most {MAX_MEMBERS:,} members and {MAX_PARAMETERS:,} parameters" in RUNBOOK


def test_the_rule_for_bytes_is_that_of_the_measurements() -> None:
    (measured,) = re.findall(r"^\| 1,000,000 \| shamir \|[^|]*\|[^|]*\| ([\d.]+) \|", README, re.MULTILINE)
    assert float(measured) / 8 == pytest.approx(3 * 8, rel=0.05)


def test_the_versions_are_those_of_this_release() -> None:
    told = re.findall(r"protocol \(now (\d+)\) and that of the store \(now (\d+)\)", " ".join(RUNBOOK.split()))
    assert told == [(str(PROTOCOL_VERSION), str(VERSION))]
