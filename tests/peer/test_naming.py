"""Two members with one name are told apart, and nobody else's name is touched."""

from collections.abc import Mapping
from dataclasses import replace

from chains import Chain
from cluster import identity

from coterie.peer.naming import told_names
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
