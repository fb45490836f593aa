"""Dealings that prove themselves, as the ledger sees them: evidence of a false proof, and the bound of updates."""

from typing import Any

import numpy as np
import pytest
from chains import Chain
from hypothesis import given
from hypothesis import strategies as st
from members import identity
from signing import signed

from coterie.crypto.proof.terms import MAX_COLUMNS, MAX_HOLDERS, MAX_REFERENCE, WEIGHT_UNIT, Declared
from coterie.crypto.sharing.fixed_point import BoundedNorm
from coterie.protocol.jobs import Contribution, Encode
from coterie.protocol.ledger.blocks import Evict, Membership, Void
from coterie.protocol.ledger.contribution import BIT, NOT_NEGATIVE, Layout, Proved, layout_of
from coterie.protocol.ledger.genesis import Bounds, GenesisError, check_genesis, read_genesis
from coterie.protocol.ledger.norms import LEAST_QUARTERS, MOST_QUARTERS, nearest_quarters, next_quarters, norm_of
from coterie.protocol.ledger.state import LedgerError, LedgerState, apply_change
from coterie.protocol.limits import MAX_PROVED_MEMBERS, MAX_PROVED_PARAMETERS, MAX_PROVED_REFERENCE
from coterie.protocol.messages.kinds import Deal, Message
from coterie.protocol.schemes.shamir import DealShares
from coterie.topology.adversaries.provers import LIES, with_prover

LIAR = identity(2)


def chain_of(members: int = 4, **changes: Any) -> Chain:
    return Chain(members, **{"bounds": Bounds(quarters=0)} | changes)


def job(state: LedgerState, dealer: Any = LIAR) -> DealShares:
    """The job of a member that deals in this round."""
    layout = state.terms.layout
    given = Contribution(10, (4.0, 2.0), bytes(32), np.full(state.genesis.parameters, 0.01, np.float32))
    encoded = Encode(state.round, layout, given, state.clip, 4, state.genesis.examples_ref).run()
    place = state.committee.index(dealer.public)
    assert place is not None
    following = sorted((place + step) % state.committee.n for step in range(1, state.committee.threshold))
    return DealShares(state.terms, state.committee, dealer, encoded.vector, encoded.seed, tuple(following))


def false_deal(state: LedgerState, lie: str = "4 times") -> Deal:
    return with_prover(job(state), *LIES[lie]).run().deal


def eviction(state: LedgerState, *said: Message, by: Any = LIAR, of: Any = LIAR) -> Evict:
    return Evict(of.public, "false-proof", tuple(signed(by, one, 3, 0, state.federation).raw for one in said))


def test_a_false_proof_evicts_its_dealer_for_good_and_a_right_one_nobody() -> None:
    state = chain_of().state
    after = apply_change(state, eviction(state, false_deal(state)))
    assert after.member(LIAR.public) is None
    assert after.gone[LIAR.public].barred
    with pytest.raises(LedgerError, match="no dealing of this member with a false proof"):
        apply_change(state, eviction(state, job(state).run().deal))


@pytest.mark.parametrize("what", ["another's", "of another round", "two", "none", "no dealing"])
def test_what_is_no_evidence_of_a_false_proof_evicts_nobody(what: str) -> None:
    state = chain_of().state
    deal = false_deal(state)
    evicted = {
        "another's": eviction(state, deal, of=identity(1)),
        "of another round": eviction(state, replace_deal(deal, round=9)),
        "two": eviction(state, deal, deal),
        "none": eviction(state),
        "no dealing": Evict(LIAR.public, "false-proof", (chain_of().join(LIAR).request,)),
    }[what]
    with pytest.raises(LedgerError, match="no dealing of this member with a false proof"):
        apply_change(state, evicted)


def replace_deal(deal: Deal, **changes: Any) -> Deal:
    return Deal(**{name: getattr(deal, name) for name in deal.__struct_fields__} | changes)


def test_a_dealing_of_a_federation_that_proves_nothing_is_no_evidence() -> None:
    state = Chain(4).state
    with pytest.raises(LedgerError, match="no dealing of this member with a false proof"):
        apply_change(state, eviction(state, false_deal(chain_of().state)))


@pytest.mark.parametrize("rounds", [1, 5, 16])
def test_a_false_proof_of_a_recent_round_is_judged_against_that_round(rounds: int) -> None:
    chain = chain_of()
    wrong, right = false_deal(chain.state), job(chain.state).run().deal
    for number in range(rounds):
        chain.append(Void(number + 1, "shares", ()))
    state = chain.state
    assert apply_change(state, eviction(state, wrong)).member(LIAR.public) is None
    with pytest.raises(LedgerError, match="false proof"):
        apply_change(state, eviction(state, right))
    chain.append(Void(rounds + 1, "shares", ()))
    if rounds == 16:
        with pytest.raises(LedgerError, match="false proof"):
            apply_change(chain.state, eviction(chain.state, wrong))


def test_a_member_that_joined_since_is_no_dealer_of_the_round_before() -> None:
    chain = chain_of()
    late = identity(7)
    deal = false_deal(chain.state)
    chain.append(Membership((chain.join(late),)))
    with pytest.raises(LedgerError, match="false proof"):
        apply_change(chain.state, eviction(chain.state, deal, by=late, of=late))


def test_a_federation_whose_dealings_prove_themselves_has_at_most_so_many_members() -> None:
    chain = chain_of(20, min_peers=3)
    chain.append(Membership(tuple(chain.join(identity(number)) for number in range(20, MAX_PROVED_MEMBERS))))
    assert len(chain.state.members) == MAX_PROVED_MEMBERS
    with pytest.raises(LedgerError, match=f"has its {MAX_PROVED_MEMBERS} members"):
        apply_change(chain.state, chain.join(identity(MAX_PROVED_MEMBERS)))


# The genesis and the layouts.


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scheme": "plain"}, "dealings of plain prove nothing"),
        ({"examples_ref": 2**17}, "full weights of up to 65536"),
        ({"shapes": ((2**25 + 1,),)}, "parameters"),
        ({"bounds": Bounds(quarters=0, setup_declared=b"\1")}, "declared"),
        ({"setup_sums": 1, "bounds": Bounds(quarters=0, setup_declared=b"\3")}, "declared"),
    ],
)
def test_bounds_that_no_dealing_could_prove_are_refused(changes: dict[str, Any], told: str) -> None:
    genesis = chain_of().genesis
    fields = {name: getattr(genesis, name) for name in genesis.__struct_fields__} | changes
    with pytest.raises(GenesisError, match=told):
        check_genesis(type(genesis)(**fields))


def test_a_genesis_with_bounds_comes_back_as_it_was() -> None:
    genesis = chain_of(setup_sums=2, bounds=Bounds(quarters=-3, adapts=False, setup_declared=b"\1\0")).genesis
    assert read_genesis(genesis.encode()) == genesis


def test_layouts_say_what_is_proved_of_each_sum() -> None:
    genesis = chain_of(setup_sums=3, bounds=Bounds(quarters=0, setup_declared=b"\1\2\0"), metrics=("a",)).genesis
    ref = genesis.examples_ref
    assert layout_of(genesis, "setup") == Layout(0, 5, is_setup=True, proved=Proved(ref, (NOT_NEGATIVE, BIT)))
    declared = (NOT_NEGATIVE, 0, 0, BIT)
    assert layout_of(genesis, "train") == Layout(genesis.parameters, 6, proved=Proved(ref, declared), has_bit=True)
    assert layout_of(genesis, "evaluate") == Layout(0, 6, proved=Proved(ref, declared), has_bit=True)


def test_a_setup_round_of_very_many_sums_proves_nothing_and_the_rounds_after_it_do() -> None:
    genesis = chain_of(setup_sums=257).genesis
    assert layout_of(genesis, "setup").proved is None
    assert layout_of(genesis, "train").proved is not None


def test_the_protocol_and_the_proof_agree_on_what_is_declared_and_on_what_can_be_proved() -> None:
    assert (NOT_NEGATIVE, BIT) == (Declared.NOT_NEGATIVE, Declared.BIT)
    assert (MAX_PROVED_MEMBERS, MAX_PROVED_REFERENCE) == (MAX_HOLDERS, MAX_REFERENCE)
    assert MAX_PROVED_PARAMETERS == 2 * MAX_COLUMNS
    genesis = chain_of().genesis
    assert BoundedNorm(1.0, genesis.examples_ref).step == 1 / WEIGHT_UNIT


# The bound.


def test_quarters_are_powers_of_the_fourth_root_of_two() -> None:
    assert [norm_of(quarters) for quarters in (-4, 0, 4, 8)] == [0.5, 1, 2, 4]
    assert norm_of(1) == pytest.approx(2**0.25, rel=1e-15)
    assert norm_of(-3) == pytest.approx(2**-0.75, rel=1e-15)


@given(st.floats(2.0**-19, 2.0**19))
def test_the_nearest_quarters_bound_a_norm_closely(norm: float) -> None:
    assert norm / 2**0.25 < norm_of(nearest_quarters(norm)) / (1 - 1e-12)
    assert norm <= norm_of(nearest_quarters(norm))


@given(st.integers(3, 40), st.data())
def test_liars_can_neither_raise_nor_lower_the_bound_for_ever(members: int, data: st.DataObject) -> None:
    """If all honest updates are short it falls, and if all are long it grows, whatever f liars say."""
    faults = (members - 1) // 3
    liars = data.draw(st.integers(0, faults))
    lied = data.draw(st.integers(0, liars))
    assert next_quarters(0, members - liars + lied, members, faults) == -1
    assert next_quarters(0, lied, members, faults) > 0


@pytest.mark.parametrize(("short", "after"), [(10, -1), (7, -1), (6, 0), (5, 0), (4, 2), (3, 8), (0, 8)])
def test_the_bound_follows_how_many_updates_are_short(short: int, after: int) -> None:
    assert next_quarters(0, short, 10, 3) == after


def test_the_bound_stays_in_its_range() -> None:
    assert next_quarters(LEAST_QUARTERS, 4, 4, 1) == LEAST_QUARTERS
    assert next_quarters(MOST_QUARTERS, 0, 4, 1) == MOST_QUARTERS
    assert nearest_quarters(2.0**30) == MOST_QUARTERS
