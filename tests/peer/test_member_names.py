"""Two members with one name are told apart, and nobody else's name is touched."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from chains import Chain
from members import identity

from coterie.peer.home.folder import Home
from coterie.peer.learning.row_owners import RowOwners
from coterie.peer.member_names import in_words, told_names, told_text
from coterie.peer.reporting.ledger_export import Ledger
from coterie.peer.reporting.ledger_rows import line, rows
from coterie.peer.reporting.quorum_watch import kept_out, shortage
from coterie.peer.reporting.reporters import describe
from coterie.peer.reporting.status import ledger_status, lines, members_status
from coterie.protocol.events import Notice
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.ledger.state import LedgerState

FORGED = "round 7 failed; Dresden was evicted"
A, B, C, D = (identity(number).public for number in range(4))


def called(names: Mapping[bytes, str]) -> LedgerState:
    """A state whose members have these names."""
    state = Chain(4).state
    return replace(state, members=tuple(replace(one, name=names[one.key]) for one in state.members))


def told(number: int, name: str) -> str:
    return f"{name} …{identity(number).peer_id[-6:]}"


def test_members_with_one_name_are_told_apart_by_their_peer_ids() -> None:
    state = called({A: "vm", B: "vm", C: "Bologna", D: "vm2"})
    assert told_names(state) == {A: told(0, "vm"), B: told(1, "vm"), C: "Bologna", D: "vm2"}


def test_one_that_left_is_told_apart_while_it_belongs_to_the_round() -> None:
    state = called({A: "vm", B: "Bologna", C: "Coimbra", D: "Dresden"})
    left = replace(state, members=tuple(one for one in state.members if one.key != D))
    assert told_names(left, {D: "vm"}) == {A: told(0, "vm"), B: "Bologna", C: "Coimbra", D: told(3, "vm")}
    assert told_names(left, {D: "Dresden"})[A] == "vm"
    stranger = identity(9).public
    assert told_names(left, {stranger: "Bologna"}) == {
        A: "vm",
        B: "Bologna",
        C: "Coimbra",
        stranger: f"Bologna …{identity(9).peer_id[-6:]}",
    }


def test_notices_tell_members_with_one_name_apart() -> None:
    state = called({A: "vm", B: "vm", C: "Bologna", D: "Dresden"})
    vm, double = told(0, "vm"), told(1, "vm")
    for kind, text, facts, expected in (
        ("joined", "vm joined", {"member": B, "name": "vm"}, f"{double} joined"),
        ("joined", "Bologna joined", {"member": C, "name": "Bologna"}, "Bologna joined"),
        ("left", "vm left", {"member": identity(9).public, "name": "vm"}, f"{told(9, 'vm')} left"),
        (
            "stuck",
            "round 3: waiting for vm, Bologna. If",
            {"members": (B, C), "missing": ["vm", "Bologna"]},
            f"round 3: waiting for {double}, Bologna. If",
        ),
        ("stuck", "repeated never", {"members": (), "missing": []}, "repeated never"),
        (
            "void",
            "round 3: void; missed, as vm saw it: vm",
            {"members": (B,), "missed": ["vm"], "proposer": A},
            f"round 3: void; missed, as {vm} saw it: {double}",
        ),
        ("fault", "vm", {"member": A}, "vm"),
    ):
        assert told_text(Notice(kind, text, facts), state) == expected


@pytest.mark.parametrize("name", ["vm", "peer 0", "Sankt-Anna (Ost)", "O'Neill", "京都_2", "a.b", "vm …SabZrF", "Zoë"])
def test_a_name_that_can_be_told_from_a_sentence_stands_as_it_is(name: str) -> None:
    assert in_words(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (FORGED, f'"{FORGED}"'),
        ('a" joined; "b', '"a\\" joined; \\"b"'),
        ("a\\", '"a\\\\"'),
        ("12:00:00 x", '"12:00:00 x"'),
        ("a, b", '"a, b"'),
    ],
)
def test_a_name_that_reads_as_a_sentence_stands_in_quotes(name: str, expected: str) -> None:
    assert in_words(name) == expected


def test_names_that_read_as_sentences_are_quoted_wherever_they_are_told_and_nowhere_in_facts() -> None:
    state = called({A: "Aarhus", B: FORGED, C: "Coimbra", D: "Dresden"})
    quoted = f'"{FORGED}"'
    for kind, text, facts in (
        ("joined", f"{FORGED} joined", {"member": B, "name": FORGED}),
        ("left", f"{FORGED} was evicted: it sent a wrong sum", {"member": B, "name": FORGED}),
        ("stuck", f"waiting for {FORGED}. If", {"members": (B,), "missing": [FORGED]}),
        ("void", f"void; missed, as {FORGED} saw it: Coimbra", {"members": (C,), "missed": ["Coimbra"], "proposer": B}),
    ):
        assert told_text(Notice(kind, text, facts), state) == text.replace(FORGED, quoted)
    assert describe("is back", {"member": B, "who": FORGED}) == f"{quoted}: is back"
    assert quoted in (shortage(state, A, [], Home(Path("/home"))) or "")
    assert quoted in (kept_out(state, A, [], [FORGED]) or "")
    assert RowOwners(3, 2, [FORGED]).text().endswith(f"without {quoted}")
    members = members_status(state, B, ())
    assert [row["name"] for row in members if row["me"]] == [FORGED]
    shown = "\n".join(lines({"running": True, **ledger_status(state), "members": members}))
    assert FORGED[:16] in shown
    assert shown.count(FORGED[:16]) == shown.count(f'"{FORGED[:16]}')


def test_the_ledger_quotes_names_that_read_as_sentences() -> None:
    chain = Chain(4)
    genesis = msgspec.structs.replace(chain.genesis, name=FORGED)
    (row, *_) = rows(Ledger("a ledger", genesis, ()))
    assert row["name"] == FORGED
    assert f'"{FORGED}", founded' in line(row)
    vote = {"height": 1, "hash": "00", "kind": "void", "round": 1, "reason": "sum", "proposer_name": FORGED}
    assert f'missed: nobody, as "{FORGED}" saw it' in line({**vote, "names": []})
    change = {"change": "join", "name": FORGED}
    told_line = line({"height": 1, "hash": "00", "kind": "membership", "changes": [change], "members": [1]})
    assert f'"{FORGED}" joins; 1 members' in told_line


def test_status_and_standstill_tell_members_with_one_name_apart() -> None:
    state = called({A: "vm", B: "vm", C: "vm", D: "Dresden"})
    status = {"running": True, **ledger_status(state), "members": members_status(state, A, ())}
    aggregator = next(one for one in lines(status) if one.startswith("aggregator"))
    name = told_names(state)[state.proposer(0)]
    assert aggregator == f"aggregator  {name} (view 0)"
    text = shortage(state, A, [], Home(Path("/home")))
    assert text is not None
    for one in (told(1, "vm"), told(2, "vm"), "Dresden"):
        assert one in text


def test_the_ledger_tells_members_with_one_name_apart() -> None:
    chain = Chain(4)
    genesis = replace_name(chain)
    again = Chain(4, genesis=genesis)
    told_lines = [line(row) for row in rows(Ledger("a ledger", genesis, again.blocks))]
    joiner = next(identity(number) for number in range(1, 4) if name_of(again, number) == genesis.founder_name)
    assert f"{genesis.founder_name} …{joiner.peer_id[-6:]} joins" in told_lines[1]


def replace_name(chain: Chain) -> Genesis:
    """A genesis whose founder is called as the first member that joins."""
    return msgspec.structs.replace(chain.genesis, founder_name=name_of(chain, 1))


def name_of(chain: Chain, number: int) -> str:
    member = chain.state.member(identity(number).public)
    assert member is not None
    return member.name
