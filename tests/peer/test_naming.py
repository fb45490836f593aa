"""Two members with one name are told apart, and nobody else's name is touched."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
from chains import Chain
from cluster import identity

from coterie.peer.home import Home
from coterie.peer.ledger_file import Ledger
from coterie.peer.ledger_text import line, rows
from coterie.peer.naming import told_names, told_text
from coterie.peer.standstill import shortage
from coterie.peer.status import ledger_status, lines, members_status
from coterie.protocol.events import Notice
from coterie.protocol.genesis import Genesis
from coterie.protocol.ledger import LedgerState

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
